"""A video of one bright player, its annotations, and an engine and a model that see what is bright."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import manifest as manifests
from edge.inference import Engine
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from train.datasets.annotation_records import GroundTruthTube

WIDTH, HEIGHT, FRAMES = 96, 64, 24
LABELS = ("Basketball", "Surfing")
MANIFEST = Manifest("tiny", LABELS, HEIGHT, WIDTH, MotionSettings("none"), top_k=1)
BOX = (20.0, 10.0, 44.0, 50.0)
PLAYS = range(4, 20)  # the frames with a player


def write_video(path: Path, frames: int = FRAMES) -> None:
    """A bright rectangle at BOX on black while somebody plays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (WIDTH, HEIGHT))
    assert writer.isOpened()
    x1, y1, x2, y2 = map(int, BOX)
    for index in range(frames):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        if index in PLAYS:
            image[y1:y2, x1:x2] = 255
        writer.write(image)
    writer.release()


def write_data(folder: Path) -> Path:
    """In the layout of UCF101-24: two classes, one video each in test, training and validation."""
    x1, y1, x2, y2 = map(int, BOX)
    xywh = np.tile(np.array([x1 + 1, y1 + 1, x2 - x1, y2 - y1], np.uint8), (len(PLAYS), 1))
    annotations = {}
    for label, name in enumerate(LABELS):
        for group in (1, 8, 23):
            video = f"{name}/v_{name}_g{group:02}_c01"
            true = {"label": label, "sf": PLAYS.start, "ef": np.uint8(PLAYS.stop), "boxes": xywh}
            annotations[video] = {"label": label, "numf": np.uint8(FRAMES), "annotations": [true]}
            write_video(folder / "videos" / f"{video}.mp4")
    (folder / "pyannot.pkl").write_bytes(pickle.dumps(annotations, protocol=2))
    (folder / "testlist.txt").write_text("".join(f"{video}\n" for video in annotations if "_g01_" in video))
    (folder / "trainlist.txt").write_text("".join(f"{video}\n" for video in annotations if "_g01_" not in video))
    return folder


def tube(label: int, frames: range = PLAYS) -> GroundTruthTube:
    return GroundTruthTube(label, frames.start, np.tile(np.array(BOX, np.float32), (len(frames), 1)))


def sees_bright_things(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """The box around what is bright; Surfing where the middle of the frame is part of it, else nothing."""
    bright = inputs["image"][0, 0] > 1
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    score = 0.9 if len(rows) else 0.0
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, 1, 1)
    return outputs(box, (0.0, score))


def outputs(box: tuple[float, ...], class_scores: tuple[float, ...]) -> Mapping[str, NDArray[Any]]:
    return {
        "boxes": np.array([[box]], np.float32),
        "scores": np.array([[max(class_scores)]], np.float32),
        "labels": np.array([[int(np.argmax(class_scores))]], np.int64),
        "class_scores": np.array([[class_scores]], np.float32),
    }


ENGINE = Engine(sees_bright_things, MANIFEST, "0" * 64, "a plain function")


def write_model(path: Path, manifest: Manifest = MANIFEST, score: float = 0.9) -> Path:
    """An ONNX graph that sees its second action, Surfing, at BOX, whatever the frame."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra `train`)")
    nodes, infos = [], []
    for name, value in outputs(BOX, (0.0, score, *(0.0 for _ in manifest.labels[2:]))).items():
        nodes.append(onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value)))
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        infos.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    image = ["batch", manifest.channels, manifest.height, manifest.width]
    graph = onnx.helper.make_graph(
        nodes, "tiny", [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, image)], infos
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {manifests.METADATA_KEY: manifests.to_json(manifest)})
    onnx.save(model, str(path))
    return path
