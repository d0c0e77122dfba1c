"""Pure. How good detections and tubes are: overlaps, greedy matching, curves, average precision, confusion.

Boxes are x1 y1 x2 y2 in pixels, continuous coordinates (no "+1" anywhere); frames and labels are counted from 0.
A prediction counts as a hit when it overlaps a still free ground truth of its class by at least the threshold;
predictions choose in order of falling score, each takes the free one that it overlaps most, each is taken once
(as ROAD's `get_PR_curve.m` and ACT's `frameAP` and `videoAP` do; ROAD asks for more than the threshold in tubes).

Nothing depends on the order in which predictions or ground truth are given. Predictions of equal score in one frame
are ordered by their coordinates; along the curve they share their hits evenly, as no threshold can part them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VIDEO_THRESHOLDS = tuple(float(step) / 100 for step in range(50, 100, 5))  # the ten of 0.5:0.95


@dataclass(frozen=True, eq=False)
class FrameBoxes:
    """Boxes of many frames in one flat table.

    frames (N,) int64: a number for each frame, unlike any other's over all videos; labels (N,) int64;
    boxes (N, 4) float32; scores (N,) float32, which ground truth leaves at any value.
    """

    frames: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "FrameBoxes":
        """The chosen rows, by a mask or by their indices."""
        return FrameBoxes(self.frames[chosen], self.labels[chosen], self.boxes[chosen], self.scores[chosen])


@dataclass(frozen=True, eq=False)
class Tube:
    """One action tube in video number `video`: row i of boxes (n, 4) belongs to frame `first_frame + i`."""

    video: int
    label: int
    score: float
    first_frame: int
    boxes: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Predictions (P,) int64 beside ground truths (P,) int64 that could be theirs, and their overlap (P,) float64."""

    predictions: NDArray[np.int64]
    truths: NDArray[np.int64]
    overlaps: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall (N,) float64, 0..1, after each prediction by falling score, and those scores (N,)."""

    scores: NDArray[np.float32]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    truths: int


@dataclass(frozen=True)
class Point:
    """One place on a curve: everything that scores at least `threshold`."""

    threshold: float
    precision: float
    recall: float
    f1: float


def paired_iou(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union (N,) of row i of (N, 4) with row i of (N, 4); 0 where a box has no area."""
    one, two = first.astype(np.float64), second.astype(np.float64)
    sides = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])
    intersection = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(np.maximum(one[:, 2:] - one[:, :2], 0), axis=1)
    areas = areas + np.prod(np.maximum(two[:, 2:] - two[:, :2], 0), axis=1)
    overlap: NDArray[np.float64] = intersection / np.where(intersection > 0, areas - intersection, 1)
    return overlap


def tube_iou(first: Tube, second: Tube) -> float:
    """Temporal IoU times the mean spatial IoU over the common frames; 0 for tubes of two videos."""
    begin = max(first.first_frame, second.first_frame)
    end = min(first.first_frame + len(first.boxes), second.first_frame + len(second.boxes))
    common = end - begin
    if common <= 0 or first.video != second.video:
        return 0.0
    union = len(first.boxes) + len(second.boxes) - common
    one = first.boxes[begin - first.first_frame : end - first.first_frame]
    two = second.boxes[begin - second.first_frame : end - second.first_frame]
    return float(common / union * paired_iou(one, two).mean())


def frame_pairs(predicted: FrameBoxes, truth: FrameBoxes) -> Pairs:
    """Every prediction beside every ground truth of its frame, whatever their labels."""
    by_frame = np.argsort(truth.frames, kind="stable")
    first = np.searchsorted(truth.frames[by_frame], predicted.frames, "left")
    counts = np.searchsorted(truth.frames[by_frame], predicted.frames, "right") - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    predictions = np.repeat(np.arange(len(counts)), counts)
    truths = by_frame[np.repeat(first, counts) + within]
    return Pairs(predictions, truths, paired_iou(predicted.boxes[predictions], truth.boxes[truths]))


def tube_pairs(predicted: Sequence[Tube], truth: Sequence[Tube]) -> Pairs:
    """Every predicted tube beside every true tube that it touches."""
    of_video: dict[int, list[int]] = {}
    for index, tube in enumerate(truth):
        of_video.setdefault(tube.video, []).append(index)
    rows = [
        (index, other, overlap)
        for index, tube in enumerate(predicted)
        for other in of_video.get(tube.video, ())
        if (overlap := tube_iou(tube, truth[other])) > 0
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Pairs(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2])


def match(pairs: Pairs, predictions: int, threshold: float) -> NDArray[np.int64]:
    """The index of the ground truth that each prediction takes, -1 for none: (predictions,) int64.

    Lower indices choose first, so predictions must be counted by falling score.
    """
    near = pairs.overlaps >= threshold
    order = np.lexsort((pairs.truths[near], -pairs.overlaps[near], pairs.predictions[near]))
    matched = [-1] * predictions
    taken: set[int] = set()
    for prediction, truth in zip(
        pairs.predictions[near][order].tolist(), pairs.truths[near][order].tolist(), strict=True
    ):
        if matched[prediction] < 0 and truth not in taken:
            matched[prediction] = truth
            taken.add(truth)
    return np.array(matched, dtype=np.int64)


def curve(scores: NDArray[np.float32], hits: NDArray[np.bool_], truths: int) -> Curve:
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


def at_threshold(points: Curve, threshold: float) -> Point:
    """Precision, recall and F1 of what scores at least `threshold`; all 0 where nothing does."""
    count = int(np.count_nonzero(points.scores >= threshold))
    if not count:
        return Point(threshold, 0.0, 0.0, 0.0)
    precision, recall = float(points.precision[count - 1]), float(points.recall[count - 1])
    return Point(threshold, precision, recall, 2 * precision * recall / max(precision + recall, 1e-12))


def at_best_f1(points: Curve) -> Point:
    """The point of highest F1, of equals that of the highest threshold; threshold 1 where nothing was predicted."""
    if not len(points.scores):
        return Point(1.0, 0.0, 0.0, 0.0)
    total = np.maximum(points.precision + points.recall, 1e-12)
    f1 = points.precision * points.recall / total
    group_ends = np.append(points.scores[1:] != points.scores[:-1], True)
    return at_threshold(points, float(points.scores[np.argmax(np.where(group_ends, f1, -1))]))


def frame_curves(predicted: FrameBoxes, truth: FrameBoxes, classes: int, threshold: float = 0.5) -> tuple[Curve, ...]:
    """One curve for each class, over the boxes of all frames."""
    return tuple(
        _frame_curve(predicted.where(predicted.labels == label), truth.where(truth.labels == label), threshold)
        for label in range(classes)
    )


def _frame_curve(predicted: FrameBoxes, truth: FrameBoxes, threshold: float) -> Curve:
    predicted, truth = ordered(predicted), ordered(truth)
    matched = match(frame_pairs(predicted, truth), len(predicted.scores), threshold)
    return curve(predicted.scores, matched >= 0, len(truth.scores))


def tube_curves(
    predicted: Sequence[Tube], truth: Sequence[Tube], classes: int, thresholds: Sequence[float]
) -> tuple[tuple[Curve, ...], ...]:
    """For each class one curve for each threshold, over the tubes of all videos."""
    rows = []
    for label in range(classes):
        mine = sorted((tube for tube in predicted if tube.label == label), key=_tube_order)
        true = sorted((tube for tube in truth if tube.label == label), key=_tube_order)
        pairs = tube_pairs(mine, true)
        scores = np.array([tube.score for tube in mine], dtype=np.float32)
        rows.append(tuple(curve(scores, match(pairs, len(mine), level) >= 0, len(true)) for level in thresholds))
    return tuple(rows)


def joined(tables: Sequence[FrameBoxes]) -> FrameBoxes:
    """One table below the other; none make an empty one."""
    return FrameBoxes(
        np.concatenate([np.zeros(0, np.int64), *(table.frames for table in tables)]),
        np.concatenate([np.zeros(0, np.int64), *(table.labels for table in tables)]),
        np.concatenate([np.zeros((0, 4), np.float32), *(table.boxes for table in tables)]),
        np.concatenate([np.zeros(0, np.float32), *(table.scores for table in tables)]),
    )


def ordered(table: FrameBoxes) -> FrameBoxes:
    """The same rows by falling score; equal scores by frame, then x1, y1, x2, y2."""
    x1, y1, x2, y2 = table.boxes.T
    return table.where(np.lexsort((y2, x2, y1, x1, table.frames, -table.scores)))


def _tube_order(tube: Tube) -> tuple[float, int, int, bytes]:
    return -float(np.float32(tube.score)), tube.video, tube.first_frame, tube.boxes.tobytes()


def in_annotated_frames(predicted: FrameBoxes, truth: FrameBoxes) -> FrameBoxes:
    """Only what was predicted in frames that hold ground truth of any class (the YOWO family's protocol)."""
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


def pooled(predicted: FrameBoxes, truth: FrameBoxes, classes: int, threshold: float = 0.5) -> Curve:
    """One curve over all classes together, each prediction still matched within its class."""
    # a frame of one class becomes a frame of its own
    apart = [FrameBoxes(t.frames * classes + t.labels, t.labels, t.boxes, t.scores) for t in (predicted, truth)]
    return _frame_curve(apart[0], apart[1], threshold)


def mean_with_truth(values: Sequence[float]) -> float:
    """The mean over the classes that have ground truth (the others are nan); nan where none has."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
