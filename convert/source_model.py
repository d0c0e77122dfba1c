"""What a conversion starts from, read once: a checkpoint of `korsal-train`, or an FP32 ONNX. Shell."""

from dataclasses import dataclass
from pathlib import Path

from convert import onnx_file, quantize
from edge.engines import onnxruntime_memory
from edge.inference import StreamingMemory
from edge.manifest import Manifest
from train import checkpoint as checkpoints
from train import memory_engine
from train.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)
class SourceModel:
    """The file, the manifest of its network, and the checkpoint in it; None where it is an ONNX.

    `prepares`: whether an ONNX fits and compares frames itself. `memory`: the one whose maps it takes, if any.
    """

    path: Path
    manifest: Manifest
    checkpoint: Checkpoint | None = None
    prepares: bool = False
    memory: StreamingMemory | None = None


def read(path: Path) -> SourceModel:
    """Read an FP32 `.onnx` or a checkpoint. Raises QuantizeError, OnnxFileError, EngineError, CheckpointError."""
    if path.suffix == ".onnx":
        prepares = onnx_file.read(path)[1].preprocessing == "graph"
        manifest = quantize.open_model(path)[1]
        return SourceModel(path, manifest, None, prepares, onnxruntime_memory.load(path, manifest, threads=1))
    checkpoint = checkpoints.load(path)
    return SourceModel(path, checkpoint.manifest, checkpoint, memory=memory_engine.memory(checkpoint))
