"""Tubes as ACT and MOC keep them: round trip, their conventions, foreign input."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.refusal import refusal
from tests.support.saved_tubes import LABELS, VIDEOS, tubes
from train.evaluation.external_formats import ExternalFormatError, VideoIndex
from train.evaluation.moc_tubes import read_moc_tubes, write_moc_tubes
from train.evaluation.tube_file import SavedTubes

VIDEO_INDEX = VideoIndex(VIDEOS, LABELS, np.zeros(2, np.int64), np.zeros((2, 2), np.int64))
ROWS = np.array([[4, 0, 0, 10, 10, 0.5], [5, 1, 0, 11, 10, 1]], np.float32)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    write_moc_tubes(tubes(), tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.pkl")) == ["v_a_tubes.pkl", "v_b_tubes.pkl"]
    read = read_moc_tubes(tmp_path, VIDEO_INDEX)
    for one, two in zip(sorted(read.tubes, key=lambda t: -t.tube.video), tubes().tubes, strict=True):
        assert (one.tube.video, one.tube.label, one.tube.first_frame) == (
            two.tube.video,
            two.tube.label,
            two.tube.first_frame,
        )
        assert one.tube.score == pytest.approx(two.tube.score)
        np.testing.assert_array_equal(one.tube.boxes, two.tube.boxes)
        np.testing.assert_array_equal(one.scores, two.scores)


def test_frames_count_from_one_and_only_videos_with_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "Skiing" / "v_b_tubes.pkl"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps({1: [[ROWS, np.float32(0.75)]], 0: []}))
    read = read_moc_tubes(tmp_path, VIDEO_INDEX)
    assert read.video_names == ("Skiing/v_b",)
    assert [(one.tube.video, one.tube.label, one.tube.first_frame) for one in read.tubes] == [(0, 1, 3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({1: [[ROWS[:, :5], 1.0]]}, r"shape \(2, 5\)"),
        ({1: [[ROWS[::-1], 1.0]]}, "do not follow each other"),
        ({2: [[ROWS, 1.0]]}, "class has no name"),
        ({1: [[ROWS, float("nan")]]}, "shape"),
        ({1: [[ROWS * [1, 9, 1, 0, 1, 1], 1.0]]}, "x2 before x1"),
        ([1], "not tubes of ACT or MOC"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "Surfing").mkdir()
    (tmp_path / "Surfing" / "v_a_tubes.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ExternalFormatError, match=message):
        read_moc_tubes(tmp_path, VIDEO_INDEX)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExternalFormatError, match="holds no tubes of the 2 videos"):
        read_moc_tubes(tmp_path, VIDEO_INDEX)
    with pytest.raises(ExternalFormatError, match="leads outside it"):
        write_moc_tubes(SavedTubes(("../x",), LABELS, ()), tmp_path / "y")


@given(st.data())
def test_damaged_files_are_refused_in_one_sentence_or_read(tmp_path: Path, data: st.DataObject) -> None:
    write_moc_tubes(tubes(), tmp_path)
    path = tmp_path / "Skiing" / "v_b_tubes.pkl"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    message = refusal(lambda: read_moc_tubes(tmp_path, VIDEO_INDEX), ExternalFormatError)
    assert message is None or str(path) in message
