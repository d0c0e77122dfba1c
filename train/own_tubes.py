"""Pure. From boxes of tracks, as annotation tools keep them, to tubes by the name of their action."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

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
    """A video before its labels are numbered; `frames` is 0 and `size` (width, height) None where untold."""

    name: str
    frames: int
    size: tuple[int, int] | None
    tubes: tuple[NamedTube, ...]


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
