"""Made-up detections: by their seed alone, sound, and near the truth."""

from typing import Any

import numpy as np
import pytest

from benchmarks.jitter import Jitter, detections
from edge.boxes import iou
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation

CALM = Jitter(
    lasting=0,
    passing=0,
    misnamed=0,
    spread=0,
    wander=0,
    missing=0,
    occlusions=0,
    twice=0,
    outside=0,
    lasting_alarms=0,
    flashes=0,
)
BOX = np.array([100, 60, 140, 160], np.float32)
VIDEO = VideoAnnotation("Run/v_Run_g01_c01", 60, (GroundTruthTube(1, 10, np.tile(BOX, (40, 1))),))


def made(jitter: Any, seed: int = 0) -> Any:
    return detections(VIDEO, 3, jitter, np.random.default_rng(seed))


def test_without_any_fault_the_truth_is_found() -> None:
    found = made(CALM)
    assert [len(one.scores) > 0 for one in found] == [False] * 10 + [True] * 40 + [False] * 10
    for one in found[10:50]:
        assert (one.boxes == BOX).all()
        assert one.labels[0] == 1
        assert one.scores[0] == pytest.approx(1 / (1 + np.exp(-CALM.logit)))


def test_the_seed_alone_decides() -> None:
    one, same, other = made(Jitter(), 4), made(Jitter(), 4), made(Jitter(), 5)
    assert all((a.boxes == b.boxes).all() and (a.scores == b.scores).all() for a, b in zip(one, same, strict=True))
    assert any(len(a.scores) != len(b.scores) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_detections_are_sound(seed: int) -> None:
    for one in made(Jitter(lasting_alarms=0.2, flashes=3), seed):
        assert (np.diff(one.scores) <= 0).all()
        assert ((one.boxes >= 0) & (one.boxes <= [320, 240, 320, 240])).all()
        assert (one.boxes[:, 2:] >= one.boxes[:, :2]).all()
        assert (one.class_scores[np.arange(len(one.labels)), one.labels] == one.scores).all()


def test_an_occlusion_hides_a_stretch_of_at_most_thirty_frames() -> None:
    jitter = Jitter(**{**vars(CALM), "occlusions": 0.02})
    hidden = [len(one.scores) == 0 for one in made(jitter, 3)[10:50]]
    assert 0 < sum(hidden) < 40


def test_boxes_err_as_they_should() -> None:
    jitter = Jitter(**{**vars(CALM), "passing": 0.05, "growth": 0})
    overlaps = [float(iou(BOX[None], one.boxes[:1])[0, 0]) for one in made(jitter)[10:50]]
    assert 0.75 < np.mean(overlaps) < 0.95
