"""A detector of people with YOLO's input and output, in a few operators."""

from pathlib import Path

import numpy as np
import pytest


def write_detector(path: Path, shape: tuple[int | str, ...] = (1, 3, 64, 96)) -> Path:
    """An ONNX whose one person is always in the middle, surer where the picture is bright."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    box = helper.make_tensor("box", kinds.FLOAT, [1, 4, 1], [48.0, 32.0, 24.0, 36.0])
    pads = np.zeros((1, 5, 19), np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["score"], axes=[2, 3], keepdims=1),
        helper.make_node("ReduceMean", ["score"], ["mean"], axes=[1, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["one"]),
        helper.make_node("Concat", ["box", "one"], ["found"], axis=1),
        helper.make_node("Concat", ["found", "pads"], ["output0"], axis=2),
    ]
    constants = [
        box,
        helper.make_tensor("axis", kinds.INT64, [1], [2]),
        helper.make_tensor("pads", kinds.FLOAT, pads.shape, pads.ravel()),
    ]
    given = helper.make_tensor_value_info("images", kinds.FLOAT, shape)
    made = helper.make_tensor_value_info("output0", kinds.FLOAT, [1, 5, 20])
    graph = helper.make_graph(nodes, "detector", [given], [made], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
