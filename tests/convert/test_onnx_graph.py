"""Graphs are rearranged without another result."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from convert.onnx_graph import number_tensors, share_constants, store_halves, weights_digest


def constant(name: str, value: float) -> onnx.NodeProto:
    tensor = numpy_helper.from_array(np.array([value], np.float32))
    return helper.make_node("Constant", [], [name], name=name, value=tensor)


def graph(nodes: list[onnx.NodeProto], outputs: list[str]) -> onnx.ModelProto:
    described = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ["x", *outputs]]
    model = helper.make_model(helper.make_graph(nodes, "g", described[:1], described[1:]))
    model.opset_import[0].version = 17
    model.ir_version = 8
    return model


def answer(model: onnx.ModelProto) -> list[float]:
    runtime = pytest.importorskip("onnxruntime", reason="the extra cpu")
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [float(value[0]) for value in session.run(None, {"x": np.array([5], np.float32)})]


def test_equal_constants_become_one_and_the_answer_stays() -> None:
    sums = [helper.make_node("Add", ["x", "two"], ["y"]), helper.make_node("Mul", ["y", "also_two"], ["z"])]
    nodes = [constant("two", 2), sums[0], constant("also_two", 2), constant("three", 3), sums[1]]
    nodes.append(helper.make_node("Sub", ["z", "three"], ["end"]))
    model = graph(nodes, ["end"])
    before = answer(model)
    share_constants(model)
    assert [node.name for node in model.graph.node if node.op_type == "Constant"] == ["two", "three"]
    onnx.checker.check_model(model)
    assert answer(model) == before == [11.0]


def test_a_constant_that_is_an_answer_keeps_its_name() -> None:
    nodes = [constant("two", 2), constant("given", 2), helper.make_node("Add", ["x", "two"], ["y"])]
    model = graph(nodes, ["given", "y"])
    share_constants(model)
    assert answer(model) == [2.0, 7.0]


def test_a_graph_within_a_node_may_read_any_of_them() -> None:
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "also_two"], ["sum"])],
        "branch",
        [],
        [helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, [1])],
    )
    zero = helper.make_node("Less", ["two", "x"], ["less"])
    nodes = [constant("two", 2), constant("also_two", 2), zero]
    nodes.append(helper.make_node("If", ["less"], ["y"], then_branch=branch, else_branch=branch))
    model = graph(nodes, ["y"])
    share_constants(model)
    assert answer(model) == [7.0]
    before = model.SerializeToString()
    number_tensors(model)
    assert model.SerializeToString() == before


def test_short_names_change_no_answer_and_no_name_that_is_asked_for() -> None:
    sums = [helper.make_node("Add", ["x", "two"], ["a/long/name"], name="sum")]
    model = graph([constant("two", 2), *sums, helper.make_node("Mul", ["a/long/name", "two"], ["y"])], ["y"])
    number_tensors(model)
    assert [*model.graph.node[1].output, *model.graph.node[2].output] == ["1", "y"]
    assert model.graph.node[1].name == "sum"
    assert answer(model) == [14.0]


def test_named_weights_that_fp16_holds_take_half_the_room_and_the_answer_stays() -> None:
    """Of three such weights one has too many digits and one is too large; the fourth has another name."""
    exact = np.random.default_rng(0).standard_normal(4096).astype(np.float16).astype(np.float32)
    held = {"a.b": exact, "a.c": exact + np.float32(1e-6), "a.d": exact * np.float32(1e6), "b": exact}
    nodes = [helper.make_node("ReduceSum", [name], [f"sum_{name}"]) for name in held]
    nodes.append(helper.make_node("Sum", ["x", *(f"sum_{name}" for name in held)], ["y"]))
    model = graph(nodes, ["y"])
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in held.items())
    before, digest, size = answer(model), weights_digest(model), model.ByteSize()
    store_halves(model, "a.")
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert [name for name, kind in stored.items() if kind == onnx.TensorProto.FLOAT16] == ["a.b.half"]
    assert size - model.ByteSize() > 1.9 * len(exact)
    onnx.checker.check_model(model, full_check=True)
    assert answer(model) == before
    assert weights_digest(model) == digest
