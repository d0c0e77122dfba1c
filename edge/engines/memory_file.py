"""Reads the file of a model's memory, which lies beside it, and copies it beside what is made of the model. Shell.

It is known by its hash, which stands in the detector's manifest and begins its name: another network's maps would
mislead the detector without any error. All precisions of a detector, and other detectors in that folder, share it.
"""

import hashlib
from pathlib import Path

from edge import files
from edge.engines import onnx_metadata
from edge.inference import EngineError
from edge.memory_network import MemoryNetwork

NAMED = 16  # digits of the hash in the name


class MemoryFileError(EngineError):
    """A memory that is missing, of another model, or damaged."""


def memory_path(detector: Path, network: MemoryNetwork) -> Path:
    """Where the memory of the model at `detector` lies: `memory-0123456789abcdef.onnx` beside it."""
    return detector.with_name(f"memory-{network.sha256[:NAMED]}.onnx")


def read(detector: Path, network: MemoryNetwork) -> bytes:
    """The content of the memory's file, once it is known to be the one of the manifest. Raises MemoryFileError."""
    if not (network.sha256 and network.parts):
        raise MemoryFileError(f"{detector}: does not name the file of its memory; export it again")
    path = memory_path(detector, network)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise MemoryFileError(
            f"{path}: is missing, and {detector.name} does not run without this memory; copy it there from where "
            f"{detector.name} came"
        ) from error
    except OSError as error:
        raise MemoryFileError(
            f"{path}: cannot be read ({error.strerror}); check its permissions, or copy it again"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != network.sha256:
        raise MemoryFileError(
            f"{path}: is not the memory of {detector.name}, for its SHA-256 is {found[:NAMED]}…; copy both files again "
            "from one place"
        )
    if fault := onnx_metadata.fault(content):
        raise MemoryFileError(f"{path}: {fault}")
    return content


def copy_beside(source: Path, output: Path, network: MemoryNetwork | None) -> None:
    """Let the memory of the model `source` lie beside `output` too, which is made of it; nothing for one without.

    Raises MemoryFileError.
    """
    if network is None or source.parent.resolve() == output.parent.resolve():
        return
    content, path = read(source, network), memory_path(output, network)
    try:
        files.write_atomically(path, content)
    except OSError as error:
        raise MemoryFileError(f"{path}: cannot be written ({error.strerror}); choose another -o") from error
