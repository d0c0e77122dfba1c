"""Metadata as the package `onnx` writes it, and bytes that are no model."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import manifest as manifests
from edge.engines import onnx_metadata
from edge.engines.protobuf import ProtobufError
from tests.support.paths import ROOT
from tests.support.tiny_model import MANIFEST, write_tiny_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")

MODELS = sorted((ROOT / "models").glob("korsal-*.onnx"))
DETECTORS = [path for path in MODELS if not path.name.startswith("memory-")]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx").read_bytes()


def test_a_manifest(content: bytes) -> None:
    properties = onnx_metadata.read(content)
    assert list(properties) == [manifests.METADATA_KEY]
    assert manifests.from_json(properties[manifests.METADATA_KEY]) == MANIFEST


@pytest.mark.parametrize("path", DETECTORS, ids=lambda path: path.stem)
def test_shipped_models_name_the_rate_of_their_videos(path: Path) -> None:
    assert json.loads(onnx_metadata.read(path.read_bytes())[manifests.METADATA_KEY])["rate"] == 25


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=300), max_size=5))
def test_what_onnx_writes_is_read(properties: dict[str, str]) -> None:
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.helper.set_model_props(model, properties)
    assert onnx_metadata.read(model.SerializeToString()) == properties


def test_an_empty_model() -> None:
    assert onnx_metadata.read(b"") == {}


def test_a_truncated_model_anywhere(content: bytes) -> None:
    """Refused, or (where whole fields are missing) without the last of what it said: the manifest."""
    for length in range(len(content)):
        try:
            properties = onnx_metadata.read(content[:length])
        except ProtobufError:
            continue
        assert properties == {}


@pytest.mark.parametrize("wrong", [b"not a model\n", bytes(100), b"\xff" * 64, b"\x0b\x0c", b"\x72\x03\x0a\x01\xff"])
def test_what_is_no_model(wrong: bytes) -> None:
    with pytest.raises(ProtobufError):
        onnx_metadata.read(wrong)


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(wrong: bytes) -> None:
    with suppress(ProtobufError):
        onnx_metadata.read(wrong)
    onnx_metadata.fault(wrong)


def with_data_elsewhere(location: str = "../../secrets.bin") -> Any:
    """A tensor whose values stand in another file."""
    tensor = onnx.TensorProto(
        name="w", data_type=onnx.TensorProto.UINT8, dims=[8], data_location=onnx.TensorProto.EXTERNAL
    )
    for key, value in (("location", location), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def model_of(nodes: Sequence[Any] = (), tensors: Sequence[Any] = (), sparse: Sequence[Any] = ()) -> Any:
    graph = onnx.helper.make_graph(list(nodes), "g", [], [], list(tensors), sparse_initializer=list(sparse))
    return onnx.helper.make_model(graph)


def node(**attributes: Any) -> Any:
    return onnx.helper.make_node("Some", [], [], **attributes)


def in_a_function() -> Any:
    made = model_of()
    made.functions.add(name="f", domain="d").node.append(node(value=with_data_elsewhere()))
    return made


@pytest.mark.parametrize(
    "model",
    [
        lambda: model_of(tensors=[with_data_elsewhere()]),
        lambda: model_of([node(value=with_data_elsewhere())]),
        lambda: model_of([node(value=[with_data_elsewhere()])]),
        lambda: model_of([node(body=model_of(tensors=[with_data_elsewhere()]).graph)]),
        lambda: model_of([node(bodies=[model_of([node(v=with_data_elsewhere())]).graph])]),
        lambda: model_of(sparse=[onnx.SparseTensorProto(values=with_data_elsewhere())]),
        lambda: model_of(sparse=[onnx.SparseTensorProto(indices=with_data_elsewhere())]),
        lambda: model_of([node(v=onnx.SparseTensorProto(values=with_data_elsewhere()))]),
        in_a_function,
    ],
)
def test_weights_in_another_file_are_found_wherever_they_stand(model: Callable[[], Any]) -> None:
    content = model().SerializeToString()
    assert onnx_metadata.external_files(content) == ("../../secrets.bin",)
    assert onnx_metadata.fault(content) == (
        "keeps weights in another file (../../secrets.bin), which is not read; export it as one file"
    )


def test_graphs_in_graphs_without_end() -> None:
    content = with_data_elsewhere().SerializeToString()
    for tag in (
        0x2A,
        *(0x32, 0x2A, 0x0A) * 1000,
        0x3A,
    ):  # tensor in graph; (graph in attribute in node in graph); that in the model
        content = bytes([tag]) + varint(len(content)) + content
    assert onnx_metadata.external_files(content) == ("../../secrets.bin",)


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def test_a_file_that_is_neither_model_nor_engine(content: bytes) -> None:
    assert onnx_metadata.fault(content) == onnx_metadata.fault(b"") == ""
    for wrong in (b"\0\0rt" + bytes(99), b"Ftrt" + bytes(99), content[:1000]):
        message = onnx_metadata.fault(wrong)
        assert message.startswith("is not a complete ONNX file (")
        assert "nor a TensorRT engine; export or copy it again, or rebuild the engine with" in message


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_what_we_ship(path: Path) -> None:
    assert onnx_metadata.fault(path.read_bytes()) == ""
    expected = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert onnx_metadata.read(path.read_bytes()) == expected
