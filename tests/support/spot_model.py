"""A model of some kilobytes that sees the brightest spot, and videos of a bright spot for it to see."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import manifest as manifests
from edge.manifest import Manifest
from edge.motion_map import MotionSettings

LABELS = ("Basketball", "Surfing")
SIDE = 64  # of the network's input
BOX = (16, 24)  # width and height of what it finds, pixels of the input, from the spot's upper left corner on
FRAME = (160, 120)  # width and height of the video
SCORE = 0.98  # of the first label while the spot is seen

MANIFEST = Manifest("spot", LABELS, SIDE, SIDE, MotionSettings(), top_k=1)


def write_spot_model(
    path: Path, manifest: Manifest = MANIFEST, channels: int | None = None, described: bool = True
) -> Path:
    """A model whose one detection begins at the brightest pixel: the first label scores 0.98 on white, 0 on black.

    `channels`: of its input, where they should not fit the manifest; not `described`: without a manifest.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'korsal-edge[train]'")
    helper, node, kinds = onnx.helper, onnx.helper.make_node, onnx.TensorProto
    classes = len(manifest.labels)
    nodes = [
        node("Slice", ["image", "zero", "three", "one"], ["colours"]),
        node("ReduceMean", ["colours"], ["grey"], axes=[1], keepdims=0),  # (B, h, w)
        node("Flatten", ["grey"], ["pixels"]),  # (B, h * w)
        node("ReduceMax", ["pixels"], ["peak"], axes=[1], keepdims=1),  # (B, 1)
        node("ArgMax", ["pixels"], ["place"], axis=1, keepdims=1),
        node("Mod", ["place", "row"], ["x"]),
        node("Div", ["place", "row"], ["y"]),
        node("Concat", ["x", "y", "x", "y"], ["corner"], axis=1),
        node("Cast", ["corner"], ["float_corner"], to=kinds.FLOAT),
        node("Add", ["float_corner", "extent"], ["box"]),
        node("Unsqueeze", ["box", "one"], ["boxes"]),  # (B, 1, 4)
        node("Sub", ["peak", "bright"], ["over"]),
        node("Mul", ["over", "steepness"], ["logit"]),
        node("Sigmoid", ["logit"], ["scores"]),  # (B, 1)
        node("Unsqueeze", ["scores", "two"], ["score_column"]),
        node("Mul", ["score_column", "profile"], ["class_scores"]),  # (B, 1, classes)
        node("Mul", ["place", "zero"], ["labels"]),  # (B, 1)
    ]
    constants = {
        **{name: np.array([value], np.int64) for name, value in (("zero", 0), ("one", 1), ("two", 2), ("three", 3))},
        "row": np.array([manifest.width], np.int64),
        "extent": np.array([[0, 0, *BOX]], np.float32),
        "bright": np.array([1], np.float32),
        "steepness": np.array([4], np.float32),
        "profile": np.array([1.0] + [0.1] * (classes - 1), np.float32),
    }
    shape = ["batch", channels or manifest.channels, manifest.height, manifest.width]
    outputs = [
        helper.make_tensor_value_info("boxes", kinds.FLOAT, ["batch", 1, 4]),
        helper.make_tensor_value_info("scores", kinds.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("labels", kinds.INT64, ["batch", 1]),
        helper.make_tensor_value_info("class_scores", kinds.FLOAT, ["batch", 1, classes]),
    ]
    image = helper.make_tensor_value_info("image", kinds.FLOAT, shape)
    initial = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "spot", [image], outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if described:
        helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(manifest)})
    onnx.save(model, str(path))
    return path


def spot(x: int | None, size: tuple[int, int] = FRAME) -> NDArray[np.uint8]:
    """A dark frame of `size` (width, height) with a white block from (x, a quarter of its height) on, or without."""
    width, height = size
    image = np.full((height, width, 3), 16, np.uint8)
    if x is not None:
        image[height // 4 : height // 4 + max(1, height // 3), x : x + max(1, width // 6)] = 255
    return image


def write_frames(path: Path, frames: list[NDArray[np.uint8]], code: str = "MJPG", fps: float = 25.0) -> Path:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (width, height), frames[0].ndim == 3)
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def write_jpegs(path: Path, frames: list[NDArray[np.uint8]]) -> Path:
    """A raw stream of JPEGs: it holds frames of any size and colour, and announces no number of them."""
    path.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    return path


def write_spot_video(path: Path, shown: int = 50, dark: int = 10) -> Path:
    """`dark` frames, `shown` frames of a block that moves right by a pixel each, `dark` frames again; 25 a second."""
    return write_frames(path, [spot(None)] * dark + [spot(20 + i) for i in range(shown)] + [spot(None)] * dark)
