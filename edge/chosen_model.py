"""The file of a model that this machine opens, and the engine of the first that TensorRT can build. Shell.

`edge.model_choice` decides; here the files are read, the device is looked at, and what cannot be built is passed over.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import model_files
from edge.config.schema import ModelConfig
from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.engine_build import members_of
from edge.engines.engine_cache import EngineCache
from edge.engines.tensorrt_build_plan import MEBIBYTE, BuildOptions, parse_version
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import EngineError, LoadedEngine
from edge.model_choice import Candidate, Device, ModelChoice, OnnxRuntimeDevice, TensorRtDevice, choose

log = logging.getLogger(__name__)


def build_options(model: ModelConfig) -> BuildOptions:
    """The options in `[model]` for engines that TensorRT builds, in the precision of each file."""
    return BuildOptions(None, model.max_batch, model.workspace * MEBIBYTE)


def choice_of(path: Path, model: ModelConfig, device: Device) -> ModelChoice | None:
    """Which file to open for the one at `path`; None where that is no model of ours, so that nothing can be chosen."""
    named = model_files.read(path)
    return None if named is None else choose(named, model_files.siblings(named), model.precision, device)


def tensorrt_device(trt: Any, cuda: Cuda) -> TensorRtDevice:
    """The TensorRT and the GPU behind these bindings. Raises TensorRtError."""
    try:
        capability = cuda.device().compute_capability
    except CudaError as error:
        raise TensorRtError(str(error)) from error
    return TensorRtDevice(parse_version(str(trt.__version__)), members_of(trt), capability)


def onnxruntime_device(model: ModelConfig) -> OnnxRuntimeDevice:
    """ONNX Runtime as `[model]` configures it."""
    return OnnxRuntimeDevice(model.providers)


def first_engine(cache: EngineCache, path: Path, model: ModelConfig) -> Path | None:
    """Where the engine that the daemon would open first lies, built or not; None where it would open none.

    Raises EngineError.
    """
    choice = choice_of(path, model, tensorrt_device(cache.trt, cache.cuda))
    if choice is None:
        return cache.place(path, build_options(model))
    if not choice.candidates:
        return None
    first = choice.candidates[0]
    return cache.place(first.file.path, _options_of(first, model.preprocessing, build_options(model)))


def _options_of(candidate: Candidate, preprocessing: str, options: BuildOptions) -> BuildOptions:
    """The options to build a candidate with; `preprocessing` as in `[model]`."""
    alone = candidate.file.manifest.preprocessing == "graph" and preprocessing in ("cpu", "cuda")
    return replace(options, precision=candidate.precision, preprocessing="outside" if alone else "graph")


def has_graph(choice: ModelChoice) -> bool:
    """Whether a file among the candidates fits and compares frames itself."""
    return any(candidate.file.manifest.preprocessing == "graph" for candidate in choice.candidates)


def open_first(cache: EngineCache, path: Path, choice: ModelChoice | None, model: ModelConfig) -> LoadedEngine:
    """The engine of the first candidate that can be built; where none can, the first one's error."""
    options = build_options(model)
    if choice is None or not choice.candidates:
        return cache.open(path, options)
    if choice.notice:
        log.warning("%s", choice.notice)
    notices, errors = [choice.notice] * bool(choice.notice), list[EngineError]()
    for candidate in choice.candidates:
        try:
            opened = _open(cache, candidate, _options_of(candidate, model.preprocessing, options))
        except EngineError as error:
            errors.append(error)
            continue
        notices += [opened.engine.fallback] * bool(opened.engine.fallback)
        if errors:
            notices.append(_other_precision(errors[0], candidate))
            log.warning("%s", notices[-1])
        return replace(opened, engine=replace(opened.engine, fallback="; ".join(notices)))
    raise errors[0]


def _open(cache: EngineCache, candidate: Candidate, options: BuildOptions) -> LoadedEngine:
    """The engine of one file; of its network alone where TensorRT does not build the preprocessing inside it."""
    try:
        return cache.open(candidate.file.path, options)
    except EngineError as error:
        if candidate.file.manifest.preprocessing == "outside" or options.preprocessing == "outside":
            raise
        opened = cache.open(candidate.file.path, replace(options, preprocessing="outside"))
        notice = (
            f'{error}; its network runs without the preprocessing inside; set model.preprocessing = "cpu" to keep that'
        )
        log.warning("%s", notice)
        return replace(opened, engine=replace(opened.engine, fallback=notice))


def _other_precision(error: EngineError, candidate: Candidate) -> str:
    return (
        f"{error}; {candidate.file.path.name} runs in its place, {candidate.result}; "
        f'set model.precision = "{candidate.result}" if that is to stay'
    )
