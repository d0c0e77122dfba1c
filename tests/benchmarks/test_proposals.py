"""How much of annotated people was proposed: boxes, whole tubes, tracks."""

import numpy as np

from benchmarks.proposals import Counts
from train.datasets.annotation_records import GroundTruthTube
from train.datasets.cvat_writer import Track

BOX = np.array([10, 10, 30, 50], np.float32)


def boxes(count: int, moved: float = 0) -> np.ndarray:
    return np.tile(BOX + np.float32(moved), (count, 1))


def track(first: int, count: int, moved: float = 0) -> Track:
    return Track(first, boxes(count, moved), (None,) * count)


def counted(*tracks: Track) -> Counts:
    """Of a tube of ten frames from the fifth on."""
    counts = Counts()
    counts.add([GroundTruthTube(0, 5, boxes(10))], tracks)
    return counts


def test_a_track_that_begins_earlier_and_lies_on_a_tube_finds_all_of_it() -> None:
    assert counted(track(0, 40)) == Counts(videos=1, boxes=10, found=10, tubes=1, whole=1, tracks=1)


def test_two_halves_find_every_box_and_no_whole_tube() -> None:
    assert counted(track(0, 10), track(10, 10)) == Counts(1, 10, 10, 1, 0, 2)


def test_what_is_missing_beside_or_elsewhere_in_time_finds_nothing() -> None:
    assert counted() == Counts(1, 10, 0, 1, 0, 0)
    assert counted(track(5, 10, moved=20), track(15, 10), track(0, 5)) == Counts(1, 10, 0, 1, 0, 3)


def test_four_fifths_are_nearly_whole() -> None:
    assert counted(track(5, 8)).whole == 1
    assert counted(track(5, 7)).whole == 0
