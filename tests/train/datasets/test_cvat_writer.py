"""What is written for CVAT is read as it was: boxes to a hundredth of a pixel, actions, ends, names in any script."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.datasets.cvat import read_cvat
from train.datasets.cvat_writer import Track, VideoFacts, as_xml, labels_json
from train.datasets.tracks import NamedTube, NamedVideo

VIDEO = VideoFacts("Küche/été 2.mp4", 50, (640, 360))


def read(folder: Path, text: str) -> NamedVideo:
    path = folder / "a.xml"
    path.write_text(text, encoding="utf-8")
    return read_cvat(path)


def boxes(count: int, step: float = 1.5) -> np.ndarray:
    return np.array([[10 + step * n, 20, 40 + step * n, 90] for n in range(count)], np.float32)


def assert_tube(found: NamedTube, label: str, first: int, expected: np.ndarray) -> None:
    assert (found.label, found.tube.first_frame) == (label, first)
    np.testing.assert_allclose(found.tube.boxes, expected, atol=0.011)


def test_a_person_who_falls_and_lies(tmp_path: Path) -> None:
    """Of the straight walk three boxes are written: first, change of the action and last; and the one that ends it."""
    moved = boxes(20)
    text = as_xml(VIDEO, [Track(5, moved, (*[None] * 8, *["fällt <tief>"] * 12))], "person")
    assert text.count("<box ") == 4
    video = read(tmp_path, text)
    assert (video.name, video.frames, video.size) == ("Küche/été 2", 50, (640, 360))
    (tube,) = video.tubes
    assert_tube(tube, "fällt <tief>", 13, moved[8:])


def test_a_track_up_to_the_last_frame_ends_with_it(tmp_path: Path) -> None:
    video = read(tmp_path, as_xml(VIDEO, [Track(40, boxes(10), ("fall",) * 10)], "person"))
    assert_tube(video.tubes[0], "fall", 40, boxes(10))


def test_nobody_and_a_track_without_boxes(tmp_path: Path) -> None:
    for tracks in ([], [Track(0, boxes(0), ())]):
        video = read(tmp_path, as_xml(VIDEO, tracks, "person"))
        assert video.tubes == ()
        assert video.annotated_frames is not None
        assert len(video.annotated_frames) == 50  # all of them, as showing nobody


def test_labels_for_the_constructor_of_cvat() -> None:
    (label,) = json.loads(labels_json("person", ["fall", "klettern über"]))
    assert (label["name"], label["type"]) == ("person", "rectangle")
    (attribute,) = label["attributes"]
    assert (attribute["name"], attribute["mutable"]) == ("action", True)
    assert attribute["values"] == ["none", "fall", "klettern über"]


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_thinning_moves_no_box_by_more_than_its_share(tolerance: float, tmp_path: Path) -> None:
    moved = boxes(30) + np.random.default_rng(0).normal(0, 1, (30, 4)).astype(np.float32)
    text = as_xml(VIDEO, [Track(0, moved, ("fall",) * 30)], "person", tolerance)
    (tube,) = read(tmp_path, text).tubes
    shortest = (moved[:, 2:] - moved[:, :2]).min(axis=1)
    assert (np.abs(tube.tube.boxes - moved).max(axis=1) <= shortest * tolerance + 0.011).all()
    assert text.count("<box ") == 31 if not tolerance else text.count("<box ") < 25


Drawn = list[tuple[int, list[tuple[int, str | None]]]]  # first frames; x and action of each box
action = st.sampled_from([None, "fall", "climb"])
drawn_track = st.tuples(st.integers(0, 20), st.lists(st.tuples(st.integers(0, 300), action), min_size=1, max_size=12))


@given(st.lists(drawn_track, max_size=4))
def test_the_round_trip_loses_nothing(tmp_path_factory: pytest.TempPathFactory, drawn: Drawn) -> None:
    """Read, written and read again: the same tubes, whatever a person does in between."""
    tracks = [
        Track(first, np.array([[x, 5, x + 20, 60] for x, _ in steps], np.float32), tuple(name for _, name in steps))
        for first, steps in drawn
    ]
    folder = tmp_path_factory.getbasetemp()
    found = read(folder, as_xml(VIDEO, tracks, "person"))
    again = [Track(one.tube.first_frame, one.tube.boxes, (one.label,) * len(one.tube.boxes)) for one in found.tubes]
    repeated = read(folder, as_xml(VIDEO, again, "person"))
    assert len(repeated.tubes) == len(found.tubes)
    for ours, theirs in zip(repeated.tubes, found.tubes, strict=True):
        assert_tube(ours, theirs.label, theirs.tube.first_frame, theirs.tube.boxes)
    acting = sum(name is not None for _, steps in drawn for _, name in steps)
    assert sum(len(one.tube.boxes) for one in found.tubes) == acting
