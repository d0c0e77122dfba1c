"""Shell. What runs a model here: a checkpoint by torch, an ONNX by ONNX Runtime, an engine by TensorRT."""

from pathlib import Path

from edge import packages
from edge.engines import onnxruntime_engine, tensorrt_engine
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import LoadedEngine

ENGINE_SUFFIX = ".engine"


class ModelError(Exception):
    """A model that cannot be opened; the message names the file and the remedy."""


def open_model(path: Path, threads: int) -> LoadedEngine:
    """Open an `.onnx`, a `.pt` checkpoint or a TensorRT engine; close it at the end.

    `threads` for one operator on the CPU. An engine is known by its content, or by its name where that is damaged.
    Raises EngineError, ModelError, MissingPackageError.
    """
    if is_engine(path):
        return _through_tensorrt(path)
    if path.suffix == ".onnx":
        return LoadedEngine(onnxruntime_engine.load(path, threads), None)
    if path.suffix != ".pt":
        raise ModelError(
            f"{path}: neither .onnx nor .pt, nor a TensorRT engine; give a model of korsal-convert or korsal-train"
        )
    packages.require("torch")  # which the others do without
    import torch

    from train import checkpoint

    torch.set_num_threads(threads)
    try:
        return LoadedEngine(checkpoint.engine(checkpoint.load(path)), None)
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
