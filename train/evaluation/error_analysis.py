"""Pure. Why boxes are wrong, and what was missed: ACT's error analysis (Kalogeiton et al. 2017, `frameAP_error`).

Every box that is no hit has one cause, depending on the ground truth in its frame:

localisation    its class is there: elsewhere, or already found by a box with a higher score
classification  its class is not there, but it lies on a person who does something else
timing          nothing is there, but its class occurs at another time of the video
background      all else

Ground truth that no box found is `missed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, video_of
from train.evaluation.matching import MatchedBoxes, expand, frame_pairs
from train.evaluation.protocols import PLAIN_RULES, MatchingRules

CAUSES = ("localisation", "classification", "timing", "background")


@dataclass(frozen=True)
class ErrorShares:
    """Where the AP of one class is lost, 0..1 each; nan without ground truth.

    The first four are areas over recall of the share of a cause in all boxes so far, just as AP is the area of the
    share of hits: all five and the AP of the rule `act` add up to 1. `counts` are the boxes of each cause.
    """

    localisation: float
    classification: float
    timing: float
    background: float
    missed: float
    counts: tuple[int, int, int, int]


def error_shares(
    matched: Sequence[MatchedBoxes], truth: FrameBoxes, threshold: float = 0.5, rules: MatchingRules = PLAIN_RULES
) -> tuple[ErrorShares, ...]:
    """The errors of each class; frames must be numbered by `tables.in_video`."""
    return tuple(
        _shares(one, causes(one, label, truth, threshold, rules) if one.truths else None)
        for label, one in enumerate(matched)
    )


def causes(
    matched: MatchedBoxes, label: int, truth: FrameBoxes, threshold: float, rules: MatchingRules = PLAIN_RULES
) -> NDArray[np.int64]:
    """The cause of each box of one class: (N,) int64, an index into CAUSES, -1 for hits."""
    boxes, mine = matched.predicted, truth.labels == label
    same_there = np.isin(boxes.frames, truth.frames[mine])
    anyone_there = np.isin(boxes.frames, truth.frames)
    in_video = np.isin(video_of(boxes.frames), video_of(truth.frames[mine]))
    on_others = np.zeros(len(boxes.frames), np.bool_)
    compared = replace(boxes, boxes=expand(boxes.boxes, rules.predicted_edges))
    others = replace(truth, boxes=expand(truth.boxes, rules.true_edges)).where(~mine)
    pairs = frame_pairs(compared, others)
    on_others[pairs.predictions[pairs.overlaps >= threshold]] = True
    kinds = np.select([same_there, on_others, ~anyone_there & in_video], [0, 1, 2], 3)
    kinds[matched.taken >= 0] = -1
    return kinds


def _shares(matched: MatchedBoxes, kinds: NDArray[np.int64] | None) -> ErrorShares:
    if kinds is None:
        unknown = float("nan")
        return ErrorShares(unknown, unknown, unknown, unknown, unknown, (0, 0, 0, 0))
    so_far = np.arange(1, len(kinds) + 1)
    recall = np.cumsum(kinds < 0) / matched.truths
    steps = np.diff(recall, prepend=0)
    areas, counts = [], []
    for kind in range(len(CAUSES)):
        share = np.concatenate([[0.0], np.cumsum(kinds == kind) / so_far])
        areas.append(float(np.sum(steps * (share[1:] + share[:-1]) / 2)))
        counts.append(int(np.count_nonzero(kinds == kind)))
    missed = 1 - float(recall[-1]) if len(recall) else 1.0
    return ErrorShares(areas[0], areas[1], areas[2], areas[3], missed, (counts[0], counts[1], counts[2], counts[3]))
