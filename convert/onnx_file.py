"""ONNX files: read with the manifest in them, written whole or not at all. Shell over onnx.

What is read is that one file: a model that names others, for its weights, is refused, wherever they lie. Nothing in a
file is executed as it is read; ONNX Runtime and TensorRT run the operators that they know themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import onnx

from edge import files
from edge import manifest as manifests
from edge.engines.onnx_network import without_preprocessing
from edge.engines.protobuf import ProtobufError
from edge.manifest import Manifest
from train.onnx_reading import OnnxFileError as OnnxFileError
from train.onnx_reading import read as read

SUFFIX = ".onnx"  # by which these are told from checkpoints


def read_network(path: Path) -> tuple[onnx.ModelProto, Manifest]:
    """As `read`, of a file that prepares frames itself only the network, which takes the prepared INPUT.

    Raises OnnxFileError.
    """
    model, manifest = read(path)
    if manifest.preprocessing == "outside":
        return model, manifest
    try:
        content, outside = without_preprocessing(model.SerializeToString(), manifest)
    except ProtobufError as error:
        raise OnnxFileError(f"{path}: {error}; export it again") from error
    return onnx.load_model_from_string(content), outside


def write(model: onnx.ModelProto, manifest: Manifest, output: Path) -> None:
    """Write a model with the manifest in its metadata; an old file stays until it is complete. Raises OnnxFileError."""
    onnx.helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(manifest)})
    try:
        files.write_atomically(output, model.SerializeToString())
    except OSError as error:
        raise _unwritable(output, error) from error


def check_output(source: Path, output: Path) -> None:
    """Before the work: OnnxFileError where no file can be written, or in the place of what it is made from.

    Missing folders are only made with the file.
    """
    if output.exists() and source.exists() and output.samefile(source):
        raise OnnxFileError(f"{output}: is what it would be made from; choose another -o")
    folder = next((one for one in output.parents if one.exists()), output.parent)
    try:
        files.check_writable(folder / output.name)
    except OSError as error:
        raise _unwritable(output, error) from error
    if output.suffix != SUFFIX:
        raise OnnxFileError(f"{output}: would not be read back; give -o a name that ends in {SUFFIX}")


@contextmanager
def candidate(output: Path) -> Iterator[Path]:
    """A name beside `output` for what must prove itself first; at the end it is gone, unless `accept` was called."""
    path = output.with_name(f"{output.stem}.unchecked{output.suffix}")
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()


def accept(proven: Path, output: Path) -> None:
    """Put what proved itself into its place. Raises OnnxFileError."""
    try:
        files.move_into_place(proven, output)
    except OSError as error:
        raise _unwritable(output, error) from error


def _unwritable(output: Path, error: OSError) -> OnnxFileError:
    return OnnxFileError(f"{output}: cannot be written ({error.strerror}); free space on the disk or choose another -o")
