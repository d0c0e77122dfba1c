"""What runs the model: TensorRT where it is installed, else ONNX Runtime, as `[model]` says. Shell.

The daemon and every command open a model here, with the same options: so all of them use one engine.
"""

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.config.config_file import model_path, state_directory
from edge.config.schema import Config, ModelConfig
from edge.engines import motion_cuda
from edge.engines import onnxruntime_engine as engine
from edge.engines.build_plan import BuildOptions
from edge.engines.cuda_runtime import Cuda
from edge.engines.engine_build import L4T_RELEASE
from edge.engines.engine_cache import EngineCache
from edge.engines.inference_cuda import with_cuda_preprocessing
from edge.engines.motion_cuda import MotionCudaError
from edge.engines.tensorrt_engine import TensorRtError, bindings, is_engine_file, load
from edge.inference import EngineError, LoadedEngine
from edge.signals import Signals, StateNotifier, StopError

log = logging.getLogger(__name__)

ENGINES = "engines"  # in the state directory: what TensorRT builds
PROVIDED = "onnxruntime"  # in the state directory: what TensorrtExecutionProvider builds
NVIDIA_SIGNS = (L4T_RELEASE, *map(Path, ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu")))  # a Jetson; a GPU
MEBIBYTE = 1 << 20
STATUS = "STATUS="


class RuntimeChoiceError(EngineError):
    """The model is not for the runtime that is wanted, or is here."""


def open_model(config: Config, tell: StateNotifier) -> LoadedEngine:
    """The configured model, in the runtime for it; it has answered. Raises EngineError, AssetError.

    The first time TensorRT builds an engine, which takes minutes: `tell` hears of it, as systemd does. What it raises
    ends that and comes through.
    """
    path, model = model_path(config), config.model
    if is_engine_file(path):
        return _seeing(_open_plan(path, model), model)
    found = _tensorrt(model)
    if found is None:
        return _open_onnx(path, config)
    if model.providers:
        log.warning("model.providers are of ONNX Runtime, and TensorRT runs the model; %s for them", _set_onnxruntime())
    cache = EngineCache(state_directory(config) / ENGINES, *found, tell)
    return _seeing(cache.open(path, build_options(model)), model)


def open_at_terminal(config: Config) -> LoadedEngine:
    """As `open_model`, for somebody who waits for it: tells on stderr what takes long.

    Ctrl-C and SIGTERM end it as KeyboardInterrupt: between two steps of a build, where TensorRT tells them (since 10).
    """
    with Signals() as signals:
        try:
            opened = open_model(config, signals.interruptible(_Terminal()))
        except StopError:
            raise KeyboardInterrupt from None
    if signals.stop_requested:
        opened.close()
        raise KeyboardInterrupt
    return opened


def build_options(model: ModelConfig) -> BuildOptions:
    """What `[model]` says of engines that TensorRT builds."""
    return BuildOptions(model.precision, model.max_batch, model.workspace * MEBIBYTE)


def _open_onnx(path: Path, config: Config) -> LoadedEngine:
    model, kept = config.model, state_directory(config) / PROVIDED
    if model.preprocessing == "cuda":
        raise RuntimeChoiceError(
            'model.preprocessing is cuda, but ONNX Runtime runs the model, whose input the CPU fills; set it to "auto"'
        )
    loaded = engine.load(path, model.threads, model.providers, kept)
    return LoadedEngine(replace(loaded, largest_batch=min(model.max_batch, loaded.largest_batch)))


def _seeing(opened: LoadedEngine, model: ModelConfig) -> LoadedEngine:
    """TensorRT's input filled by cv2.cuda where it is wanted and works, else by the CPU, whose work flow always is."""
    flow = opened.engine.manifest.motion.kind == "flow"
    if model.preprocessing == "cpu" or (model.preprocessing == "auto" and flow):
        return opened
    try:
        return with_cuda_preprocessing(opened, motion_cuda.usable())
    except MotionCudaError as error:
        if model.preprocessing == "cuda":
            opened.close()
            raise
        log.warning('%s; set model.preprocessing = "cpu" if that is as it should be', error)
        return opened


def _open_plan(path: Path, model: ModelConfig) -> LoadedEngine:
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
    return load(path, trt, cuda)


def _tensorrt(model: ModelConfig) -> tuple[Any, Cuda] | None:
    """TensorRT and CUDA, where they are wanted and here; None for ONNX Runtime."""
    if model.runtime == "onnxruntime":
        return None
    try:
        return bindings()
    except TensorRtError as error:
        if model.runtime == "tensorrt":
            raise RuntimeChoiceError(f'model.runtime is tensorrt, but {error}; or set it to "auto"') from error
        missed = any(sign.exists() for sign in NVIDIA_SIGNS)
        log.log(
            logging.WARNING if missed else logging.INFO,
            "ONNX Runtime runs the model, without TensorRT: %s; %s if that is as it should be",
            error,
            _set_onnxruntime(),
        )
        return None


def _set_onnxruntime() -> str:
    return 'set model.runtime = "onnxruntime"'


class _Terminal:
    """Says on stderr what systemd would be told, every change of it once."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, *states: str) -> None:
        for state in states:
            text = state.removeprefix(STATUS)
            if state.startswith(STATUS) and text not in ("", self._said):
                sys.stderr.write(f"{text}\n")
                self._said = text
