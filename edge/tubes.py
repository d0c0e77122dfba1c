"""Tubes: where one live tube is in one frame, and the action tubes that are cut out of such a record. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TubeBox:
    """Where one live tube is in one frame.

    `label` is the action that scores highest and `score` its score. Not `observed`: no detection supports the box in
    this frame, it is extrapolated and may leave the frame.
    """

    tube: int
    label: int
    box: NDArray[np.float32]  # (4,), x1 y1 x2 y2, pixels of the source frame
    score: float  # 0..1
    class_scores: NDArray[np.float32]  # (classes,), 0..1
    observed: bool


@dataclass(frozen=True, eq=False)
class ActionTube:
    """One action of one person from its first frame to its last."""

    label: int
    frames: NDArray[np.int64]  # (n,), rising
    boxes: NDArray[np.float32]  # (n, 4), x1 y1 x2 y2, pixels of the source frame
    scores: NDArray[np.float32]  # (n,), of this action
    score: float  # mean of the best


@dataclass(frozen=True)
class CutSettings:
    """Where an action tube begins and ends within the life of a tube.

    It begins with a score of at least `start_score` and goes on while the score is at least `keep_score` and at least
    `keep_share` of the best score since it began. To begin anew the score must have been below `keep_score` meanwhile,
    or the worst meanwhile at most `keep_share` of what it is now: a slow end does not begin again and again. All looks
    back only, so that the same cuts could be made live.
    `min_boxes`: shorter ones are dropped. `best`: the tube's score is the mean of that many highest scores.
    `trim`: leave out extrapolated boxes at both ends.
    """

    start_score: float = 0.1
    keep_score: float = 0.05
    keep_share: float = 0.4
    min_boxes: int = 6
    best: int = 40
    trim: bool = True


Sighting = tuple[int, TubeBox]  # frame number, box


def cut(history: Iterable[Sighting], settings: CutSettings) -> list[ActionTube]:
    """All action tubes in a record of one video, frames rising; of one tube first by label, then in time.

    A person who does two things at once gives two tubes, one for each action.
    """
    lives: defaultdict[int, list[Sighting]] = defaultdict(list)
    for frame, tube_box in history:
        lives[tube_box.tube].append((frame, tube_box))
    return [action for life in lives.values() for action in _actions(life, settings)]


def _actions(life: Sequence[Sighting], settings: CutSettings) -> list[ActionTube]:
    """The action tubes in the life of one tube."""
    class_scores = np.stack([tube_box.class_scores for _, tube_box in life])  # (n, classes)
    boxes = np.stack([tube_box.box for _, tube_box in life])
    frames = np.array([frame for frame, _ in life], np.int64)
    observed = np.array([tube_box.observed for _, tube_box in life])
    best = class_scores.max(axis=0, initial=0)
    actions = []
    for label in np.flatnonzero((best >= settings.start_score) & (best > 0)):
        scores = class_scores[:, label]
        for begin, end in _runs(scores, settings):
            part = _trimmed(begin, end, observed) if settings.trim else slice(begin, end)
            if part.stop - part.start >= settings.min_boxes:
                score = mean_of_best(scores[part], settings.best)
                actions.append(ActionTube(int(label), frames[part], boxes[part], scores[part], score))
    return actions


def _runs(scores: NDArray[np.float32], settings: CutSettings) -> list[tuple[int, int]]:
    """Where the action goes on: (begin, end) with `end` one beyond the last, in time; a score of 0 ends it."""
    runs = []
    begin, peak, valley = -1, 0.0, 0.0
    for i, score in enumerate(scores.tolist()):
        if begin >= 0:
            peak = max(peak, score)
            if score < max(settings.keep_score, settings.keep_share * peak) or score <= 0:
                runs.append((begin, i))
                begin, valley = -1, score
        else:
            valley = min(valley, score)
            low = valley < settings.keep_score or valley <= settings.keep_share * score
            if low and score >= settings.start_score and score > 0:
                begin, peak = i, score
    if begin >= 0:
        runs.append((begin, len(scores)))
    return runs


def _trimmed(begin: int, end: int, observed: NDArray[np.bool_]) -> slice:
    """The run without the extrapolated boxes at its ends; empty if it has no others."""
    seen = begin + np.flatnonzero(observed[begin:end])
    return slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(begin, begin)


def mean_of_best(scores: Sequence[float] | NDArray[np.float32], count: int) -> float:
    """The mean of the `count` highest scores, of all if there are fewer; of none, 0."""
    best = np.sort(np.asarray(scores, np.float64))[::-1][:count]
    return float(best.mean()) if len(best) else 0.0
