"""Shell. What runs a model here: a checkpoint by torch, an ONNX by ONNX Runtime, an engine by TensorRT."""

from collections.abc import Mapping
from pathlib import Path

from edge import packages
from edge.engines import motion_cuda, onnxruntime_engine, tensorrt_engine
from edge.engines.inference_cuda import with_cuda_preprocessing
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import PREPROCESSORS, LoadedEngine
from edge.manifest import Preprocessing, PreprocessingChoice
from edge.memory_opening import with_memory

ENGINE_SUFFIX = ".engine"
_CURES: Mapping[PreprocessingChoice, str] = {
    "graph": "give a model that korsal-convert export --with-motion wrote",
    "cuda": "give a TensorRT engine without preprocessing inside",
    "cpu": "give the ONNX that the engine was built from",
}


class ModelError(Exception):
    """A model that cannot be opened; the message names the file and the remedy."""


def open_model(path: Path, threads: int, preprocessing: PreprocessingChoice = "auto") -> LoadedEngine:
    """Open an `.onnx`, a `.pt` checkpoint or a TensorRT engine; close it at the end.

    `threads` for one operator on the CPU. An engine is known by its content, or by its name where that is damaged.
    `preprocessing`: what prepares frames; "auto": an engine's own graph where it has one, else the CPU. Unlike the
    daemon this never takes another than asked for. Raises EngineError, ModelError, MissingPackageError.
    """
    opened = _opened(path, threads, preprocessing)
    try:
        plain = opened.engine.preprocessor == "cpu" and opened.engine.clip is None
        if preprocessing == "cuda" and opened.runner is not None and plain:
            opened = with_cuda_preprocessing(opened, motion_cuda.usable())
        if preprocessing not in ("auto", opened.engine.preprocessor):
            place = PREPROCESSORS[opened.engine.preprocessor]
            raise ModelError(
                f"{path}: --preprocessing is {preprocessing}, but its frames are prepared {place}; "
                f"{_CURES[preprocessing]}, or leave that option out"
            )
    except BaseException:
        opened.close()
        raise
    return opened


def _opened(path: Path, threads: int, preprocessing: PreprocessingChoice) -> LoadedEngine:
    if is_engine(path):
        return with_memory(_through_tensorrt(path), path, threads)
    if path.suffix == ".onnx":
        inside: Preprocessing = "graph" if preprocessing == "graph" else "outside"
        return LoadedEngine(onnxruntime_engine.load(path, threads, preprocessing=inside))
    if path.suffix != ".pt":
        raise ModelError(
            f"{path}: neither .onnx nor .pt, nor a TensorRT engine; give a model of korsal-convert or korsal-train"
        )
    packages.require("torch")  # which the others do without
    import torch

    from train import checkpoint, memory_engine

    torch.set_num_threads(threads)
    try:
        return LoadedEngine(memory_engine.engine(checkpoint.load(path)), None)
    except checkpoint.CheckpointError as error:
        raise ModelError(str(error)) from error


def is_engine(path: Path) -> bool:
    """True for what TensorRT has built or should have."""
    return tensorrt_engine.is_engine_file(path) or path.suffix == ENGINE_SUFFIX


def _through_tensorrt(path: Path) -> LoadedEngine:
    try:
        trt, cuda = tensorrt_engine.bindings()
    except TensorRtError as error:
        raise ModelError(
            f"{path}: is a TensorRT engine, but {error}; or give the ONNX that it was built from"
        ) from error
    return tensorrt_engine.load(path, trt, cuda)
