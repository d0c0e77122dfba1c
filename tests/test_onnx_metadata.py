"""Metadata as the package `onnx` writes it, and bytes that are no model."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import law
from tiny_model import MANIFEST, write_tiny_model

from edge import manifest as manifests
from edge import onnx_metadata
from edge.onnx_metadata import OnnxMetadataError

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")

MODELS = sorted((Path(__file__).parent.parent / "models").glob("*.onnx"))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx").read_bytes()


def test_a_manifest(content: bytes) -> None:
    said = onnx_metadata.read(content)
    assert list(said) == [manifests.METADATA_KEY]
    assert manifests.from_json(said[manifests.METADATA_KEY]) == MANIFEST


@law
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=300), max_size=5))
def test_what_onnx_writes_is_read(said: dict[str, str]) -> None:
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.helper.set_model_props(model, said)
    assert onnx_metadata.read(model.SerializeToString()) == said


def test_an_empty_model() -> None:
    assert onnx_metadata.read(b"") == {}


def test_a_truncated_model_anywhere(content: bytes) -> None:
    """Refused, or (where whole fields are missing) without the last of what it said: the manifest."""
    for length in range(len(content)):
        try:
            said = onnx_metadata.read(content[:length])
        except OnnxMetadataError:
            continue
        assert said == {}


@pytest.mark.parametrize("wrong", [b"not a model\n", bytes(100), b"\xff" * 64, b"\x0b\x0c", b"\x72\x03\x0a\x01\xff"])
def test_what_is_no_model(wrong: bytes) -> None:
    with pytest.raises(OnnxMetadataError):
        onnx_metadata.read(wrong)


@law
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(wrong: bytes) -> None:
    with suppress(OnnxMetadataError):
        onnx_metadata.read(wrong)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_what_we_ship(path: Path) -> None:
    expected = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert onnx_metadata.read(path.read_bytes()) == expected
