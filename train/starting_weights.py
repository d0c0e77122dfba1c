"""The weights that a run begins with: a checkpoint, or an ONNX that was exported from one. Shell."""

from pathlib import Path

from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint

ONNX_SUFFIX = ".onnx"


def load(path: Path) -> Checkpoint:
    """The weights in a `.pt` or in an FP32 `.onnx`. Raises CheckpointError."""
    if not is_onnx(path):
        return checkpoints.load(path)
    from train import onnx_weights  # which needs the package onnx

    return onnx_weights.load(path)


def is_onnx(path: Path) -> bool:
    """True for a file whose batch norms were folded away as it was exported."""
    return path.suffix.lower() == ONNX_SUFFIX
