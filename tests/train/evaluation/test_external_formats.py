"""Detections as KORSAL and ROAD, MOC, and YOWO keep them: round trips, their own conventions, foreign input."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import costly
from tests.support.refusal import refusal
from train.evaluation import external_formats
from train.evaluation.detection_file import SavedDetections
from train.evaluation.external_formats import ExternalFormatError, Format, VideoIndex
from train.safe_reading import array_pickle

VIDEOS, LABELS = ("Surfing/v_a", "Skiing/v_b_2"), ("Skiing", "Surfing", "Diving")
VIDEO_INDEX = VideoIndex(VIDEOS, LABELS, np.array([3, 2]), np.array([[320, 240], [0, 0]]))


def some() -> SavedDetections:
    """Whole corners, so that YOWO's rounding changes nothing; one frame of each video shows nothing."""
    return SavedDetections(
        VIDEOS,
        LABELS,
        VIDEO_INDEX.frame_counts,
        VIDEO_INDEX.frame_sizes,
        video=np.array([0, 0, 0, 1]),
        frames=np.array([0, 0, 2, 1]),
        boxes=np.array([[0, 0, 10, 10], [1, 2, 3, 4], [5, 5, 50, 90], [0, 0, 320, 240]], np.float32),
        scores=np.array([0.5, 0.25, 1, 0.125], np.float32),
        labels=np.array([1, 0, 1, 2]),
    )


def rows(found: SavedDetections) -> list[tuple[Any, ...]]:
    columns = (found.video, found.frames, found.labels, found.scores, found.boxes.round(3))
    return sorted(
        (int(v), int(f), int(n), round(float(s), 6), *b.tolist()) for v, f, n, s, b in zip(*columns, strict=True)
    )


@pytest.mark.parametrize("kind", ["road", "moc", "yowo"])
def test_what_is_written_comes_back(tmp_path: Path, kind: Format) -> None:
    path = tmp_path / ("frame_detections.pkl" if kind == "moc" else "found")
    external_formats.save(some(), path, kind)
    assert rows(external_formats.load(path, VIDEO_INDEX)) == rows(some())


def test_files_are_named_as_the_others_name_them(tmp_path: Path) -> None:
    external_formats.save(some(), tmp_path / "road", "road")
    made = sorted(str(path.relative_to(tmp_path / "road")) for path in (tmp_path / "road").rglob("*.mat"))
    assert made == [f"Skiing/v_b_2/{n:05d}.mat" for n in (1, 2)] + [f"Surfing/v_a/{n:05d}.mat" for n in (1, 2, 3)]
    external_formats.save(some(), tmp_path / "yowo", "yowo")
    assert (tmp_path / "yowo" / "Surfing_v_a_00001.txt").read_text() == "2 0.5 0 0 10 10\n1 0.25 1 2 3 4\n"
    assert (tmp_path / "yowo" / "Surfing_v_a_00002.txt").read_text() == ""


@pytest.mark.parametrize("kind", ["road", "yowo"])
def test_videos_without_a_file_are_not_among_those_that_were_looked_at(tmp_path: Path, kind: Format) -> None:
    """One in which nothing was found has a file for each of its frames."""
    external_formats.save(some(), tmp_path / "found", kind)
    more = replace(
        VIDEO_INDEX,
        videos=(VIDEOS[0], "Diving/v_c", VIDEOS[1]),
        frame_counts=np.insert(VIDEO_INDEX.frame_counts, 1, 7),
        frame_sizes=np.insert(VIDEO_INDEX.frame_sizes, 1, (64, 48), axis=0),
    )
    found = external_formats.load(tmp_path / "found", more)
    assert found.video_names == VIDEOS
    assert found.frame_counts.tolist() == VIDEO_INDEX.frame_counts.tolist()
    assert rows(found) == rows(some())


def test_boxes_of_road_count_for_every_class_that_scores_there(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="scipy is not installed (extra `train`)")
    (tmp_path / VIDEOS[0]).mkdir(parents=True)
    scores = np.array([[0.3, 0.5, 0.0005, 0.2]])  # background first
    scipy_io.savemat(tmp_path / VIDEOS[0] / "00002.mat", {"loc": [[0.5, 0.5, 1, 1]], "scores": scores})
    found = external_formats.load(tmp_path, VIDEO_INDEX)
    assert rows(found) == [(0, 1, 0, 0.5, 160, 120, 320, 240), (0, 1, 2, 0.2, 160, 120, 320, 240)]
    assert found.class_scores is not None
    assert found.class_scores.tolist() == pytest.approx(np.tile([0.5, 0.0005, 0.2], (2, 1)))


def test_moc_counts_frames_from_one_and_labels_from_zero(tmp_path: Path) -> None:
    path = tmp_path / "frame_detections.pkl"
    table = np.array([[1, 2, 0, 0.5, 10, 20, 30, 40]], np.float32)
    for protocol in (2, 4, 5):
        path.write_bytes(pickle.dumps(table, protocol))
        assert rows(external_formats.load(path, VIDEO_INDEX)) == [(1, 1, 0, 0.5, 10, 20, 30, 40)]


class Shouting:
    """A pickle that would run something."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("executed",)


def test_pickles_are_never_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "frame_detections.pkl"
    path.write_bytes(pickle.dumps(Shouting()))
    with pytest.raises(ExternalFormatError, match=r"asks for \w+\.print"):
        external_formats.load(path, VIDEO_INDEX)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pkl", pickle.dumps(np.zeros((3, 5))), r"shape \(3, 5\)"),
        ("x.pkl", pickle.dumps([["a"] * 8]), "not frame_detections.pkl"),
        ("x.pkl", pickle.dumps(np.full((1, 8), 0.5)), "not a whole number"),
        ("x.pkl", pickle.dumps(np.array([[9, 1, 0, 0.5, 0, 0, 1, 1]])), "a video beyond the 2"),
        ("x.pkl", pickle.dumps(np.array([[0, 1, 3, 0.5, 0, 0, 1, 1]])), "a class beyond the 3"),
        ("x.pkl", pickle.dumps(np.array([[0, 0, 0, 0.5, 0, 0, 1, 1]])), "a frame before the first"),
        ("x.pkl", pickle.dumps(np.array([[0, 1, 0, 0.5, 5, 0, 1, 1]])), "x2 before x1"),
        ("x.pkl", b"", "not frame_detections.pkl"),
        ("f/Surfing_v_a_00001.txt", b"1 0.5 1 2 3\n", "not detections of YOWO"),
        ("f/Surfing_v_a_00001.txt", b"one 0.5 1 2 3 4\n", "not detections of YOWO"),
        ("f/Surfing_v_a_00001.txt", b"1 nan 1 2 3 4\n", "no plausible number"),
        ("f/Surfing_v_a_00001.txt", b"7 0.5 1 2 3 4\n", "a class beyond the 3"),
        ("f/Surfing_v_a_x.txt", b"1 0.5 1 2 3 4\n", "frame number from 1"),
        ("f/else_00001.txt", b"1 0.5 1 2 3 4\n", "holds no detections of the 2 videos"),
        ("f/Surfing/v_a/00001.mat", b"no matlab file", "not a file of loc and scores"),
        ("x.csv", b"", "neither .npz nor .pkl nor a folder"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(ExternalFormatError, match=message):
        external_formats.load(tmp_path / name.partition("/")[0], VIDEO_INDEX)


def test_mat_files_of_other_classes_are_refused(tmp_path: Path) -> None:
    external_formats.save(some(), tmp_path, "road")
    with pytest.raises(ExternalFormatError, match=r"not \(n, 4\) and \(n, 25\)"):
        external_formats.load(tmp_path, replace(VIDEO_INDEX, labels=tuple(map(str, range(24)))))


def test_a_video_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ExternalFormatError, match="outside it"):
        external_formats.save(replace(some(), video_names=("../../up", "b")), tmp_path / "out", "road")
    assert list(tmp_path.rglob("*.mat")) == []


def test_a_damaged_file_is_refused_however_scipy_fails_and_its_fresh_copy_is_read(tmp_path: Path) -> None:
    """Numbers of a type that there is not: SciPy 1.17 looks beyond the end of a table and mostly ends there."""
    external_formats.save(some(), tmp_path, "road")
    path = tmp_path / VIDEOS[0] / "00001.mat"
    content = path.read_bytes()
    path.write_bytes(content.replace(bytes([9, 0, 0, 0, 64]), bytes([10, 0, 0, 0, 64]), 1))
    with pytest.raises(ExternalFormatError, match=r"00001\.mat: not a file of loc and scores \(.*; copy it"):
        external_formats.load(tmp_path, VIDEO_INDEX)
    path.write_bytes(content)
    assert len(external_formats.load(tmp_path, VIDEO_INDEX).scores) == len(some().scores)


def damaged(data: st.DataObject, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        found[data.draw(st.integers(0, len(found) - 1))] = data.draw(st.integers(0, 255))
    return bytes(found[: data.draw(st.integers(0, len(found)))])


@given(st.data())
def test_damaged_pickles_are_refused_in_one_sentence_or_read(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "frame_detections.pkl"
    external_formats.write_moc(some(), path)
    path.write_bytes(damaged(data, path.read_bytes()))
    message = refusal(lambda: external_formats.load(path, VIDEO_INDEX), ExternalFormatError)
    assert message is None or str(path) in message


@given(st.binary(max_size=80) | st.text(st.sampled_from("0123456789. -+einfa\n"), max_size=80).map(str.encode))
def test_any_text_is_refused_in_one_sentence_or_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Surfing_v_a_00001.txt").write_bytes(content)
    message = refusal(lambda: external_formats.load(tmp_path, VIDEO_INDEX), ExternalFormatError)
    assert message is None or str(tmp_path) in message


@costly(0.3)
@given(st.data())
def test_damaged_mat_files_are_refused_in_one_sentence_or_read(tmp_path: Path, data: st.DataObject) -> None:
    external_formats.save(some(), tmp_path, "road")
    path = tmp_path / VIDEOS[0] / "00001.mat"
    path.write_bytes(damaged(data, path.read_bytes()))
    message = refusal(lambda: external_formats.load(tmp_path, VIDEO_INDEX), ExternalFormatError)
    assert message is None or str(tmp_path) in message


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_plain_values_come_back_from_a_pickle(tmp_path: Path, value: Any) -> None:
    for protocol in (2, 4, 5):
        (tmp_path / "x").write_bytes(pickle.dumps(value, protocol))
        assert array_pickle.load(tmp_path / "x") == value
