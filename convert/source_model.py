"""What a conversion starts from, read once: a checkpoint of `korsal-train`, or an FP32 ONNX. Shell."""

from dataclasses import dataclass
from pathlib import Path

from convert import quantize
from edge.manifest import Manifest
from train import checkpoint as checkpoints
from train.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)
class SourceModel:
    """The file, its manifest, and the checkpoint in it; None where it is an ONNX."""

    path: Path
    manifest: Manifest
    checkpoint: Checkpoint | None = None


def read(path: Path) -> SourceModel:
    """Read an FP32 `.onnx` or a checkpoint. Raises QuantizeError, OnnxFileError, EngineError, CheckpointError."""
    if path.suffix == ".onnx":
        return SourceModel(path, quantize.open_model(path)[1])
    checkpoint = checkpoints.load(path)
    return SourceModel(path, checkpoint.manifest, checkpoint)
