"""The file of a model that this machine opens, and the engine of the first that TensorRT can build. Shell.

`edge.model_choice` decides; here the files are read, the device is looked at, and what cannot be built is passed over.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from edge import clip_opening, model_files
from edge.config.config_file import model_path
from edge.config.schema import ModelConfig
from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.engine_build import members_of
from edge.engines.engine_cache import EngineCache
from edge.engines.tensorrt_build_plan import MEBIBYTE, BuildOptions, parse_version
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import EngineError, LoadedEngine
from edge.manifest import Manifest
from edge.model_choice import Device, ModelChoice, OnnxRuntimeDevice, TensorRtDevice, choose
from edge.shipped_files import AssetError

log = logging.getLogger(__name__)

Given = TypeVar("Given")


def build_options(model: ModelConfig) -> BuildOptions:
    """The options in `[model]` for engines that TensorRT builds, in the precision of each file."""
    return BuildOptions(None, model.max_batch, model.workspace * MEBIBYTE)


def manifest_of(model: ModelConfig) -> Manifest | None:
    """What the configured file says of itself, read without running it; None where it says nothing."""
    try:
        file = model_files.read(model_path(model))
    except AssetError:
        return None
    return None if file is None else file.manifest


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


@dataclass(frozen=True)
class ExpectedEngine:
    """An engine that the daemon would open: of which file, in which precision, and where it lies, built or not.

    `notice`: why it is not the one that was asked for; "" where it is.
    """

    file: Path
    precision: str
    place: Path
    notice: str


def first_engine(cache: EngineCache, path: Path, model: ModelConfig) -> ExpectedEngine:
    """The engine that the daemon would open, without opening or building one: what is known to fail is passed over.

    Raises EngineError, as opening it would.
    """
    choice = choice_of(path, model, tensorrt_device(cache.trt, cache.cuda))
    if choice is not None and not choice.candidates:
        raise EngineError(not_for_tensorrt(path))
    attempt, (place, notice), passed_over = _first(
        _attempts(path, choice, model), partial(clip_opening.expected, cache)
    )
    notices = (choice.notice if choice else "", notice, passed_over)
    return ExpectedEngine(attempt.path, attempt.result, place, "; ".join(filter(None, notices)))


def not_for_tensorrt(path: Path) -> str:
    """That TensorRT takes no file of the model, and what to do."""
    return (
        f"TensorRT can build neither {path} nor a file of the same weights beside it; make one with korsal-convert "
        "quantize for TensorRT, or name the FP32 file in model.path"
    )


@dataclass(frozen=True)
class _Attempt:
    """An engine to open. `result`: its precision, "" where unknown; `network_alone`: of a file that has more."""

    path: Path
    options: BuildOptions
    result: str = ""
    network_alone: bool = False


def _attempts(path: Path, choice: ModelChoice | None, model: ModelConfig) -> Iterator[_Attempt]:
    """The engines to try, the best first: of each file also its network alone, where it prepares frames itself.

    `choice`: that of the file at `path`; where it is None or empty that file is all there is.
    """
    options = build_options(model)
    if choice is None or not choice.candidates:
        yield _Attempt(path, options)
        return
    for candidate in choice.candidates:
        file, own = candidate.file, replace(options, precision=candidate.precision)
        inside = file.manifest.preprocessing == "graph"
        if not inside or model.preprocessing not in ("cpu", "cuda"):
            yield _Attempt(file.path, own, candidate.result)
        if inside:
            yield _Attempt(file.path, replace(own, preprocessing="outside"), candidate.result, network_alone=True)


def has_graph(choice: ModelChoice | None) -> bool:
    """Whether a file among the candidates fits and compares frames itself."""
    candidates = choice.candidates if choice else ()
    return any(candidate.file.manifest.preprocessing == "graph" for candidate in candidates)


def open_first(cache: EngineCache, path: Path, choice: ModelChoice | None, model: ModelConfig) -> LoadedEngine:
    """The engine of the first attempt that can be built; where none can, the first one's error."""
    if choice and choice.notice:
        log.warning("%s", choice.notice)
    _, opened, passed_over = _first(_attempts(path, choice, model), partial(clip_opening.open_built, cache))
    if passed_over:
        log.warning("%s", passed_over)
    return opened.noting(choice.notice if choice else "").noting(passed_over)


def load_first(path: Path, choice: ModelChoice | None, load: Callable[[Path], Given]) -> tuple[Path, Given, str]:
    """The first file that `load` opens without TensorRT, what it gives, and why those before it were passed over.

    Raises EngineError, that of the first file, where it opens none.
    """
    candidates = choice.candidates if choice else ()
    attempts = [_Attempt(one.file.path, BuildOptions(), one.result) for one in candidates]
    attempt, given, passed_over = _first(attempts or [_Attempt(path, BuildOptions())], lambda file, _: load(file))
    return attempt.path, given, passed_over


def _first(attempts: Iterable[_Attempt], give: Callable[[Path, BuildOptions], Given]) -> tuple[_Attempt, Given, str]:
    """The first attempt for which `give` does not raise, what it gives, and why those before it were passed over.

    Raises EngineError, that of the first attempt, where there is none.
    """
    refused: list[tuple[_Attempt, EngineError]] = []
    for attempt in attempts:
        try:
            given = give(attempt.path, attempt.options)
        except EngineError as error:
            refused.append((attempt, error))
            continue
        passed_over = f"{refused[0][1]}; {_in_place_of(refused[0][0], attempt)}" if refused else ""
        return attempt, given, passed_over
    raise refused[0][1]


def _in_place_of(first: _Attempt, attempt: _Attempt) -> str:
    """What runs instead of what was tried first, and how to keep that."""
    alone = " without the preprocessing inside" * (attempt.network_alone and not first.network_alone)
    if (first.path, first.result) == (attempt.path, attempt.result):
        return f'its network runs{alone}; set model.preprocessing = "cpu" to keep that'
    name = attempt.path.name
    return f'{name} runs in its place, {attempt.result}{alone}; set model.precision = "{attempt.result}" to keep that'
