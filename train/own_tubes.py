"""Pure. From boxes of tracks, as annotation tools keep them, to tubes by the name of their action."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from train.looked_at import Looked, near
from train.tables import Tube

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """One box of a track: frame from 0; x1 y1 x2 y2, pixels; no label where nothing is done; outside: not there."""

    frame: int
    corners: Corners
    label: str | None
    outside: bool = False


@dataclass(frozen=True, eq=False)
class NamedTube:
    """A tube whose label is a name; its `tube.label` and `tube.video` mean nothing yet."""

    label: str
    tube: Tube


@dataclass(frozen=True, eq=False)
class NamedVideo:
    """A video before its labels are numbered; `frames` is 0 and `size` (width, height) None where untold.

    `looked_at` are the frames that were annotated, with boxes or without.
    """

    name: str
    frames: int
    size: tuple[int, int] | None
    tubes: tuple[NamedTube, ...]
    looked_at: Looked = None


def between(one: Box, two: Box) -> Iterator[Box]:
    """The boxes of the frames between two of a track, interpolated; they show what the first shows."""
    for frame in range(one.frame + 1, two.frame):
        share = (frame - one.frame) / (two.frame - one.frame)
        x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(one.corners, two.corners, strict=True))
        yield Box(frame, (x1, y1, x2, y2), one.label)


def bridged(track: Iterable[Box], looked: Looked) -> Iterator[Box]:
    """A track, frames rising, with boxes in the frames that nobody looked at between two close ones that it has."""
    last: Box | None = None
    numbers, longest = np.arange(0) if looked is None else looked, near(looked)
    for box in track:
        if last is not None and box.frame - last.frame <= longest:
            first, end = np.searchsorted(numbers, [last.frame + 1, box.frame])
            if first == end:
                yield from between(last, box)
        yield box
        last = box


def named_tubes(tracks: Iterable[Iterable[Box]]) -> tuple[NamedTube, ...]:
    """Each track cut where a frame lacks a box, or the label changes; frames of a track must rise."""
    return tuple(tube for track in tracks for tube in _cut(track))


def _cut(track: Iterable[Box]) -> Iterable[NamedTube]:
    run: list[Box] = []
    for box in track:
        shown = not box.outside and box.label is not None
        if run and not (shown and box.frame == run[-1].frame + 1 and box.label == run[-1].label):
            yield _tube(run)
            run = []
        if shown:
            run.append(box)
    if run:
        yield _tube(run)


def _tube(run: list[Box]) -> NamedTube:
    boxes = np.array([box.corners for box in run], dtype=np.float32)
    return NamedTube(str(run[0].label), Tube(0, 0, 1.0, run[0].frame, boxes))
