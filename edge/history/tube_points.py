"""The tube of an event as the store keeps it: box and score of every frame, packed. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MAX_POINTS = 50_000  # of one event: half an hour at 25 a second; from then on one a second is kept
POINT = np.dtype(
    [("seconds", "<f4"), ("frame_index", "<u4"), ("box", "<f4", (4,)), ("score", "<f4"), ("observed", "u1")]
)


class TubePoint(NamedTuple):
    """Where the person was in one frame. `seconds`: since the event's start; `box`: x1 y1 x2 y2, shares of the frame.

    `score`: of the event's action, 0..1; `observed`: False where the box is extrapolated.
    """

    seconds: float
    frame_index: int
    box: tuple[float, ...]
    score: float
    observed: bool


def packed(points: Sequence[TubePoint]) -> bytes:
    """Points as bytes, POINT.itemsize each."""
    return np.array([tuple(point) for point in points], POINT).tobytes()


def unpacked(content: bytes) -> tuple[TubePoint, ...]:
    """The points that `packed` has packed; what follows the last whole one is left out."""
    whole = np.frombuffer(content, POINT, len(content) // POINT.itemsize)
    return tuple(
        TubePoint(float(seconds), int(index), tuple(float(side) for side in box), float(score), bool(observed))
        for seconds, index, box, score, observed in whole
    )


def worth_keeping(count: int, last_seconds: float, seconds: float) -> bool:
    """Whether one more point is kept of an event of which `count` are, the last at `last_seconds`."""
    return count < MAX_POINTS or seconds - last_seconds >= 1.0
