"""Pure. How far average precision may lie from its figure: confidence intervals by bootstrap over scenes.

Frames of one scene are alike, and so are its videos: a hundred more of them are no hundred more facts. So whole scenes
are drawn, with replacement, as many as there are, and average precision is measured on each such draw. Of few scenes
the interval is too narrow: it cannot know of places that were never filmed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, video_of
from train.evaluation.matching import MatchedBoxes
from train.evaluation.metrics import Curve, curve, mean_with_truth

DRAWS = 500
LEVEL = 95  # percent of the draws that lie inside


@dataclass(frozen=True)
class Interval:
    """Between these, 0..1, lie LEVEL percent of the draws; nan where fewer than two scenes can be drawn from."""

    low: float
    high: float


def average_precisions(
    matched: Sequence[MatchedBoxes],
    truth: FrameBoxes,
    scenes: Sequence[str],
    average: Callable[[Curve], float],
    random: np.random.Generator,
) -> tuple[tuple[Interval, ...], Interval]:
    """The interval of each class, and that of their mean; `scenes`: that of each video.

    `matched` and `truth` number their frames by `box_tables.in_video`.
    """
    names, numbers = np.unique(np.array(scenes, dtype=np.str_), return_inverse=True)
    count = len(names)
    true = np.zeros((len(matched), count), np.int64)
    np.add.at(true, (truth.labels, numbers[video_of(truth.frames)]), 1)
    rows = []
    for _ in range(DRAWS):
        times = random.multinomial(count, np.full(count, 1 / count)) if count else np.zeros(0, np.int64)
        rows.append([average(_drawn(one, numbers, times, mine)) for one, mine in zip(matched, true, strict=True)])
    table = np.array(rows, dtype=np.float64).reshape(DRAWS, len(matched))
    means = np.array([mean_with_truth(row) for row in table.tolist()])
    shown = (true > 0).sum(axis=1).tolist()
    of_classes = tuple(_interval(column, number) for column, number in zip(table.T, shown, strict=True))
    return of_classes, _interval(means, int((true.sum(axis=0) > 0).sum()))


def _drawn(
    one: MatchedBoxes, scene_of_video: NDArray[np.int64], times: NDArray[np.int64], true: NDArray[np.int64]
) -> Curve:
    """The curve of one class if each scene had been filmed so many times."""
    repeats = times[scene_of_video[video_of(one.predicted.frames)]]
    hits = np.repeat(one.taken >= 0, repeats)
    return curve(np.repeat(one.predicted.scores, repeats), hits, int(times @ true))


def _interval(values: NDArray[np.float64], scenes: int) -> Interval:
    """Draws without any truth say nothing, and are left out."""
    known = values[~np.isnan(values)]
    if scenes < 2 or not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(known, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(float(low), float(high))
