"""What people seem to do, by a second detector that knows actions: its tubes laid over those of the first. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edge.boxes import iou
from edge.tubes import TubeBox

SAME_PERSON = 0.4  # overlap of boxes in a frame
HALF = 0.5  # of its frames, in which a tube overlaps somebody's, or it is a person whom the first has missed

TubeHistory = Sequence[tuple[int, Sequence[TubeBox]]]  # live tubes by frame, rising


def laid_over(people: TubeHistory, acting: TubeHistory) -> list[tuple[int, Sequence[TubeBox]]]:
    """The people with the class scores of the acting ones where these are, and those whom nobody else has found.

    The tubes of the latter have negative numbers.
    """
    by_frame: Mapping[int, Sequence[TubeBox]] = dict(acting)
    classes = next((len(one.class_scores) for _, live in acting for one in live), 1)
    missed, known = set(_missed(people, acting)), {frame for frame, _ in people}
    found = []
    for frame, live in people:
        others = by_frame.get(frame, ())
        found.append((frame, [*_with_scores(live, others, classes), *_own(others, missed)]))
    found += [(frame, list(_own(live, missed))) for frame, live in acting if frame not in known]
    return sorted(found, key=lambda one: one[0])


def _missed(people: TubeHistory, acting: TubeHistory) -> Iterator[int]:
    """The numbers of acting tubes that mostly overlap nobody."""
    by_frame, frames, beside = dict(people), dict[int, int](), dict[int, int]()
    for frame, live in acting:
        best = _overlaps(live, by_frame.get(frame, ())).max(axis=1, initial=0)
        for one, overlap in zip(live, best.tolist(), strict=True):
            frames[one.tube] = frames.get(one.tube, 0) + 1
            beside[one.tube] = beside.get(one.tube, 0) + (overlap >= SAME_PERSON)
    return (tube for tube, count in frames.items() if beside[tube] < HALF * count)


def _with_scores(live: Sequence[TubeBox], others: Sequence[TubeBox], classes: int) -> Iterator[TubeBox]:
    overlaps = _overlaps(live, others)
    for row, one in enumerate(live):
        scores = np.zeros(classes, np.float32)
        if len(others) and overlaps[row].max() >= SAME_PERSON:
            scores = others[int(overlaps[row].argmax())].class_scores
        yield replace(one, class_scores=scores)


def _own(live: Sequence[TubeBox], missed: set[int]) -> Iterator[TubeBox]:
    return (replace(one, tube=-one.tube - 1) for one in live if one.tube in missed)


def _overlaps(one: Sequence[TubeBox], other: Sequence[TubeBox]) -> np.ndarray:
    """(n, m) IoU."""
    sides = [np.array([tube.box for tube in side], np.float32).reshape(-1, 4) for side in (one, other)]
    return iou(*sides)
