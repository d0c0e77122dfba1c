"""The tube of an event as the store keeps it: box and score of every frame, packed. Pure."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

MAX_POINTS = 50_000  # of one event: half an hour at 25 a second; from then on one a second is kept
POINT = struct.Struct("<fI4ffB")  # seconds, frame_index, box, score, observed


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
    """Points as bytes, POINT.size each."""
    return b"".join(
        POINT.pack(point.seconds, point.frame_index, *point.box, point.score, point.observed) for point in points
    )


def unpacked(content: bytes) -> tuple[TubePoint, ...]:
    """The points that `packed` has packed; what follows the last whole one is left out."""
    whole = memoryview(content)[: len(content) // POINT.size * POINT.size]
    return tuple(
        TubePoint(seconds, index, (x1, y1, x2, y2), score, bool(observed))
        for seconds, index, x1, y1, x2, y2, score, observed in POINT.iter_unpack(whole)
    )


def worth_keeping(count: int, last_seconds: float, seconds: float) -> bool:
    """Whether one more point is kept of an event of which `count` are, the last at `last_seconds`."""
    return count < MAX_POINTS or seconds - last_seconds >= 1.0
