"""A model of some kilobytes that sees somebody where a frame is brighter or darker than the one it is compared with."""

from pathlib import Path

import numpy as np
import pytest

from edge import manifest as manifests
from edge.manifest import Manifest
from edge.motion_map import MotionSettings

SIDE = 32  # of the network's input
ACTION = "Blinking"
MANIFEST = Manifest("change", (ACTION,), SIDE, SIDE, MotionSettings("previous", gap=2), top_k=1)  # 2 / 25 s


def write_change_model(path: Path) -> Path:
    """One detection in the middle of the frame: its score is near 1 where the frame has changed, near 0 where not."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, node, kinds = onnx.helper, onnx.helper.make_node, onnx.TensorProto
    nodes = [
        node("Slice", ["image", "zero", "three", "channels"], ["current"]),
        node("Slice", ["image", "three", "six", "channels"], ["previous"]),
        node("Sub", ["current", "previous"], ["difference"]),
        node("ReduceMean", ["difference"], ["mean"], axes=[1, 2, 3], keepdims=1),
        node("Flatten", ["mean"], ["change"]),  # (B, 1)
        node("Abs", ["change"], ["size"]),
        node("Sub", ["size", "threshold"], ["over"]),
        node("Mul", ["over", "steepness"], ["logit"]),
        node("Sigmoid", ["logit"], ["scores"]),  # (B, 1)
        node("Unsqueeze", ["scores", "channels"], ["class_scores"]),  # (B, 1, 1)
        node("Mul", ["class_scores", "nothing"], ["corner"]),  # (B, 1, 1), 0
        node("Add", ["corner", "place"], ["boxes"]),  # (B, 1, 4)
        node("Cast", ["scores"], ["whole"], to=kinds.INT64),
        node("Mul", ["whole", "zero"], ["labels"]),  # (B, 1)
    ]
    constants = {
        **{name: np.array([value], np.int64) for name, value in (("zero", 0), ("channels", 1), ("three", 3))},
        "six": np.array([6], np.int64),
        "threshold": np.array([0.5], np.float32),
        "steepness": np.array([20], np.float32),
        "nothing": np.array([0], np.float32),
        "place": np.array([[[8, 8, 24, 24]]], np.float32),
    }
    outputs = [
        helper.make_tensor_value_info("boxes", kinds.FLOAT, ["batch", 1, 4]),
        helper.make_tensor_value_info("scores", kinds.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("labels", kinds.INT64, ["batch", 1]),
        helper.make_tensor_value_info("class_scores", kinds.FLOAT, ["batch", 1, 1]),
    ]
    image = helper.make_tensor_value_info("image", kinds.FLOAT, ["batch", MANIFEST.channels, SIDE, SIDE])
    initial = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "change", [image], outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(MANIFEST)})
    onnx.save(model, str(path))
    return path
