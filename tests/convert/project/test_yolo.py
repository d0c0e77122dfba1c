"""Detectors of others: the three layouts of YOLO's output, held to one result, and what is refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from convert.project import yolo
from edge.inference import EngineError
from tests.support.yolo_file import write_detector

FILE = Path("person.onnx")
BOXES = np.array([[100, 80, 60, 120], [102, 82, 60, 120], [400, 200, 50, 100]], np.float32)  # cx cy w h
EXPECTED = [[70, 20, 130, 140], [375, 150, 425, 250]]  # of the two that overlap the better


def v8(person: int = 0, classes: int = 3) -> np.ndarray:
    """(1, 4 + classes, N), most rows of no score."""
    out = np.zeros((1, 4 + classes, 50), np.float32)
    out[0, :4, :3] = BOXES.T
    out[0, 4 + person, :3] = (0.9, 0.8, 0.7)
    return out


def v5(person: int = 0, classes: int = 3) -> np.ndarray:
    out = np.zeros((1, 50, 5 + classes), np.float32)
    out[0, :3, :4] = BOXES
    out[0, :3, 4] = 1.0
    out[0, :3, 5 + person] = (0.9, 0.8, 0.7)
    return out


def v10(person: int = 0) -> np.ndarray:
    out = np.zeros((1, 50, 6), np.float32)
    out[0, :, 5] = 99
    out[0, :3, :4] = np.hstack([BOXES[:, :2] - BOXES[:, 2:] / 2, BOXES[:, :2] + BOXES[:, 2:] / 2])
    out[0, :3, 4] = (0.9, 0.8, 0.7)
    out[0, :3, 5] = person
    return out


@pytest.mark.parametrize("output", [v8(), v5(), v10()], ids=["v8", "v5", "v10"])
def test_people(output: np.ndarray) -> None:
    boxes, scores = yolo.people(output, 0, 0.3, FILE)
    assert boxes.tolist() == EXPECTED
    assert scores == pytest.approx([0.9, 0.7])
    assert len(yolo.people(output, 0, 0.75, FILE)[0]) == 1
    assert len(yolo.people(output, 1, 0.3, FILE)[0]) == 0  # others than people


def test_numbers_that_are_none_are_left_out() -> None:
    output = v8()
    output[0, 2, 0] = np.nan
    output[0, 4, 2] = 1.5
    boxes, scores = yolo.people(output, 0, 0.3, FILE)
    assert np.isfinite(boxes).all()
    assert scores.max() <= 1


@pytest.mark.parametrize(
    ("output", "person", "message"),
    [
        (np.zeros((1, 1000)), 0, r"gives \(1, 1000\), which is none of YOLO"),
        (np.zeros((2, 84, 100)), 0, "none of YOLO"),
        (v8(), 7, "knows 3 classes, none of number 7; give --person"),
        (v5(), 3, "knows 3 classes, none of number 3"),
    ],
)
def test_what_is_refused(output: np.ndarray, person: int, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        yolo.people(output, person, 0.3, FILE)


def test_a_detector_of_others_in_frames_of_another_shape(tmp_path: Path) -> None:
    """A frame twice as large, and one that is letterboxed: boxes are pixels of the frame."""
    find = yolo.opened(write_detector(tmp_path / "d.onnx"), 0, 0.3)
    found = find(np.full((128, 192, 3), 255, np.uint8))
    assert found.boxes.tolist() == [[72, 28, 120, 100]]
    assert (found.scores, found.labels.tolist()) == (pytest.approx([1.0]), [0])
    square = find(np.full((64, 64, 3), 255, np.uint8))  # 16 columns of grey on either side
    assert square.boxes.tolist() == [[20, 14, 44, 50]]
    assert len(find(np.zeros((64, 96, 3), np.uint8)).scores) == 0


def test_files_that_are_no_detector(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(EngineError, match=r"text.onnx: is not a complete ONNX file"):
        yolo.opened(tmp_path / "text.onnx", 0, 0.3)
    with pytest.raises(EngineError, match="cannot be opened"):
        yolo.opened(tmp_path / "none.onnx", 0, 0.3)
    model = onnx.load(str(write_detector(tmp_path / "whole.onnx")))
    for stored in model.graph.initializer:
        stored.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(stored), stored.name))
    onnx.save(model, str(tmp_path / "outside.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(EngineError, match="keeps weights in another file"):
        yolo.opened(tmp_path / "outside.onnx", 0, 0.3)
    with pytest.raises(EngineError, match=r"and one image \(1, 3, h, w\) is wanted"):
        yolo.opened(write_detector(tmp_path / "six.onnx", (1, 6, 64, 96)), 0, 0.3)
    free = yolo.opened(write_detector(tmp_path / "free.onnx", (1, 3, "h", "w")), 0, 0.3)
    assert len(free(np.full((64, 96, 3), 255, np.uint8)).scores) == 1
