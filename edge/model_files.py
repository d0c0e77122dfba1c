"""Finds the files of one model: those beside it with the same weights in other precisions. Shell: reads the disk."""

from collections.abc import Iterator
from pathlib import Path

from edge import manifest as manifests
from edge.engines import onnx_metadata
from edge.engines.protobuf import ProtobufError
from edge.manifest import ManifestError
from edge.model_choice import ModelFile, difference

SUFFIX = ".onnx"
PRECISION_ENDINGS = ("-fp16", "-cpu", "-int8")  # of names, in the order in which they are taken off


def read(path: Path) -> ModelFile | None:
    """An ONNX file with its manifest; None for what is none, or has none: whoever opens it says what is wrong."""
    try:
        content = path.read_bytes()
        text = onnx_metadata.read(content).get(manifests.METADATA_KEY)
        return None if text is None else ModelFile(path, manifests.from_json(text), len(content))
    except (OSError, ProtobufError, ManifestError):
        return None


def siblings(named: ModelFile) -> list[ModelFile]:
    """The files beside `named` that are the same model: named NAME-*.onnx as it is, with manifests that agree."""
    return [file for file, reason in beside(named) if not reason]


def beside(named: ModelFile) -> Iterator[tuple[ModelFile, str]]:
    """The models named as `named` is, but for their endings, each with why it is another model; "" where it is not."""
    name = base_name(named.path)
    for path in sorted(named.path.parent.glob(f"*{SUFFIX}")):
        if path == named.path or not (path.stem == name or path.stem.startswith(f"{name}-")):
            continue
        if (file := read(path)) is not None:
            yield file, difference(named.manifest, file.manifest)


def base_name(path: Path) -> str:
    """The name without suffix and precision: `mine` for `mine-int8-fp16.onnx`."""
    name = path.stem
    for ending in PRECISION_ENDINGS:
        name = name.removesuffix(ending)
    return name
