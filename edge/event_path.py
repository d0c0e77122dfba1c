"""The path of an event: where the person was from its beginning to its end, in few boxes, and the best frame. Pure.

An event may last for hours, so its path is thinned while it grows: whenever it has MAX_BOXES boxes, every second one is
left out, and from then on boxes are taken half as often. At the end those are left out that lie between their
neighbours anyway (Douglas and Peucker, 1973, over time): somebody who stands still needs two.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.sources import TIME_TOLERANCE

MAX_BOXES = 64
TOLERANCE = 0.005  # of the frame's width and height, by which a box that is left out may differ from its neighbours'


@dataclass(frozen=True)
class PathBox:
    """Where the person was in one frame."""

    monotonic: float  # seconds
    box: tuple[float, ...]  # x1 y1 x2 y2, 0..1 of the frame's width and height
    score: float  # 0..1
    frame_index: int


@dataclass(frozen=True)
class EventPath:
    """`boxes`: from the first on, at least `interval` seconds apart; `last`: the newest; `best`: with the top score."""

    boxes: tuple[PathBox, ...]
    last: PathBox
    best: PathBox
    interval: float = 0.0


def begin(box: PathBox) -> EventPath:
    """The path of an event that begins here."""
    return EventPath((box,), box, box)


def extended(path: EventPath, box: PathBox) -> EventPath:
    """The path with one more box; it never holds more than MAX_BOXES, `last` included."""
    best = box if box.score > path.best.score else path.best
    path = replace(path, last=box, best=best)
    if box.monotonic - path.boxes[-1].monotonic + TIME_TOLERANCE < path.interval:
        return path
    boxes = (*path.boxes, box)
    if len(boxes) < MAX_BOXES:
        return replace(path, boxes=boxes)
    seconds = boxes[-1].monotonic - boxes[0].monotonic
    return replace(path, boxes=boxes[::2], interval=2 * seconds / (len(boxes) - 1))


def thinned(path: EventPath) -> tuple[PathBox, ...]:
    """The boxes worth telling: the first, the last, and those between that no straight line replaces."""
    boxes = path.boxes if path.boxes[-1] is path.last else (*path.boxes, path.last)
    times = np.array([box.monotonic for box in boxes])
    shares = np.array([box.box for box in boxes])  # (N, 4)
    kept, spans = {0, len(boxes) - 1}, [(0, len(boxes) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        differences = _from_line(times[first : last + 1], shares[first : last + 1])
        furthest = int(differences.argmax())
        if differences[furthest] > TOLERANCE:
            kept.add(first + furthest)
            spans += [(first, first + furthest), (first + furthest, last)]
    return tuple(boxes[place] for place in sorted(kept))


def _from_line(times: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how far each box (N, 4) is from one that moves evenly from the first to the last."""
    seconds = times[-1] - times[0]
    passed = (times - times[0]) / seconds if seconds > 0 else np.linspace(0, 1, len(times))
    expected = shares[0] + passed[:, None] * (shares[-1] - shares[0])
    differences: NDArray[np.float64] = np.abs(shares - expected).max(axis=1)
    return differences
