"""Pure. From boxes of tracks, as annotation tools keep them, to tubes by the name of their action."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest

import numpy as np

from train.box_tables import Tube
from train.datasets.annotated_frames import AnnotatedFrames, max_gap

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """One box of a track.

    Frames are counted from 0; x1 y1 x2 y2, pixels; no label where nothing is done; `outside`: the person is not there.
    """

    frame: int
    corners: Corners
    label: str | None
    outside: bool = False


@dataclass(frozen=True, eq=False)
class NamedTube:
    """A tube whose label is a name; its `tube.label` and `tube.video` mean nothing yet.

    `track` is its place in the file, from 0; `origin` names both for a reader. `others`: what attributes of the track
    but the action's say, as `name=value`.
    """

    label: str
    tube: Tube
    track: int = 0
    origin: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NamedVideo:
    """A video before its labels are numbered; `frames` is 0 and `size` (width, height) None where unknown.

    `annotated_frames` are the frames that were annotated, with boxes or without. `file`: the name of its file.
    `idle`: tracks with boxes of which an attribute says throughout that nothing is done, each with its label.
    """

    name: str
    frames: int
    size: tuple[int, int] | None
    tubes: tuple[NamedTube, ...]
    annotated_frames: AnnotatedFrames = None
    file: str = ""
    idle: tuple[tuple[int, str], ...] = ()


@dataclass(eq=False)
class BoxBudget:
    """How many boxes a file may still expand to. Two in a few bytes are interpolated to all frames between them."""

    boxes: int = 2_000_000

    def take(self, count: int) -> None:
        """ValueError where the budget is exceeded."""
        self.boxes -= count
        if self.boxes < 0:
            raise ValueError(f"its tracks expand to more than {BoxBudget.boxes:,} boxes: annotate shorter parts")


def tubes_from_keyframes(tracks: Iterable[Sequence[Box]], budget: BoxBudget) -> tuple[NamedTube, ...]:
    """Tubes of tracks in frame order: between two boxes of a track, the boxes are interpolated.

    A tube ends where a box is outside, or shows something else. ValueError where the budget is exceeded.
    """
    return tuple(
        replace(tube, track=number)
        for number, track in enumerate(tracks)
        for tube in _cut(track, [box.frame for box in track[1:]], budget)
    )


def tubes_from_samples(
    tracks: Iterable[Sequence[Box]], annotated: AnnotatedFrames, budget: BoxBudget
) -> tuple[NamedTube, ...]:
    """The same of tracks that have no box in frames where the person is absent.

    Boxes are interpolated only through frames that are not annotated, between two close boxes of the track.
    """
    numbers, longest = np.arange(0) if annotated is None else annotated, max_gap(annotated)

    def continues(one: Box, two: Box) -> bool:
        first, end = np.searchsorted(numbers, [one.frame + 1, two.frame])
        return bool(two.frame - one.frame <= longest and first == end)

    def ends(track: Sequence[Box]) -> list[int]:
        return [two.frame if continues(one, two) else one.frame + 1 for one, two in pairwise(track)]

    return tuple(tube for track in tracks for tube in _cut(track, ends(track), budget))


def _cut(track: Sequence[Box], ends: Sequence[int], budget: BoxBudget) -> Iterator[NamedTube]:
    """`ends`: the frame before which what each box shows is over; the last one's is over at once."""
    run: list[Box] = []
    over = 0
    for box, end in zip_longest(track, ends):
        shown = not box.outside and box.label is not None
        if run and not (shown and box.frame == over and box.label == run[-1].label):
            yield _tube(run, over, box, budget)
            run = []
        if shown:
            run.append(box)
        over = box.frame + 1 if end is None else end
    if run:
        yield _tube(run, over, None, budget)


def _tube(run: Sequence[Box], over: int, towards: Box | None, budget: BoxBudget) -> NamedTube:
    """The boxes of a run up to the frame `over`, with those between interpolated, after the last towards the next."""
    budget.take(over - run[0].frame)
    known = [*run, towards] if towards is not None and towards.frame >= over else run
    frames, places = np.arange(run[0].frame, over), [box.frame for box in known]
    sides = zip(*(box.corners for box in known), strict=True)
    boxes = np.stack([np.interp(frames, places, side) for side in sides], axis=1).astype(np.float32)
    return NamedTube(str(run[0].label), Tube(0, 0, 1.0, run[0].frame, boxes))
