"""KORSAL's own rule for linking boxes into tubes, kept to compare with. Pure.

As `incremental_linking.m` and `actionPaths.m` of Abeywardena et al. 2021 ("without BBOX"), with boxes in continuous
coordinates. Every class is linked for itself, so one person gets a tube for each class that fires on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.boxes import iou, nms
from edge.detector import Detections
from edge.tubes import CutSettings, TubeBox, mean_of_best

MINIMUM_SCORE = 0.001
BEFORE_NMS = 50
NMS_IOU = 0.45
AFTER_NMS = 10
LINK_IOU = 0.1
MOST_REPEATS = 5
ORDER_BEST = 6  # MATLAB's `num_sc-jumpgap : num_sc` with a gap of 5 takes six

# What becomes a tube in the end: its whole life, tail of repeats included, if it has more than 5 boxes.
CUT = CutSettings(start_score=0, keep_score=0, keep_share=0, min_boxes=6, best=40, trim=False)


@dataclass(frozen=True, eq=False)
class ClassTube:
    """A live tube of one class. `best` are its highest scores, repeats counted, at most 6, falling."""

    tube: int
    label: int
    box: NDArray[np.float32]  # (4,), x1 y1 x2 y2, pixels of the source frame
    score: float
    best: tuple[float, ...]
    repeats: int = 0


def step(
    live: Sequence[ClassTube], detections: Detections, next_tube: int
) -> tuple[tuple[ClassTube, ...], int, tuple[TubeBox, ...]]:
    """Link one frame: the tubes that stay alive, the next free number, and where every tube is in this frame.

    `live` is as the last step left it. A tube's last repeat is still in this frame's boxes, no longer among the live.
    """
    followed: list[ClassTube] = []
    born: list[ClassTube] = []
    for label in _labels(live, detections):
        boxes, scores = candidates(detections, label)
        tubes, free = _follow([tube for tube in live if tube.label == label], boxes, scores)
        followed += tubes
        for i in free:
            score = float(scores[i])
            born.append(ClassTube(next_tube, label, boxes[i], score, (score,)))
            next_tube += 1
    followed.sort(key=lambda tube: -mean_of_best(tube.best, ORDER_BEST))  # stable: of equals the older first
    alive = tuple(tube for tube in followed if tube.repeats < MOST_REPEATS)
    classes = detections.class_scores.shape[1]
    return (*alive, *born), next_tube, tuple(_tube_box(tube, classes) for tube in (*followed, *born))


def candidates(detections: Detections, label: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (n, 4) and scores (n,) of one class that may be linked, n ≤ 10, scores falling."""
    chosen = np.flatnonzero((detections.labels == label) & (detections.scores > MINIMUM_SCORE))
    chosen = chosen[np.argsort(-detections.scores[chosen], kind="stable")][:BEFORE_NMS]
    boxes, scores = detections.boxes[chosen], detections.scores[chosen]
    kept = nms(boxes, scores, NMS_IOU)[:AFTER_NMS]
    return boxes[kept], scores[kept]


def _labels(live: Sequence[ClassTube], detections: Detections) -> list[int]:
    """The classes that have anything to do in this frame, rising."""
    return sorted({tube.label for tube in live} | set(detections.labels.tolist()))


def _follow(
    tubes: Sequence[ClassTube], boxes: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[list[ClassTube], list[int]]:
    """The tubes, in their order each taking the best-scored box in reach or repeating its last, and the boxes left."""
    last = np.array([tube.box for tube in tubes], np.float32).reshape(-1, 4)
    reach = iou(last, boxes) >= LINK_IOU  # (T, N)
    free = list(range(len(boxes)))
    followed = []
    for tube, near in zip(tubes, reach, strict=True):
        choice = next((i for i in free if near[i]), None)  # the scores fall, so the first is the best
        if choice is None:
            followed.append(_extended(replace(tube, repeats=tube.repeats + 1)))
        else:
            free.remove(choice)
            followed.append(_extended(replace(tube, box=boxes[choice], score=float(scores[choice]), repeats=0)))
    return followed, free


def _extended(tube: ClassTube) -> ClassTube:
    """The tube with its score of this frame counted among its best."""
    return replace(tube, best=tuple(sorted((*tube.best, tube.score), reverse=True)[:ORDER_BEST]))


def _tube_box(tube: ClassTube, classes: int) -> TubeBox:
    class_scores = np.zeros(max(classes, tube.label + 1), np.float32)
    class_scores[tube.label] = tube.score
    return TubeBox(tube.tube, tube.label, tube.box, tube.score, class_scores, observed=tube.repeats == 0)
