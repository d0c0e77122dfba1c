"""ONNX files, read with the manifest in them. Shell over onnx.

What is read is that one file: a model that names others, for its weights, is refused, wherever they lie.
"""

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from edge import manifest as manifests
from edge.engines import onnx_metadata
from edge.manifest import Manifest, ManifestError
from edge.text import first_line


class OnnxFileError(Exception):
    """An ONNX file that cannot be read, or was not written."""


def read(path: Path) -> tuple[onnx.ModelProto, Manifest]:
    """A model and its manifest. Raises OnnxFileError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OnnxFileError(
            f"{path}: cannot be read ({error.strerror}); give what korsal-convert export wrote"
        ) from error
    if fault := onnx_metadata.fault(content):
        raise OnnxFileError(f"{path}: {fault}")
    try:
        model = onnx.load_model_from_string(content)
        text = {entry.key: entry.value for entry in model.metadata_props}.get(manifests.METADATA_KEY)
        if text is None:
            raise OnnxFileError(f"{path}: has no korsal-edge manifest; export it with korsal-convert export")
        return model, manifests.from_json(text)
    except ManifestError as error:
        raise OnnxFileError(f"{path}: {error}") from error
    except DecodeError as error:
        raise OnnxFileError(f"{path}: is not an ONNX file ({first_line(error)}); export it again") from error
