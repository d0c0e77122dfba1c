"""Saved detections → the events that the daemon would tell, beside the actions that are true. Arithmetic on records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge import events
from edge.boxes import iou
from edge.events import KEEP_RATIO, ActionSettings, Event, EventSettings
from edge.linker import Linker
from edge.sources import Frame
from edge.tubes import TubeBox
from train.datasets.annotations import GroundTruthTube, VideoAnnotation
from train.datasets.frame_kinds import idle
from train.datasets.looked_at import covered, mask
from train.evaluation.detection_file import SavedDetections
from train.evaluation.linking import tubes_by_frame

SAME_PERSON = 0.3  # IoU; whether an event is right does not depend on how tight its box is
HOUR = 3600.0
MOSTLY = 0.5  # share of an event's frames; of one that was looked at less nobody can say that it is wrong
BETA = 0.5  # of the F-score by which start scores are chosen

Truth = Mapping[str, VideoAnnotation]  # by the video's name; labels as in the detections
Moments = Sequence[Sequence[TubeBox]]  # all live tubes of frame 0, 1, 2 …


@dataclass(frozen=True, eq=False)
class Watch:
    """One video, linked: its tubes, and its frames per second.

    (frames,): `looked_at` where somebody has looked, `covered` there and shortly between, `idle` where somebody has
    looked and there is no action.
    """

    moments: Moments
    rate: float
    looked_at: NDArray[np.bool_]
    covered: NDArray[np.bool_]
    idle: NDArray[np.bool_]


@dataclass(frozen=True)
class Tally:
    """What was told of some videos under one setting, of one action or of all.

    `seconds` were watched and looked at by somebody, `idle` of them without a true action. `told`: of the `actions`
    that are there, those with a right event; `delays`: seconds from the start of each of these, where it is known,
    until its first right event was published, negative where one was published before. `events` were published and are
    right or wrong: nobody can say that of one that lies in no frame that was looked at. Of the `wrong` ones, `alarms`
    began while there was no action at all. `loud`: people in idle frames whose smoothed score reached the start score,
    one for each action.
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
    """The truth of `videos`, whose labels are those of `labels`, with the labels of the detections."""
    ours = [found.label_names.index(label) for label in labels]
    return {
        video.name: replace(video, tubes=tuple(replace(tube, label=ours[tube.label]) for tube in video.tubes))
        for video in videos
    }


def at_score(start_score: float) -> EventSettings:
    """The default settings with another start score; the score to go on at keeps its proportion to it."""
    return EventSettings(ActionSettings(start_score=start_score, keep_score=KEEP_RATIO * start_score))


def at_scores(start_scores: Mapping[str, float]) -> EventSettings:
    """Likewise with a start score for each of some actions."""
    return EventSettings(actions={action: at_score(score).default for action, score in start_scores.items()})


def tell(
    found: SavedDetections,
    truth: Truth,
    rate: float,
    linker: Linker,
    rules: Sequence[EventSettings],
    progress: Callable[[], object] = lambda: None,
) -> tuple[tuple[Tally, ...], ...]:
    """For each of `rules` a tally for each label; every video is linked once. `rate`: frames per second."""
    labels = found.label_names
    tallies = [[Tally()] * len(labels) for _ in rules]
    for video, name in enumerate(found.video_names):
        moments = tubes_by_frame(found, video, linker)
        size = tuple(found.frame_sizes[video].tolist())
        true = truth.get(name) or VideoAnnotation(name, 0, ())
        watched = _watch(moments, true, rate)
        shown = [tube for tube in true.tubes if watched.looked_at[tube.first_frame : tube.end_frame].any()]
        for row, rule in zip(tallies, rules, strict=True):
            happened = _happened(moments, size, labels, rate, rule)
            for label, action in enumerate(labels):
                ends = [event for event in happened if event.action == action]
                wanted = [tube for tube in shown if tube.label == label]
                row[label] += _tally(watched, ends, wanted, label, rule.for_action(action).start_score)
        progress()
    return tuple(map(tuple, tallies))


def of_all(tallies: Sequence[Tally]) -> Tally:
    """Those of single actions in one; the time watched is the same for all."""
    return replace(sum(tallies, Tally()), seconds=tallies[0].seconds, idle=tallies[0].idle)


def best(
    scores: Sequence[float],
    told: Sequence[Sequence[Tally]],
    quiet: Sequence[Sequence[Tally]] | None = None,
) -> tuple[float | None, ...]:
    """For each label that of the start scores with the best F-score of its events, the highest of equals.

    `told` holds for each of `scores` a tally for each label. Precision counts more than recall (F with beta 0.5): who
    is called for nothing stops listening. A score at which an event of the label is told in `quiet`, videos without
    any action, is out of the question. None where no other tells an action.
    """
    chosen: list[float | None] = []
    for label in range(len(told[0])):
        silent = [quiet is None or quiet[place][label].events == 0 for place in range(len(scores))]
        ranked = [
            (_f_score(tallies[label]), score)
            for score, tallies, ok in zip(scores, told, silent, strict=True)
            if ok and tallies[label].told
        ]
        chosen.append(max(ranked)[1] if ranked else None)
    return tuple(chosen)


def _f_score(tally: Tally) -> float:
    weighted = BETA**2 * tally.precision + tally.recall
    return (1 + BETA**2) * tally.precision * tally.recall / weighted if weighted else 0.0


def as_table(rows: Sequence[tuple[str, Tally]]) -> str:
    """One line for each of the named tallies, under a head."""
    watched = rows[0][1]
    head = f"watched {watched.seconds / HOUR:.2f} h, of which {watched.idle / HOUR:.2f} h without any action"
    names = ("actions", "told", "delay s", "events", "right", "alarms", "alarms/h", "loud/h")
    width = max(len("start score"), *(len(name) for name, _ in rows))
    lines = [f"{'start score':{width}}" + "".join(f"{name:>10}" for name in names)]
    lines += [f"{name:{width}}" + "".join(f"{cell:>10}" for cell in _cells(tally)) for name, tally in rows]
    return "\n".join([head, *lines])


def _cells(tally: Tally) -> tuple[str, ...]:
    return (
        f"{tally.actions}",
        _known("{:.1f} %", 100 * tally.recall),
        _known("{:.2f}", tally.delay),
        f"{tally.events}",
        _known("{:.1f} %", 100 * tally.precision),
        f"{tally.alarms}",
        _known("{:.0f}", tally.alarms_per_hour),
        _known("{:.0f}", tally.loud_per_hour),
    )


def _known(form: str, value: float) -> str:
    """A dash where there is nothing to tell of, as in the scores."""
    return "-" if np.isnan(value) else form.format(value)


def _happened(
    moments: Moments, size: tuple[int, int], labels: Sequence[str], rate: float, rules: EventSettings
) -> list[Event]:
    """All steps of all events of one video, closed at its end."""
    state = events.initial("video", "evaluation")
    picture: NDArray[np.uint8] = np.broadcast_to(np.uint8(0), (size[1], size[0], 3))
    happened: list[Event] = []
    for index, tube_boxes in enumerate(moments):
        frame = Frame("video", index, index / rate, index / rate, picture)
        state, steps = events.step(state, tube_boxes, frame, labels, rules)
        happened += steps
    return [*happened, *events.close(state, len(moments) / rate, "shutdown")]


def _watch(moments: Moments, true: VideoAnnotation, rate: float) -> Watch:
    """Nobody has looked beyond the annotated frames, where their number is known."""
    known = [found(true.looked_at, len(moments)) for found in (mask, covered)]
    known.append(idle(true, len(moments)))
    for shown in known:
        shown[true.frames or len(moments) :] = False
    return Watch(moments, rate, *known)


def _tally(
    watched: Watch, happened: Sequence[Event], truth: Sequence[GroundTruthTube], label: int, loud_at: float
) -> Tally:
    """Of one video and one action: `happened` and `truth` hold no others.

    An event is right by the frames that somebody has looked at, and wrong only where most of it was.
    """
    boxes = {(frame, seen.tube): seen.box for frame, live in enumerate(watched.moments) for seen in live}
    published = {event.event_id: event.frame_index for event in happened if event.type == "new"}
    first_right: dict[int, int] = {}  # true tube → frame in which its first right event was published
    judged = wrong = alarms = 0
    for event in (step for step in happened if step.type == "end"):
        first = round(event.started_monotonic * watched.rate)
        last = first + round(event.duration * watched.rate)
        mine = {frame: boxes[frame, event.tube] for frame in range(first, last + 1) if watched.looked_at[frame]}
        right = [place for place, tube in enumerate(truth) if _same_person(mine, tube)]
        for place in right:
            first_right[place] = min(published[event.event_id], first_right.get(place, len(watched.moments)))
        false = not right and bool(watched.covered[first : last + 1].mean() >= MOSTLY)
        judged += bool(right) or false
        wrong += false
        alarms += false and bool(watched.idle[first])
    delays = _delays(watched, [(truth[place].first_frame, frame) for place, frame in first_right.items()])
    seconds, quiet = (int(frames.sum()) / watched.rate for frames in (watched.looked_at, watched.idle))
    loud = _loud(watched, label, loud_at)
    return Tally(seconds, quiet, len(truth), len(first_right), delays, judged, wrong, alarms, loud)


def _delays(watched: Watch, told: Iterable[tuple[int, int]]) -> tuple[float, ...]:
    """Of actions by their first frame and that in which they were told, if they are known to have begun there: with
    the video, or somebody had looked before.
    """
    known = ((first, frame) for first, frame in told if not first or watched.covered[first - 1])
    return tuple((frame - first) / watched.rate for first, frame in known)


def _loud(watched: Watch, label: int, least: float) -> int:
    return sum(
        bool(seen.class_scores[label] >= least)
        for frame in np.flatnonzero(watched.idle).tolist()
        for seen in watched.moments[frame]
        if seen.observed
    )


def _same_person(mine: Mapping[int, NDArray[np.float32]], tube: GroundTruthTube) -> bool:
    """Whether the boxes by frame lie on the true ones in at least one frame of both."""
    pairs = [
        (box, tube.boxes[frame - tube.first_frame])
        for frame, box in mine.items()
        if tube.first_frame <= frame < tube.end_frame
    ]
    return any(float(iou(box[None], true[None])[0, 0]) >= SAME_PERSON for box, true in pairs)
