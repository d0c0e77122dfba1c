"""How long actions last as a rule."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.started_daemon import write_video
from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation
from train.evaluation.action_lengths import MIN_SPREAD, typical_lengths, with_lengths
from train.evaluation.action_tubes import Segmentation
from train.evaluation.linking import LINKING_METHODS


def data(*lengths: tuple[int, int], group: str = "g08", rate: float | None = None) -> DataSet:
    """A training video for each (label, frames) of a tube, Jump or Run."""
    videos = tuple(video(group, label, frames) for label, frames in lengths)
    return DataSet(("Jump", "Run"), videos, (), Path(), rate=rate)


def video(group: str, label: int, frames: int) -> VideoAnnotation:
    tube = GroundTruthTube(label, 3, np.zeros((frames, 4), np.float32))
    return VideoAnnotation(f"v_Any_{group}_c{label:02}", 400, (tube,))


def test_the_median_and_the_spread_of_the_logarithm() -> None:
    found = typical_lengths(data((1, 10), (1, 20), (1, 40), (1, 80), (1, 160)))
    assert list(found) == ["Run"]
    assert found["Run"].median == pytest.approx(40 / 25)  # seconds
    assert found["Run"].spread == pytest.approx(2**0.5 * np.log(2))  # of −2 −1 0 1 2 times log 2


def test_lengths_are_in_seconds_of_the_data(tmp_path: Path) -> None:
    tubes = [(0, 30)] * 5
    assert typical_lengths(data(*tubes, rate=10.0))["Jump"].median == pytest.approx(3)
    own = replace(data(*tubes), videos=tmp_path)
    assert typical_lengths(own)["Jump"].median == pytest.approx(30 / 25)  # no file tells, nor the data
    for one in own.train:
        write_video(own.videos / f"{one.name}.avi", "w" * 8, fps=15)
    assert typical_lengths(own)["Jump"].median == pytest.approx(2)


def test_lengths_that_are_alike_may_be_so_by_chance() -> None:
    assert typical_lengths(data(*[(0, 30)] * 5))["Jump"].spread == MIN_SPREAD


def test_few_tubes_give_no_typical_length() -> None:
    assert typical_lengths(data(*[(0, 30)] * 4)) == {}
    assert typical_lengths(data(*[(0, 30)] * 4, (0, 0))) == {}  # nor of one without a frame
    assert typical_lengths(data()) == {}


def test_held_out_videos_do_not_count() -> None:
    assert typical_lengths(data(*[(0, 30)] * 9, group="g23")) == {}
    known = data(*[(0, 30)] * 5)
    with_others = DataSet(known.labels, (*known.train, video("g24", 0, 300)), (video("g01", 0, 300),) * 9, Path())
    assert typical_lengths(with_others) == typical_lengths(known)


def test_lengths_stand_in_the_order_of_the_labels() -> None:
    found = typical_lengths(data(*[(0, 30)] * 5))
    default, korsal = LINKING_METHODS["default"], LINKING_METHODS["korsal"]
    assert with_lengths(default, found, ("Run", "Jump")).action_tubes == Segmentation(lengths=(None, found["Jump"]))
    assert with_lengths(default, {}, ()) == default
    assert with_lengths(korsal, found, ("Run", "Jump")) == korsal
