"""Confidence intervals over scenes: what few, equal and different scenes give."""

import numpy as np
import pytest

from train.box_tables import FrameBoxes, in_video
from train.evaluation import bootstrap
from train.evaluation.bootstrap import Interval
from train.evaluation.metrics import matched_frames, voc_average_precision

BOX = [10.0, 10.0, 50.0, 90.0]


def boxes(videos: list[int], label: int = 0) -> FrameBoxes:
    """One box in the first frame of each of the videos."""
    count = len(videos)
    frames = in_video(np.array(videos, np.int64), np.zeros(count, np.int64))
    table = np.tile(np.array(BOX, np.float32), (count, 1))
    return FrameBoxes(frames, np.full(count, label, np.int64), table, np.full(count, 0.9, np.float32))


def intervals(found: list[int], true: list[int], scenes: list[str]) -> tuple[tuple[Interval, ...], Interval]:
    truth = boxes(true)
    matched = matched_frames(boxes(found), truth, 2)
    return bootstrap.average_precisions(matched, truth, scenes, voc_average_precision, np.random.default_rng(0))


def test_of_two_scenes_one_found_and_one_missed_everything_is_possible() -> None:
    """A quarter of all draws is the one scene twice, a quarter the other: AP 1 and 0."""
    (first, second), mean = intervals([0], [0, 1], ["hall", "yard"])
    assert (first.low, first.high) == (0, 1)
    assert (mean.low, mean.high) == (0, 1)
    assert np.isnan(second.low)  # there is no truth of that class


def test_scenes_that_are_alike_leave_no_doubt() -> None:
    (first, _), mean = intervals([0, 1, 2], [0, 1, 2], ["a", "b", "c"])
    assert (first, mean) == (Interval(1, 1), Interval(1, 1))


def test_videos_of_one_scene_are_drawn_together() -> None:
    """Ten videos of each of two scenes say no more than one of each."""
    many = intervals([*range(10)], [*range(20)], ["hall"] * 10 + ["yard"] * 10)
    assert many[0][0] == Interval(0, 1)
    apart = intervals([*range(10)], [*range(20)], [f"scene {n}" for n in range(20)])
    assert 0.2 < apart[0][0].low < apart[0][0].high < 0.8  # as if they were independent: narrower


@pytest.mark.parametrize("scenes", [["hall", "hall"], ["hall", "empty"]])
def test_of_one_scene_with_truth_nothing_is_known(scenes: list[str]) -> None:
    (first, _), mean = intervals([0], [0], scenes)
    assert np.isnan([first.low, first.high, mean.low, mean.high]).all()


def test_nothing_at_all() -> None:
    (first, _), mean = intervals([], [], [])
    assert np.isnan([first.low, mean.low]).all()
