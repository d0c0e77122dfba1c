"""A network that fits on a page: it sees one person in the middle of every frame, who shines if the frame is bright."""

from pathlib import Path

import pytest

from edge import manifest as manifests
from edge.manifest import Manifest
from edge.motion_map import MotionSettings

LABELS = ("Shine", "Rest")
SIZE = 64  # pixels of the input, each way
BOX = (16.0, 16.0, 48.0, 48.0)  # of the one person, input pixels
MANIFEST = Manifest("tiny", LABELS, SIZE, SIZE, MotionSettings(kind="none"), top_k=1, licence="Apache-2.0")


def write_tiny_model(path: Path, manifest: Manifest = MANIFEST) -> Path:
    """An ONNX file with a manifest; Shine scores nearly 1 on white frames, nearly 0 on black ones, Rest always 0.3."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, kinds = onnx.helper, onnx.TensorProto
    constants = {
        "steepness": (kinds.FLOAT, [1], [4.0]),
        "rest": (kinds.FLOAT, [1, 1, 1], [0.3]),
        "cell": (kinds.INT64, [3], [1, 1, 1]),
        "boxes": (kinds.FLOAT, [1, 1, 4], BOX),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=helper.make_tensor(name, *content))
        for name, content in constants.items()
    ]
    nodes += [
        helper.make_node("ReduceMean", ["image"], ["brightness"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["brightness", "steepness"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
        helper.make_node("Reshape", ["score", "cell"], ["shine"]),
        helper.make_node("Concat", ["shine", "rest"], ["class_scores"], axis=2),
        helper.make_node("ReduceMax", ["class_scores"], ["scores"], axes=[2], keepdims=0),
        helper.make_node("ArgMax", ["class_scores"], ["labels"], axis=2, keepdims=0),
    ]
    image = helper.make_tensor_value_info("image", kinds.FLOAT, [1, 3, SIZE, SIZE])
    shapes = {
        "boxes": (kinds.FLOAT, [1, 1, 4]),
        "scores": (kinds.FLOAT, [1, 1]),
        "labels": (kinds.INT64, [1, 1]),
        "class_scores": (kinds.FLOAT, [1, 1, 2]),
    }
    outputs = [helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "tiny", [image], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(manifest)})
    onnx.save(model, str(path))
    return path
