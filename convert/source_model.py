"""What a conversion starts from, read once: a checkpoint of `korsal-train`, or an FP32 ONNX. Shell."""

from dataclasses import dataclass
from pathlib import Path

from convert import onnx_file, quantize
from convert.watched_video import Beside, beside_of
from edge.engines import onnxruntime_engine
from edge.manifest import Manifest
from train import checkpoint as checkpoints
from train import memory_engine
from train.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)
class SourceModel:
    """The file, the manifest of its network, and the checkpoint in it; None where it is an ONNX.

    `prepares`: whether an ONNX fits and compares frames itself. `beside`: what makes the maps that it takes, if any.
    """

    path: Path
    manifest: Manifest
    checkpoint: Checkpoint | None = None
    prepares: bool = False
    beside: Beside = None


def read(path: Path) -> SourceModel:
    """Read an FP32 `.onnx` or a checkpoint. Raises QuantizeError, OnnxFileError, EngineError, CheckpointError."""
    if path.suffix == ".onnx":
        prepares = onnx_file.read(path)[1].preprocessing == "graph"
        manifest = quantize.open_model(path)[1]
        return SourceModel(path, manifest, None, prepares, beside_of(onnxruntime_engine.load(path, threads=1)))
    checkpoint = checkpoints.load(path)
    return SourceModel(path, checkpoint.manifest, checkpoint, beside=beside_of(memory_engine.engine(checkpoint)))
