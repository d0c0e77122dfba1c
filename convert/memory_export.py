"""The memory whose maps a checkpoint takes → an ONNX beside its detector's, named by its hash. Shell."""

import hashlib
from dataclasses import replace
from pathlib import Path

from convert import movinet_export
from convert.torch_export import ExportError
from edge import files
from edge.engines.memory_file import memory_path
from edge.memory_network import MemoryNetwork
from train import memory_engine
from train.checkpoint import Checkpoint


def write_beside(checkpoint: Checkpoint, target: Path) -> MemoryNetwork | None:
    """Write the memory of a checkpoint beside its model `target`; what a manifest says of it, None where there is none.

    Raises CheckpointError, ExportError.
    """
    known = checkpoint.manifest.memory
    if known is None:
        return None
    step, _ = memory_engine.step(checkpoint, known)
    content = movinet_export.export(step, known.size, known.size).SerializeToString()
    described = replace(memory_engine.with_parts(known, step), sha256=hashlib.sha256(content).hexdigest())
    path = memory_path(target, described)
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}); choose another -o") from error
    return described
