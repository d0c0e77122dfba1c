"""The delays of `new` and `end` and the false events of an annotated video, as the daemon would publish them. Pure.

The events are those of `edge.events` with its default settings, at 25 frames a second. An event is of a true tube if it
is of its action and, in one frame of the tube at least, its person's box lies on the true one (IoU 0.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from edge import events
from edge.boxes import iou
from edge.event_settings import EventSettings
from edge.sources import Frame
from edge.tubes import TubeBox
from train.box_tables import Tube
from train.evaluation.event_judgement import SAME_PERSON

FPS = 25.0
ROOM = 75  # frames that must follow a true tube for its `end` to be counted


@dataclass(frozen=True)
class PublishedEvent:
    """One event by frame numbers: where it was published, and where its end was; None: not while the video ran."""

    tube: int
    label: int
    new: int
    end: int | None = None


@dataclass(frozen=True)
class Delays:
    """Frames from the first of a true tube to `new`, negative where it came before, and from its last to `end`.

    None: never published, or never ended while the video ran. `ends` are only of tubes with an event that `ROOM` frames
    follow. `false`: events of no true tube. `frames`: of all videos.
    """

    begins: tuple[int | None, ...] = field(default=())
    ends: tuple[int | None, ...] = field(default=())
    false: int = 0
    frames: int = 0

    def __add__(self, other: "Delays") -> "Delays":
        return Delays(
            self.begins + other.begins, self.ends + other.ends, self.false + other.false, self.frames + other.frames
        )

    @property
    def false_per_hour(self) -> float:
        """Events of no true tube in an hour of video."""
        return self.false * 3600 * FPS / max(self.frames, 1)


def published_events(
    live: Sequence[Sequence[TubeBox]], labels: Sequence[str], size: tuple[int, int]
) -> list[PublishedEvent]:
    """The events of a video, given all live tubes in each of its frames; `size` is (width, height)."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    state, settings = events.initial("video", "benchmark"), EventSettings()
    published: dict[str, PublishedEvent] = {}
    for number, tube_boxes in enumerate(live):
        frame = Frame("video", number, number / FPS, number / FPS, image)
        state, happened = events.step(state, tube_boxes, frame, labels, settings)
        for event in happened:
            if event.type == "new":
                published[event.event_id] = PublishedEvent(event.tube, labels.index(event.action), number)
            elif event.type == "end":
                published[event.event_id] = replace(published[event.event_id], end=number)
    return list(published.values())


def delays(published: Sequence[PublishedEvent], live: Sequence[Sequence[TubeBox]], truth: Sequence[Tube]) -> Delays:
    """How late the events of a video are, and how many are of nothing."""
    places = {(frame, one.tube): one.box for frame, boxes in enumerate(live) for one in boxes}
    rows = [[_is_of(event, tube, places, len(live)) for event in published] for tube in truth]
    begins: list[int | None] = []
    ends: list[int | None] = []
    for tube, row in zip(truth, rows, strict=True):
        mine = [event for event, fits in zip(published, row, strict=True) if fits]
        last = tube.first_frame + len(tube.boxes) - 1
        begins.append(min(event.new for event in mine) - tube.first_frame if mine else None)
        if mine and len(live) - 1 - last >= ROOM:
            over = [event.end for event in mine if event.end is not None]
            ends.append(max(over) - last if len(over) == len(mine) else None)
    false = sum(not any(row[i] for row in rows) for i in range(len(published)))
    return Delays(tuple(begins), tuple(ends), false, len(live))


def median_delay(values: Sequence[int | None]) -> float:
    """The median, where None is later than anything; inf if it is such, nan of nothing."""
    return float(median([float("inf") if value is None else value for value in values])) if values else float("nan")


def _is_of(event: PublishedEvent, tube: Tube, places: dict[tuple[int, int], np.ndarray], frames: int) -> bool:
    """Whether the event, from its publication on, is of this true tube."""
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
