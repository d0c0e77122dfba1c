"""Preprocessing and motion map as a model by themselves, run in ONNX Runtime."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from convert import graft
from edge.manifest import FRAME, INPUT, PREVIOUS, Manifest, from_json, input_shape, to_json

Run = Callable[..., dict[str, NDArray[Any]]]
ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Min", "Max"}


def without_network(manifest: Manifest, opset: int = 17) -> onnx.ModelProto:
    """A model whose only output is what a network would be given."""
    describe = helper.make_tensor_value_info
    shape: list[str | int | None] = ["batch", *input_shape(manifest, 1)[1:]]
    image, seen = (describe(name, onnx.TensorProto.FLOAT, shape) for name in (INPUT, "seen"))
    graph = helper.make_graph([helper.make_node("Identity", [INPUT], ["seen"])], "nothing", [image], [seen])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run_of(manifest: Manifest, opset: int = 17) -> Run:
    """As `grafted`, kept for the next test."""
    return _opened(to_json(manifest), opset)


@cache
def _opened(text: str, opset: int) -> Run:
    return grafted(from_json(text), opset)


def grafted(manifest: Manifest, opset: int = 17) -> Run:
    """Takes frames (B, H, W, 3) uint8 and, where there is a motion map, previous ones; returns all outputs."""
    model = graft.with_preprocessing(without_network(manifest, opset), manifest)
    onnx.checker.check_model(model, full_check=True)
    return runs(model, manifest)


def runs(model: onnx.ModelProto, manifest: Manifest) -> Run:
    """A grafted model in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(frame: NDArray[np.uint8], previous: NDArray[np.float32] | None = None) -> dict[str, NDArray[Any]]:
        inputs: dict[str, NDArray[Any]] = {FRAME: frame}
        if manifest.motion.kind != "none":
            inputs[PREVIOUS] = zeros(manifest, len(frame)) if previous is None else previous
        return dict(zip(names, session.run(None, inputs), strict=True))

    return run


def narrowed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose arithmetic is done in int32 instead of int64, as TensorRT 8.6 does it."""
    narrow = onnx.ModelProto()
    narrow.CopyFrom(model)
    graph, wide = narrow.graph, {tensor.name: tensor for tensor in narrow.graph.initializer}
    computing = [node for node in graph.node if node.op_type in ARITHMETIC]
    for name in sorted({name for node in computing for name in node.input if name in wide}):
        value = numpy_helper.to_array(wide[name])
        if value.dtype == np.int64:
            graph.initializer.append(numpy_helper.from_array(value.astype(np.int32), f"{name}_int32"))
            for node in computing:
                node.input[:] = [f"{name}_int32" if read == name else read for read in node.input]
    nodes = list(graph.node)
    for shape in [node for node in nodes if node.op_type == "Shape"]:
        sizes = shape.output[0]
        shape.output[0] = f"{sizes}_int64"
        nodes.insert(
            nodes.index(shape) + 1,
            helper.make_node("Cast", [f"{sizes}_int64"], [sizes], to=onnx.TensorProto.INT32, name=f"{shape.name}_cast"),
        )
    del graph.node[:]
    graph.node.extend(nodes)
    return narrow


def noise(shape: Sequence[int], seed: int = 0, low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    """Grey levels from `low` to below `high`, each as likely."""
    return np.random.default_rng(seed).integers(low, high, shape, np.uint8)


def zeros(manifest: Manifest, batch: int = 1) -> NDArray[np.float32]:
    """The frames before the first ones."""
    return np.zeros((batch, 3, manifest.height, manifest.width), np.float32)
