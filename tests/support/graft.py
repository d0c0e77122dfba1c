"""Preprocessing and motion map as a model by themselves, run in ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from convert import graft
from edge.manifest import FRAME, INPUT, PREVIOUS, Manifest, input_shape

Run = Callable[..., dict[str, NDArray[Any]]]


def without_network(manifest: Manifest, opset: int = 17) -> onnx.ModelProto:
    """A model whose only output is what a network would be given."""
    describe = helper.make_tensor_value_info
    shape: list[str | int | None] = ["batch", *input_shape(manifest, 1)[1:]]
    image, seen = (describe(name, onnx.TensorProto.FLOAT, shape) for name in (INPUT, "seen"))
    graph = helper.make_graph([helper.make_node("Identity", [INPUT], ["seen"])], "nothing", [image], [seen])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def grafted(manifest: Manifest, opset: int = 17) -> Run:
    """Takes frames (B, H, W, 3) uint8 and, where there is a motion map, previous ones; returns all outputs."""
    model = graft.with_preprocessing(without_network(manifest, opset), manifest)
    onnx.checker.check_model(model, full_check=True)
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


def zeros(manifest: Manifest, batch: int = 1) -> NDArray[np.float32]:
    """The frames before the first ones."""
    return np.zeros((batch, 3, manifest.height, manifest.width), np.float32)
