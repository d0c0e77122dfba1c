"""The benchmarks of a memory: what is pooled around a person, and how well a score tells when an action is on."""

import math

import numpy as np
import pytest
import torch

from benchmarks.memory_features import around_person, shares
from benchmarks.memory_probe import average_precision, learnt
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation

torch.set_num_threads(1)
SIZE = (40, 20)  # of the frames; a grid of 2×2 has cells of 20×10


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 20, 10), [[1, 0], [0, 0]]),
        ((10, 5, 30, 15), [[0.25, 0.25], [0.25, 0.25]]),
        ((15, 0, 35, 10), [[0.25, 0.75], [0, 0]]),  # 5 of 20 columns left of the middle
        ((-20, -10, 20, 10), [[1, 0], [0, 0]]),
        ((50, 0, 60, 10), [[0.25, 0.25], [0.25, 0.25]]),  # outside: the whole picture
        ((10, 5, 10, 5), [[0.25, 0.25], [0.25, 0.25]]),  # no area
    ],
)
def test_shares_of_a_box(box: tuple[float, ...], expected: list[list[float]]) -> None:
    np.testing.assert_allclose(shares(np.array(box, np.float32), (2, 2), SIZE), expected)


def test_around_the_person_of_the_nearest_annotated_frame() -> None:
    """On the left in frames 2 and 3, on the right in 8; 5 is nearer to 3, 6 to 8."""
    left, right = ([[0, 0, 20, 20]], [[20, 0, 40, 20]])
    tubes = (
        GroundTruthTube(0, 2, np.array(left * 2, np.float32)),
        GroundTruthTube(0, 8, np.array(right, np.float32)),
    )
    video = VideoAnnotation("a", 10, tubes, SIZE)
    features = np.array([[[1, 2], [1, 2]]], np.float32)
    found = [float(around_person(video, frame, features)[0]) for frame in (0, 2, 3, 5, 6, 8, 9)]
    assert found == [1, 1, 1, 1, 2, 2, 2]


def test_around_two_persons() -> None:
    tubes = tuple(GroundTruthTube(0, 0, np.array([box], np.float32)) for box in ((0, 0, 20, 20), (20, 0, 40, 20)))
    features = np.array([[[1, 2], [1, 2]]], np.float32)
    assert around_person(VideoAnnotation("a", 1, tubes, SIZE), 0, features).tolist() == [1.5]


@pytest.mark.parametrize(
    ("scores", "on", "expected"),
    [
        ([0.9, 0.8, 0.1], [1, 1, 0], 1.0),
        ([0.9, 0.8, 0.1], [0, 1, 1], (1 / 2 + 2 / 3) / 2),
        ([0.1, 0.8, 0.9], [1, 0, 0], 1 / 3),
        ([0.5], [0], math.nan),
    ],
)
def test_average_precision(scores: list[float], on: list[int], expected: float) -> None:
    found = average_precision(np.array(scores, np.float32), np.array(on, np.float32))
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("hidden", [0, 16])
def test_what_one_feature_tells_is_learnt(hidden: int) -> None:
    random = np.random.default_rng(0)
    known, unseen = (random.normal(size=(count, 3)).astype(np.float32) for count in (400, 100))
    on = torch.from_numpy((known[:, :1] > 0).astype(np.float32))
    scores = learnt(known, on, unseen, hidden, 0, 16, 60)
    assert average_precision(scores[:, 0], (unseen[:, 0] > 0).astype(np.float32)) > 0.95
    classes = torch.from_numpy((known[:, 1] > 0).astype(np.int64))
    right = learnt(known, classes, unseen, hidden, 0, 16, 60).argmax(axis=1) == (unseen[:, 1] > 0)
    assert right.mean() > 0.9
