"""Pure. Which prediction takes which ground truth: overlaps, suppression, greedy matching.

Predictions choose in order of falling score; each takes, among the ground truths of its class that are still free, the
one that it overlaps most (as ROAD's `get_PR_curve.m` and ACT's `frameAP` and `videoAP` do).
`train.evaluation.protocols` names what other protocols do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, Tube, by_score, ordered
from train.evaluation.protocols import PLAIN_RULES, BoxFilter, Edges, MatchingRules
from train.overlap import paired_iou, tube_iou


@dataclass(frozen=True, eq=False)
class CandidatePairs:
    """Predictions (P,) int64 with ground truths (P,) int64 that they may match, by index, and overlaps (P,) float64."""

    predictions: NDArray[np.int64]
    truths: NDArray[np.int64]
    overlaps: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MatchedBoxes:
    """The boxes of one class by falling score, and the ground truth that each takes: (N,) int64, -1 for none.

    Ground truths are indexed in the order of `ordered`; there are `truths` of them.
    """

    predicted: FrameBoxes
    taken: NDArray[np.int64]
    truths: int


def frame_pairs(predicted: FrameBoxes, truth: FrameBoxes) -> CandidatePairs:
    """Every prediction with every ground truth of its frame, whatever their labels."""
    by_frame = np.argsort(truth.frames, kind="stable")
    first = np.searchsorted(truth.frames[by_frame], predicted.frames, "left")
    counts = np.searchsorted(truth.frames[by_frame], predicted.frames, "right") - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    predictions = np.repeat(np.arange(len(counts)), counts)
    truths = by_frame[np.repeat(first, counts) + within]
    return CandidatePairs(predictions, truths, paired_iou(predicted.boxes[predictions], truth.boxes[truths]))


def tube_pairs(predicted: Sequence[Tube], truth: Sequence[Tube], common_frames: int = 1) -> CandidatePairs:
    """Every predicted tube with every true tube that it overlaps."""
    of_video: dict[int, list[int]] = {}
    for index, tube in enumerate(truth):
        of_video.setdefault(tube.video, []).append(index)
    rows = [
        (index, other, overlap)
        for index, tube in enumerate(predicted)
        for other in of_video.get(tube.video, ())
        if (overlap := tube_iou(tube, truth[other], common_frames)) > 0
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return CandidatePairs(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2])


def match(
    pairs: CandidatePairs, predictions: int, threshold: float, rules: MatchingRules = PLAIN_RULES
) -> NDArray[np.int64]:
    """The index of the ground truth that each prediction takes, -1 for none: (predictions,) int64.

    Lower indices choose first, so predictions must be in order of falling score.
    """
    near = pairs.overlaps > threshold if rules.more_than else pairs.overlaps >= threshold
    order = np.lexsort((pairs.truths[near], -pairs.overlaps[near], pairs.predictions[near]))
    choosing, chosen = pairs.predictions[near][order], pairs.truths[near][order]
    if not rules.free_only:
        choosing, first = np.unique(choosing, return_index=True)
        chosen = chosen[first]
    matched = [-1] * predictions
    taken: set[int] = set()
    for prediction, truth in zip(choosing.tolist(), chosen.tolist(), strict=True):
        if matched[prediction] < 0 and truth not in taken:
            matched[prediction] = truth
            taken.add(truth)
    return np.array(matched, dtype=np.int64)


def match_frames(
    predicted: FrameBoxes, truth: FrameBoxes, threshold: float, rules: MatchingRules = PLAIN_RULES
) -> MatchedBoxes:
    """Match the boxes of one class."""
    filtered = predicted if rules.boxes is None else filter_boxes(predicted, rules)
    filtered, truth = ordered(filtered), ordered(truth)
    compared = replace(filtered, boxes=_clamp(filtered.boxes, rules))
    compared = replace(compared, boxes=expand(compared.boxes, rules.predicted_edges))
    pairs = frame_pairs(compared, replace(truth, boxes=expand(truth.boxes, rules.true_edges)))
    return MatchedBoxes(filtered, match(pairs, len(filtered.scores), threshold, rules), len(truth.scores))


def match_tubes(
    predicted: Sequence[Tube], truth: Sequence[Tube], thresholds: Sequence[float], rules: MatchingRules = PLAIN_RULES
) -> tuple[NDArray[np.float32], list[NDArray[np.bool_]]]:
    """Scores (N,) of the tubes of one class, falling, and for each threshold which of them are hits (N,)."""
    mine = by_score([_expand_tube(tube, rules.predicted_edges) for tube in predicted])
    true = by_score([_expand_tube(tube, rules.true_edges) for tube in truth])
    if rules.tube_nms is not None:
        mine = suppress_tubes(mine, rules.tube_nms, rules.common_frames)
    pairs = tube_pairs(mine, true, rules.common_frames)
    scores = np.array([tube.score for tube in mine], dtype=np.float32)
    return scores, [match(pairs, len(mine), level, rules) >= 0 for level in thresholds]


def suppress_tubes(tubes: Sequence[Tube], most: float, common_frames: int = 1) -> list[Tube]:
    """Greedy NMS: of tubes by falling score those that overlap none before them by more than `most`."""
    kept: dict[int, list[Tube]] = {}
    for tube in tubes:
        others = kept.setdefault(tube.video, [])
        if all(tube_iou(other, tube, common_frames) <= most for other in others):
            others.append(tube)
    return by_score([tube for others in kept.values() for tube in others])


def filter_boxes(table: FrameBoxes, rules: MatchingRules) -> FrameBoxes:
    """The boxes of one class that pass the filter of `rules`, frame by frame; all where there is no filter."""
    rule = rules.boxes
    if rule is None:
        return table
    table = table.where(table.scores > rule.minimum_score)
    table = table.where(np.lexsort((-table.scores, table.frames)))
    table = table.where(_rank(table.frames) < rule.before)
    table = table.where(_suppressed(table, _clamp(table.boxes, rules), rule))
    return table.where(_rank(table.frames) < rule.after)


def _suppressed(table: FrameBoxes, boxes: NDArray[np.float32], rule: BoxFilter) -> NDArray[np.bool_]:
    """Which rows survive NMS (N,); rows are sorted by frame, then falling score."""
    rank = _rank(table.frames)
    later: list[NDArray[np.int64]] = []
    for step in range(1, int(rank.max(initial=0)) + 1):
        row = np.flatnonzero(rank >= step)
        overlap = paired_iou(boxes[row - step], boxes[row]) > rule.iou
        later.append(np.stack([row[overlap] - step, row[overlap]]))
    first, second = np.concatenate([np.zeros((2, 0), np.int64), *later], axis=1)
    alive = np.ones(len(boxes), dtype=np.bool_)
    for level in range(int(rank[first].max(initial=-1)) + 1):  # lower ranks are decided by now
        now = (rank[first] == level) & alive[first]
        alive[second[now]] = False
    return alive


def _rank(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of rows of the same frame above each row; rows are sorted by frame."""
    places = np.arange(len(frames))
    return places - np.searchsorted(frames, frames, "left")


def _clamp(boxes: NDArray[np.float32], rules: MatchingRules) -> NDArray[np.float32]:
    if rules.frame_size is None:
        return boxes
    width, height = rules.frame_size
    corners = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], np.array([width - 1, height - 1], np.float32))
    return np.concatenate(corners, axis=1)


def expand(boxes: NDArray[np.float32], edges: Edges) -> NDArray[np.float32]:
    """The boxes with `edges` added to x1 y1 x2 y2."""
    return boxes + np.array(edges, np.float32) if any(edges) else boxes


def _expand_tube(tube: Tube, edges: Edges) -> Tube:
    return replace(tube, boxes=expand(tube.boxes, edges)) if any(edges) else tube
