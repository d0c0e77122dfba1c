"""Saved detections → the events that the daemon would tell, beside the actions that are true. Arithmetic on records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge import events
from edge.boxes import iou
from edge.events import ActionSettings, Event, EventSettings
from edge.linker import LinkerSettings
from edge.sources import Frame
from edge.tubes import TubeBox
from train.annotations import GroundTruthTube, VideoAnnotation
from train.detection_file import SavedDetections
from train.linking import tubes_by_frame

SAME_PERSON = 0.3  # IoU; whether an event is right does not depend on how tight its box is
HOUR = 3600.0

Truth = Mapping[str, Sequence[GroundTruthTube]]  # true tubes by the video's name; labels as in the detections
Moments = Sequence[Sequence[TubeBox]]  # all live tubes of frame 0, 1, 2 …


@dataclass(frozen=True)
class Tally:
    """What was told of some videos under one setting.

    `seconds` were watched, `idle` of them without a true action. `told`: of the `actions` that are there, those with a
    right event; `delays`: seconds from the start of each of these until its first right event was published, negative
    where one was published before. `events` were published; of the `wrong` ones, `alarms` began while there was no
    action at all. `loud`: people in idle frames whose smoothed score reached the start score, one for each action.
    """

    seconds: float = 0.0
    idle: float = 0.0
    actions: int = 0
    told: int = 0
    delays: tuple[float, ...] = ()
    events: int = 0
    wrong: int = 0
    alarms: int = 0
    loud: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def alarms_per_hour(self) -> float:
        """Events that began without any action, by the hour of time without one; nan where there is no such time."""
        return self.alarms / self.idle * HOUR if self.idle else float("nan")

    @property
    def loud_per_hour(self) -> float:
        """Likewise of `loud`."""
        return self.loud / self.idle * HOUR if self.idle else float("nan")

    @property
    def precision(self) -> float:
        """Share of the events that are right; nan where there is none."""
        return 1 - self.wrong / self.events if self.events else float("nan")

    @property
    def recall(self) -> float:
        """Share of the actions that were told; nan where there is none."""
        return self.told / self.actions if self.actions else float("nan")

    @property
    def delay(self) -> float:
        """The median of `delays`, seconds; nan where there is none."""
        return float(np.median(self.delays)) if self.delays else float("nan")


def truth_of(videos: Sequence[VideoAnnotation], labels: Sequence[str], found: SavedDetections) -> Truth:
    """The true tubes of `videos`, whose labels are those of `labels`, with the labels of the detections."""
    ours = [found.label_names.index(label) for label in labels]
    return {video.name: [replace(tube, label=ours[tube.label]) for tube in video.tubes] for video in videos}


def at_score(start_score: float) -> ActionSettings:
    """The default settings with another start score; the score to go on at keeps its proportion to it."""
    usual = ActionSettings()
    return replace(usual, start_score=start_score, keep_score=start_score * usual.keep_score / usual.start_score)


def tell(
    found: SavedDetections,
    truth: Truth,
    rate: float,
    linker: LinkerSettings,
    rules: Sequence[ActionSettings],
    progress: Callable[[], object] = lambda: None,
) -> tuple[Tally, ...]:
    """A tally for each of `rules`; every video is linked once. `rate`: frames per second, of all videos."""
    tallies = [Tally()] * len(rules)
    for video, name in enumerate(found.video_names):
        moments = tubes_by_frame(found, video, linker)
        size = tuple(found.frame_sizes[video].tolist())
        for place, rule in enumerate(rules):
            happened = _happened(moments, size, found.label_names, rate, rule)
            tallies[place] += _tally(moments, happened, truth.get(name, ()), found.label_names, rate, rule)
        progress()
    return tuple(tallies)


def as_table(rules: Sequence[ActionSettings], tallies: Sequence[Tally]) -> str:
    """One line for each setting, under a head."""
    head = f"watched {tallies[0].seconds / HOUR:.2f} h, of which {tallies[0].idle / HOUR:.2f} h without any action"
    names = ("start", "keep", "actions", "told", "delay s", "events", "right", "alarms", "alarms/h", "loud/h")
    rows = [
        (
            f"{rule.start_score:.3g}",
            f"{rule.keep_score:.3g}",
            f"{tally.actions}",
            f"{100 * tally.recall:.1f} %",
            f"{tally.delay:.2f}",
            f"{tally.events}",
            f"{100 * tally.precision:.1f} %",
            f"{tally.alarms}",
            f"{tally.alarms_per_hour:.0f}",
            f"{tally.loud_per_hour:.0f}",
        )
        for rule, tally in zip(rules, tallies, strict=True)
    ]
    lines = ["".join(f"{cell:>10}" for cell in row) for row in (names, *rows)]
    return "\n".join([head, *lines])


def _happened(
    moments: Moments, size: tuple[int, int], labels: Sequence[str], rate: float, rule: ActionSettings
) -> list[Event]:
    """All steps of all events of one video, closed at its end."""
    state, settings = events.initial("video", "evaluation"), EventSettings(replace(rule, update_interval=0.0))
    picture: NDArray[np.uint8] = np.broadcast_to(np.uint8(0), (size[1], size[0], 3))
    happened: list[Event] = []
    for index, tube_boxes in enumerate(moments):
        frame = Frame("video", index, index / rate, index / rate, picture)
        state, steps = events.step(state, tube_boxes, frame, labels, settings)
        happened += steps
    return [*happened, *events.close(state, len(moments) / rate, "shutdown")]


def _tally(
    moments: Moments,
    happened: Sequence[Event],
    truth: Sequence[GroundTruthTube],
    labels: Sequence[str],
    rate: float,
    rule: ActionSettings,
) -> Tally:
    idle = np.ones(len(moments), dtype=bool)
    for tube in truth:
        idle[tube.first_frame : tube.end_frame] = False
    boxes = {(frame, seen.tube): seen.box for frame, live in enumerate(moments) for seen in live}
    published = {event.event_id: event.frame_index for event in happened if event.type == "new"}
    first_right: dict[int, int] = {}  # true tube → frame in which its first right event was published
    wrong = alarms = 0
    for event in (step for step in happened if step.type == "end"):
        right = [place for place, tube in enumerate(truth) if _same(event, tube, boxes, labels, rate)]
        for place in right:
            first_right[place] = min(published[event.event_id], first_right.get(place, len(moments)))
        wrong += not right
        alarms += not right and bool(idle[_first_frame(event, rate)])
    delays = tuple((told - truth[place].first_frame) / rate for place, told in first_right.items())
    loud = sum(
        int((seen.class_scores >= rule.start_score).sum())
        for frame in np.flatnonzero(idle).tolist()
        for seen in moments[frame]
        if seen.observed
    )
    return Tally(
        len(moments) / rate,
        int(idle.sum()) / rate,
        len(truth),
        len(first_right),
        delays,
        len(published),
        wrong,
        alarms,
        loud,
    )


def _first_frame(event: Event, rate: float) -> int:
    return round(event.started_monotonic * rate)


def _same(
    event: Event,
    tube: GroundTruthTube,
    boxes: Mapping[tuple[int, int], NDArray[np.float32]],
    labels: Sequence[str],
    rate: float,
) -> bool:
    """Whether the event is of this action: its box lies on the true one in at least one frame of both."""
    if event.action != labels[tube.label]:
        return False
    first = _first_frame(event, rate)
    last = first + round(event.duration * rate)
    both = range(max(first, tube.first_frame), min(last + 1, tube.end_frame))
    pairs = [(boxes[frame, event.tube], tube.boxes[frame - tube.first_frame]) for frame in both]
    return any(float(iou(mine[None], true[None])[0, 0]) >= SAME_PERSON for mine, true in pairs)
