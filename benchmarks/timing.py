"""What the daemon would tell of a video whose truth is known: how late `new` and `end`, what falsely. Pure.

The events are those of `edge.events` with its default settings, at 25 frames a second. An event is of a true tube if it
is of its action and, in one frame of the tube at least, its person's box lies on the true one (IoU 0.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from edge import events
from edge.boxes import iou
from edge.events import EventSettings
from edge.sources import Frame
from edge.tubes import TubeBox
from train.box_tables import Tube
from train.evaluation.event_metrics import SAME_PERSON

FPS = 25.0
ROOM = 75  # frames that must follow a true tube for its `end` to be waited for


@dataclass(frozen=True)
class Told:
    """One event by frame numbers: from where it was published to where its end was; None: not while the video ran."""

    tube: int
    label: int
    new: int
    end: int | None = None


@dataclass(frozen=True)
class Delays:
    """Frames from the first of a true tube to `new`, below 0 where it came before, and from its last to `end`.

    None: never told, or never ended while the video ran. `ends` are of those tubes alone that were told and are
    followed by `ROOM` frames. `false`: events of no true tube. `frames`: looked at.
    """

    news: tuple[int | None, ...] = field(default=())
    ends: tuple[int | None, ...] = field(default=())
    false: int = 0
    frames: int = 0

    def __add__(self, other: "Delays") -> "Delays":
        return Delays(
            self.news + other.news, self.ends + other.ends, self.false + other.false, self.frames + other.frames
        )

    @property
    def false_per_hour(self) -> float:
        """Events of no true tube in an hour of video."""
        return self.false * 3600 * FPS / max(self.frames, 1)


def told_events(live: Sequence[Sequence[TubeBox]], labels: Sequence[str], size: tuple[int, int]) -> list[Told]:
    """The events of a video, given all live tubes in each of its frames; `size` is (width, height)."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    state, settings = events.initial("video", "benchmark"), EventSettings()
    told: dict[str, Told] = {}
    for number, tube_boxes in enumerate(live):
        frame = Frame("video", number, number / FPS, number / FPS, image)
        state, happened = events.step(state, tube_boxes, frame, labels, settings)
        for event in happened:
            if event.type == "new":
                told[event.event_id] = Told(event.tube, labels.index(event.action), number)
            elif event.type == "end":
                told[event.event_id] = replace(told[event.event_id], end=number)
    return list(told.values())


def delays(told: Sequence[Told], live: Sequence[Sequence[TubeBox]], truth: Sequence[Tube]) -> Delays:
    """How late the events of a video are, and how many are of nothing."""
    places = {(frame, one.tube): one.box for frame, boxes in enumerate(live) for one in boxes}
    rows = [[_is_of(event, tube, places, len(live)) for event in told] for tube in truth]
    news: list[int | None] = []
    ends: list[int | None] = []
    for tube, row in zip(truth, rows, strict=True):
        mine = [event for event, fits in zip(told, row, strict=True) if fits]
        last = tube.first_frame + len(tube.boxes) - 1
        news.append(min(event.new for event in mine) - tube.first_frame if mine else None)
        if mine and len(live) - 1 - last >= ROOM:
            over = [event.end for event in mine if event.end is not None]
            ends.append(max(over) - last if len(over) == len(mine) else None)
    false = sum(not any(row[i] for row in rows) for i in range(len(told)))
    return Delays(tuple(news), tuple(ends), false, len(live))


def middle(values: Sequence[int | None]) -> float:
    """The median, where None is later than anything; inf if it is such, nan of nothing."""
    return float(median([float("inf") if value is None else value for value in values])) if values else float("nan")


def _is_of(event: Told, tube: Tube, places: dict[tuple[int, int], np.ndarray], frames: int) -> bool:
    """Whether the event, from when its person did enough to be told of, is of this true tube."""
    if event.label != tube.label:
        return False
    begin = max(tube.first_frame, event.new)
    end = min(tube.first_frame + len(tube.boxes), frames if event.end is None else event.end + 1)
    pairs = [
        (places[frame, event.tube], tube.boxes[frame - tube.first_frame])
        for frame in range(begin, end)
        if (frame, event.tube) in places
    ]
    return any(iou(found[None], true[None])[0, 0] >= SAME_PERSON for found, true in pairs)
