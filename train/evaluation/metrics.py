"""Pure. How good detections and tubes are: curves, average precision, confusion.

`matching` decides what is a hit: unless a protocol says otherwise, a prediction that overlaps a still free ground truth
of its class by at least the threshold.

Results do not depend on the order of predictions or ground truth. Predictions of equal score in one frame are sorted
by their coordinates; along the curve they share their hits evenly, as no threshold can separate them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, Tube, ordered
from train.evaluation.matching import MatchedBoxes, frame_pairs, match, match_frames, match_tubes
from train.evaluation.protocols import PLAIN_RULES, MatchingRules

VIDEO_THRESHOLDS = tuple(float(step) / 100 for step in range(50, 100, 5))  # the ten of 0.5:0.95


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall (N,) float64, 0..1, after each prediction by falling score, and those scores (N,)."""

    scores: NDArray[np.float32]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    truths: int


@dataclass(frozen=True)
class OperatingPoint:
    """A point on a curve: precision and recall of everything that scores at least `threshold`."""

    threshold: float
    precision: float
    recall: float
    f1: float


def curve(scores: NDArray[np.float32], hits: NDArray[np.bool_] | NDArray[np.float64], truths: int) -> Curve:
    """Precision and recall by falling score; `scores` (N,) must fall, equal ones share their hits evenly."""
    _, group = np.unique(-scores, return_inverse=True)
    shared = np.bincount(group, hits) / np.bincount(group) if len(scores) else np.zeros(0)
    found = np.cumsum(shared[group])
    recall = np.minimum(found / max(truths, 1), 1)
    return Curve(scores, np.minimum(found / np.arange(1, len(scores) + 1), 1), recall, truths)


def voc_average_precision(points: Curve) -> float:
    """Area under the falling envelope of precision (Everingham et al., VOC 2010 on), 0..1; nan without truth."""
    if not points.truths:
        return float("nan")
    envelope = np.maximum.accumulate(points.precision[::-1])[::-1]
    return float(np.sum(np.diff(points.recall, prepend=0) * envelope))


def act_average_precision(points: Curve) -> float:
    """Trapezoids under the raw curve from recall 0, precision 1 (Kalogeiton et al. 2017), 0..1; nan without truth."""
    if not points.truths:
        return float("nan")
    precision = np.concatenate([[1.0], points.precision])
    return float(np.sum(np.diff(points.recall, prepend=0) * (precision[1:] + precision[:-1]) / 2))


# the rule is always named beside the number
AVERAGE_PRECISION: Mapping[str, Callable[[Curve], float]] = {
    "voc": voc_average_precision,
    "act": act_average_precision,
}


def at_threshold(points: Curve, threshold: float) -> OperatingPoint:
    """Precision, recall and F1 of what scores at least `threshold`; all 0 where nothing does."""
    count = int(np.count_nonzero(points.scores >= threshold))
    if not count:
        return OperatingPoint(threshold, 0.0, 0.0, 0.0)
    precision, recall = float(points.precision[count - 1]), float(points.recall[count - 1])
    return OperatingPoint(threshold, precision, recall, 2 * precision * recall / max(precision + recall, 1e-12))


def at_best_f1(points: Curve) -> OperatingPoint:
    """The point of highest F1, of equals that of the highest threshold; threshold 1 where nothing was predicted."""
    if not len(points.scores):
        return OperatingPoint(1.0, 0.0, 0.0, 0.0)
    total = np.maximum(points.precision + points.recall, 1e-12)
    f1 = points.precision * points.recall / total
    group_ends = np.append(points.scores[1:] != points.scores[:-1], True)
    return at_threshold(points, float(points.scores[np.argmax(np.where(group_ends, f1, -1))]))


def matched_frames(
    predicted: FrameBoxes, truth: FrameBoxes, classes: int, threshold: float = 0.5, rules: MatchingRules = PLAIN_RULES
) -> tuple[MatchedBoxes, ...]:
    """For each class its boxes of all frames, matched."""
    return tuple(
        match_frames(predicted.where(predicted.labels == label), truth.where(truth.labels == label), threshold, rules)
        for label in range(classes)
    )


def curve_of(matched: MatchedBoxes) -> Curve:
    """The curve of one class."""
    return curve(matched.predicted.scores, matched.taken >= 0, matched.truths)


def frame_curves(predicted: FrameBoxes, truth: FrameBoxes, classes: int) -> tuple[Curve, ...]:
    """One curve for each class at IoU 0.5, over the boxes of all frames."""
    return tuple(map(curve_of, matched_frames(predicted, truth, classes, 0.5, PLAIN_RULES)))


def tube_curves(
    predicted: Sequence[Tube],
    truth: Sequence[Tube],
    classes: int,
    thresholds: Sequence[float],
    rules: MatchingRules = PLAIN_RULES,
) -> tuple[tuple[Curve, ...], ...]:
    """For each class one curve for each threshold, over the tubes of all videos."""
    rows = []
    for label in range(classes):
        true = [tube for tube in truth if tube.label == label]
        scores, hits = match_tubes([tube for tube in predicted if tube.label == label], true, thresholds, rules)
        rows.append(tuple(curve(scores, found, len(true)) for found in hits))
    return tuple(rows)


def average_precision(points: Curve, rule: str, rules: MatchingRules = PLAIN_RULES) -> float:
    """AP by the rule of that name; of a class without truth 0 or nan, as `rules` has it."""
    if not points.truths and rules.zero_without_truth:
        return 0.0
    return AVERAGE_PRECISION[rule](points)


def in_frames_with_truth(predicted: FrameBoxes, truth: FrameBoxes) -> FrameBoxes:
    """Predictions in frames that hold ground truth of any class (the YOWO family's protocol)."""
    return predicted.where(np.isin(predicted.frames, truth.frames))


def confusion_matrix(
    predicted: FrameBoxes, truth: FrameBoxes, classes: int, score: float, threshold: float = 0.5
) -> NDArray[np.int64]:
    """Boxes counted by true (row) and predicted (column) class, (classes + 1, classes + 1) int64.

    Predictions that score at least `score` are matched whatever their class. The last row holds predictions without
    ground truth, the last column ground truth that nothing found.
    """
    chosen = ordered(predicted.where(predicted.scores >= score))
    true = ordered(truth)
    matched = match(frame_pairs(chosen, true), len(chosen.scores), threshold)
    missed = np.ones(len(true.labels), dtype=np.bool_)
    missed[matched[matched >= 0]] = False
    rows = np.where(matched >= 0, np.append(true.labels, -1)[matched], classes)
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    np.add.at(matrix, (rows, chosen.labels), 1)
    np.add.at(matrix[:, classes], true.labels[missed], 1)
    return matrix


def pooled(curves: Sequence[Curve]) -> Curve:
    """One curve over all classes together, each prediction matched within its class as it was."""
    hits = [np.diff(points.recall, prepend=0) * points.truths for points in curves]
    scores = np.concatenate([np.zeros(0, np.float32), *(points.scores for points in curves)])
    order = np.argsort(-scores, kind="stable")
    truths = sum(points.truths for points in curves)
    return curve(scores[order], np.concatenate([np.zeros(0), *hits])[order], truths)


def mean_with_truth(values: Sequence[float]) -> float:
    """The mean over the classes that have ground truth (the others are nan); nan where none has."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
