"""Opens the model in the runtime for it: TensorRT where it is installed, else ONNX Runtime, as `[model]` says. Shell.

The daemon and every command open a model here with the same options, so all of them use one engine.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import chosen_model
from edge.chosen_model import (
    build_options,
    choice_of,
    load_first,
    manifest_of,
    not_for_tensorrt,
    onnxruntime_device,
    open_first,
    tensorrt_device,
)
from edge.config.config_file import model_path
from edge.config.schema import ModelConfig
from edge.engines import motion_cuda, onnxruntime_engine
from edge.engines.cuda_runtime import Cuda
from edge.engines.engine_build import L4T_RELEASE
from edge.engines.engine_cache import EngineCache
from edge.engines.inference_cuda import with_cuda_preprocessing
from edge.engines.motion_cuda import MotionCudaError
from edge.engines.tensorrt_engine import bindings, is_engine_file, load
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import Engine, EngineError, LoadedEngine
from edge.manifest import Preprocessing
from edge.memory_opening import require_memory, with_built_memory, with_memory
from edge.signals import Signals, StopError
from edge.text import Notify

log = logging.getLogger(__name__)

ENGINE_CACHE = "engines"  # in the state directory: what TensorRT builds
PROVIDER_CACHE = "onnxruntime"  # in the state directory: what TensorrtExecutionProvider builds
NVIDIA_SIGNS = (L4T_RELEASE, *map(Path, ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu")))  # a Jetson; a GPU
NO_GRAPH = (
    "model.preprocessing is graph, and {path} does not fit and compare frames itself; make a file that does with "
    'korsal-convert export --with-motion, or set that to "auto"'
)
GRAPH_INSIDE = (
    "model.preprocessing is {preprocessing}, and {path} was built to fit and compare frames itself; set that to "
    '"auto", or name the ONNX model that the engine was built from'
)
SEES_CLIPS = (
    "model.preprocessing is {preprocessing}, and {path} sees clips, whose frames the CPU prepares; set that to "
    '"auto", or name a model without'
)
NO_CUDA = 'model.preprocessing is cuda, but ONNX Runtime runs the model, whose input the CPU fills; set it to "auto"'
SET_ONNXRUNTIME = 'set model.runtime = "onnxruntime"'


class RuntimeChoiceError(EngineError):
    """The model does not fit the configured runtime, or that runtime is not installed."""


def open_model(model: ModelConfig, state: Path, announce: Notify, check_stop: Callable[[], None]) -> LoadedEngine:
    """Open the configured model and let it answer once. Raises EngineError, AssetError.

    `state`: the directory that keeps engines. The first time TensorRT builds one, which takes minutes; `announce` and
    `check_stop` are those of EngineCache.
    """
    path = model_path(model)
    if is_engine_file(path):
        return _with_preprocessing(_open_engine_file(path, model), path, model)
    require_memory(path, manifest_of(model))
    trt_and_cuda, fallback = _tensorrt(model)
    if trt_and_cuda is None:
        return _open_onnx(path, model, state, fallback)
    if model.providers:
        log.warning("model.providers are of ONNX Runtime, and TensorRT runs the model; %s for them", SET_ONNXRUNTIME)
    cache = EngineCache(state / ENGINE_CACHE, *trt_and_cuda, announce, check_stop)
    try:
        choice = choice_of(path, model, tensorrt_device(*trt_and_cuda))
        if choice is not None and not choice.candidates and model.runtime == "auto":
            raise RuntimeChoiceError(not_for_tensorrt(path))
        opened = open_first(cache, path, choice, model)
    except EngineError as error:
        if model.runtime == "tensorrt":
            raise
        return _open_instead(path, model, state, error)
    opened = with_built_memory(opened, path, cache, build_options(model), model.threads)
    return _with_preprocessing(opened, path, model, has_graph=chosen_model.has_graph(choice))


def open_at_terminal(model: ModelConfig, state: Path) -> LoadedEngine:
    """As `open_model`, for a command: announces on stderr what takes long.

    Ctrl-C and SIGTERM end it as KeyboardInterrupt; a build ends between two steps, which TensorRT reports since 10.
    """
    with Signals() as signals:
        try:
            opened = open_model(model, state, _StderrAnnouncer(), signals.raise_if_stopped)
        except StopError:
            raise KeyboardInterrupt from None
    if signals.stop_requested:
        opened.close()
        raise KeyboardInterrupt
    return opened


def _open_instead(path: Path, model: ModelConfig, state: Path, refused: EngineError) -> LoadedEngine:
    """The model in ONNX Runtime, where TensorRT has refused all of its files."""
    notice = in_place_of_tensorrt(str(refused))
    try:
        opened = _open_onnx(path, model, state, notice)
    except EngineError as error:
        both = str(refused) if str(error) == str(refused) else f"{refused}; nor does ONNX Runtime run it: {error}"
        raise RuntimeChoiceError(both) from refused
    log.warning("%s", notice)
    return opened


def _open_onnx(path: Path, model: ModelConfig, state: Path, fallback: str = "") -> LoadedEngine:
    wanted: Preprocessing = "graph" if model.preprocessing == "graph" else "outside"  # on CPUs the graph is slower

    def load_file(file: Path) -> Engine:
        return onnxruntime_engine.load(file, model.threads, model.providers, state / PROVIDER_CACHE, wanted)

    choice = choice_of(path, model, onnxruntime_device(model))
    path, loaded, passed_over = load_first(path, choice, load_file)
    notices = [notice for notice in (choice.notice if choice else "", passed_over) if notice]
    notices += [NO_CUDA] * (model.preprocessing == "cuda")
    without = SEES_CLIPS.format(preprocessing=wanted, path=path) if loaded.clip else NO_GRAPH.format(path=path)
    notices += [without] * (wanted == "graph" and loaded.preprocessor != "graph")
    batch = min(model.max_batch, loaded.largest_batch)
    return _noting(LoadedEngine(replace(loaded, largest_batch=batch, fallback=fallback)), *notices)


def _noting(opened: LoadedEngine, *notices: str) -> LoadedEngine:
    """Log why the engine is not what was configured, and keep that with it."""
    for notice in notices:
        log.warning("%s", notice)
        opened = opened.noting(notice)
    return opened


def _with_preprocessing(opened: LoadedEngine, path: Path, model: ModelConfig, has_graph: bool = False) -> LoadedEngine:
    """Let cv2.cuda fill TensorRT's input where that is configured and works; the CPU always computes flow.

    An engine that prepares frames itself needs none of that. `has_graph`: whether the model could.
    """
    wanted, flow = model.preprocessing, opened.engine.manifest.motion.kind == "flow"
    if opened.engine.clip is not None:
        return _noting(opened, *[SEES_CLIPS.format(preprocessing=wanted, path=path)] * (wanted in ("cuda", "graph")))
    if opened.engine.preprocessor == "graph":
        inside = GRAPH_INSIDE.format(preprocessing=wanted, path=path)
        return _noting(opened, *[inside] * (wanted in ("cpu", "cuda")))
    if wanted == "graph" and not has_graph:
        opened = _noting(opened, NO_GRAPH.format(path=path))
    if wanted == "cpu" or (flow and wanted != "cuda"):
        return opened
    try:
        return with_cuda_preprocessing(opened, motion_cuda.usable())
    except MotionCudaError as error:
        if wanted == "cuda":
            return _noting(opened, f"{error}; until then the CPU prepares frames")
        log.warning('%s; set model.preprocessing = "cpu" if that is intended', error)
        return opened


def _open_engine_file(path: Path, model: ModelConfig) -> LoadedEngine:
    if model.runtime == "onnxruntime":
        raise RuntimeChoiceError(
            f"{path}: is a TensorRT engine, and model.runtime is onnxruntime; "
            'set that to "tensorrt", or name the ONNX model that the engine was built from'
        )
    try:
        trt, cuda = bindings()
    except TensorRtError as error:
        raise RuntimeChoiceError(
            f"{path}: is a TensorRT engine, but {error}; or name the ONNX model that it was built from"
        ) from error
    return with_memory(load(path, trt, cuda), path, model.threads)


def _tensorrt(model: ModelConfig) -> tuple[tuple[Any, Cuda] | None, str]:
    """TensorRT and CUDA where configured and installed, else None, and why that on a machine with a GPU."""
    if model.runtime == "onnxruntime":
        return None, ""
    try:
        return bindings(), ""
    except TensorRtError as error:
        if model.runtime == "tensorrt":
            raise RuntimeChoiceError(f'model.runtime is tensorrt, but {error}; or set it to "auto"') from error
        expected = any(sign.exists() for sign in NVIDIA_SIGNS)
        sentence = without_tensorrt(str(error))
        log.log(logging.WARNING if expected else logging.INFO, "%s", sentence)
        return None, sentence if expected else ""


def without_tensorrt(reason: str) -> str:
    """That TensorRT cannot be loaded, and why."""
    return f"ONNX Runtime runs the model, without TensorRT: {reason}; {SET_ONNXRUNTIME} if that is intended"


def in_place_of_tensorrt(reason: str) -> str:
    """That TensorRT does not run the model, and why."""
    return f"{reason}; ONNX Runtime runs the model in its place; {SET_ONNXRUNTIME} to keep that"


class _StderrAnnouncer:
    """Prints each announcement on stderr, a repeated one once."""

    def __init__(self) -> None:
        self._printed = ""

    def __call__(self, text: str) -> None:
        if text not in ("", self._printed):
            sys.stderr.write(f"{text}\n")
            self._printed = text
