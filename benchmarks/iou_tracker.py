"""A plain IoU tracker to compare with: no prediction, and a tube ends at its first miss. Pure.

As Bochinski et al. 2017, "High-speed tracking-by-detection without using image information": the tubes, oldest first,
each take the detection that overlaps their last box most, if by at least `LEAST_IOU`; one that finds none ends. A tube
counts if one of its scores reaches `HIGH_SCORE`. Its class is that of most of its detections, of equals the smaller.
Before, detections of any class on the same place are made one, the best, as the default linker makes them one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.boxes import iou, nms
from edge.detector import Detections
from edge.tubes import TubeBox
from train.evaluation.action_tubes import ActionTube, FrameTubeBox, by_tube, whole_tube

LOW_SCORE, HIGH_SCORE, MERGE_IOU = 0.05, 0.15, 0.55  # the default linker's
LEAST_IOU = 0.3
MIN_BOXES, BEST = 6, 40


@dataclass(frozen=True, eq=False)
class Track:
    """A live tube: its last box (4,) and how often it was of each class (classes,)."""

    tube: int
    box: NDArray[np.float32]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class TrackerState:
    """The live tubes, the oldest first, and the next free number."""

    tracks: tuple[Track, ...] = ()
    next_tube: int = 1


def step(state: TrackerState, detections: Detections) -> tuple[TrackerState, tuple[TubeBox, ...]]:
    """Link one frame; returns all live tubes, each with the class of most of its detections so far."""
    strong = np.flatnonzero(detections.scores >= LOW_SCORE)
    free = strong[nms(detections.boxes[strong], detections.scores[strong], MERGE_IOU)].tolist()
    continued: list[tuple[Track, int]] = []
    for track in state.tracks:
        overlap = iou(track.box[None], detections.boxes[free])[0]
        if len(free) and overlap.max() >= LEAST_IOU:
            continued.append((track, free.pop(int(overlap.argmax()))))
    classes = detections.class_scores.shape[1]
    nothing = np.zeros(4, np.float32)
    started = [(Track(state.next_tube + i, nothing, np.zeros(classes, np.int64)), one) for i, one in enumerate(free)]
    rows = [(_extended(track, detections, one), one) for track, one in continued + started]
    boxes = tuple(_tube_box(track, float(detections.scores[one])) for track, one in rows)
    return TrackerState(tuple(track for track, _ in rows), state.next_tube + len(started)), boxes


def action_tubes(history: Iterable[FrameTubeBox]) -> list[ActionTube]:
    """The tubes in a record of a whole video that are long and score high enough, each of its last class."""
    return [
        whole_tube(record, record[-1][1].label, BEST)
        for record in by_tube(history)
        if len(record) >= MIN_BOXES and max(tube_box.score for _, tube_box in record) >= HIGH_SCORE
    ]


def _extended(track: Track, detections: Detections, one: int) -> Track:
    counts = track.counts.copy()
    counts[detections.labels[one]] += 1
    return Track(track.tube, detections.boxes[one], counts)


def _tube_box(track: Track, score: float) -> TubeBox:
    label = int(track.counts.argmax())
    class_scores = np.zeros(len(track.counts), np.float32)
    class_scores[label] = score
    return TubeBox(track.tube, label, track.box, score, class_scores, observed=True)
