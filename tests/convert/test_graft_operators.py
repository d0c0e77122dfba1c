"""Preprocessing and motion map inside a model: operators and types that every TensorRT reads, and NVIDIA's builder."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import onnx
import pytest

from convert import onnx_file
from convert.graft import with_preprocessing
from convert.graft_file import graft_file
from edge.manifest import FRAME, Manifest
from edge.motion_map import MotionKind, MotionSettings
from tests.support.graft import without_network
from tests.support.paths import ROOT
from tests.support.real_builder import build_for_real, real_builder
from tests.support.untrained_model import MANIFEST, write_untrained_onnx

KINDS = [
    MotionSettings(kind, shifts)
    for kind in get_args(MotionKind)
    for shifts in (True, False)
    if kind != "flow" and (shifts or kind in ("ssim", "dsim"))
]
SHIPPED = sorted((ROOT / "models").glob("korsal-lite-*.onnx"))

FLOAT, INT32, INT64, BOOL, UINT8 = "FLOAT", "INT32", "INT64", "BOOL", "UINT8"
NUMBERS = {FLOAT, INT32, INT64}
OF_NUMBERS = (
    "Add Concat Div Equal Gather GatherND Greater Identity Max Min Mul Reshape Shape Slice Sub Transpose".split()  # noqa: SIM905
)
LISTED: Mapping[str, set[str]] = {
    **dict.fromkeys(OF_NUMBERS, NUMBERS),
    **{name: {FLOAT} for name in ("AveragePool", "Floor", "ReduceMax", "ReduceMean", "ReduceMin")},
    "Cast": {*NUMBERS, BOOL, UINT8},
}
"""What NVIDIA's parser takes by its list of operators (onnx-tensorrt, docs/operators.md), by the data that is read.

In 8.5 and in 10.15 alike, the stored lists nearest to 8.6 and 10.16; INT64 counts in 8.x as INT32, to which it is
narrowed. 8.5's list has no UINT8 yet, which its own documentation and the later list have for a cast of an input.
"""


def naming(motion: MotionSettings) -> str:
    return f"{motion.kind}{'' if motion.shifts else ' unshifted'}"


def of(motion: MotionSettings) -> onnx.ModelProto:
    manifest = Manifest("any", ("Run",), 96, 128, motion=motion)
    return with_preprocessing(without_network(manifest), manifest)


def types(model: onnx.ModelProto) -> dict[str, str]:
    """The data type of each tensor."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    kinds |= {tensor.name: tensor.data_type for tensor in inferred.initializer}
    return {name: onnx.TensorProto.DataType.Name(kind) for name, kind in kinds.items()}


def readers(model: onnx.ModelProto, kind: str) -> Iterator[onnx.NodeProto]:
    """The nodes that read an input of that type."""
    names = {
        value.name
        for value in model.graph.input
        if onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type) == kind
    }
    return (node for node in model.graph.node if names & set(node.input))


@pytest.mark.parametrize("motion", KINDS, ids=naming)
def test_operators_and_types_are_listed(motion: MotionSettings) -> None:
    model = of(motion)
    kinds = types(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        assert kinds[node.input[0]] in LISTED[node.op_type], node
        assert all(attribute.type != onnx.AttributeProto.GRAPH for attribute in node.attribute)
        if node.op_type == "Slice" or node.op_type.startswith("Reduce"):
            assert set(node.input[1:]) <= constants, "axes must be an initializer"
        if node.op_type == "AveragePool":
            assert not {"dilations", "ceil_mode"} & {attribute.name for attribute in node.attribute}


@pytest.mark.parametrize("motion", KINDS, ids=naming)
def test_a_frame_is_cast_before_anything_else_reads_it(motion: MotionSettings) -> None:
    """TensorRT takes uint8 as a network's input alone, and no layer but the cast reads it (NVIDIA/TensorRT #3985)."""
    (reader,) = readers(of(motion), UINT8)
    assert reader.op_type == "Cast"
    assert onnx.helper.get_node_attr_value(reader, "to") == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_so_it_is_in_what_we_ship(path: Path) -> None:
    model, manifest = onnx_file.read(path)
    found = [node.op_type for node in readers(model, UINT8)]
    assert found == (["Cast"] if manifest.preprocessing == "graph" else [])
    kinds = {value.name for value in model.graph.input}
    assert (FRAME in kinds) == (manifest.preprocessing == "graph") == ("cpu" not in path.stem)


@pytest.mark.slow
@pytest.mark.parametrize("motion", KINDS, ids=naming)
def test_nvidias_parser_and_builder_take_every_kind(motion: MotionSettings, tmp_path: Path) -> None:
    real_builder()
    write_untrained_onnx(plain := tmp_path / "plain.onnx", replace(MANIFEST, motion=motion))
    graft_file(plain, both := tmp_path / "both.onnx")
    assert build_for_real(both, tmp_path).platform.tensorrt
