"""The default linker: one tube for each person, whatever they do. Pure.

The life of a tube. A detection of at least `high_score` that no tube claims starts one; so does a weaker one of which
only the action is uncertain, as the likeliest of many actions may be unlikely, and one that reaches the score at which
events of an action begin. A detection that lies on somebody who is seen already is a second box of that person, and
starts none. A tube is confirmed once it has been detected for `confirm_seconds`, in two frames or more; until then the
first miss ends it. Between frames it moves by the smoothed velocity of its centre. All tubes together take the
detections that overlap their predictions most: first the strong ones, then, for the tubes left over, the weak ones (as
ByteTrack, Zhang et al. 2022). A tube without a detection is extrapolated, its velocity damped and its scores fading,
and ends after `max_missed_seconds`. What a person does is decided by the network's whole score vector, averaged over
time.

All of that goes by the time of the frames, not by their number: gains and factors are for one UNIT of 1/25 s, and are
raised to the time that has passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.assignment import assign
from edge.boxes import iou, nms
from edge.detector import MIN_SCORE, Detections
from edge.event_settings import EventSettings
from edge.linker import UNIT, Linker, LinkerState, elapsed_units
from edge.tubes import TubeBox

LEAST_HITS = 2  # frames with a detection before a tube may miss one, however slow the camera is
LEAST = 1e-3  # UNITs between frames: two with the same time stamp show no velocity


@dataclass(frozen=True)
class LinkerSettings:
    """Thresholds and rates of the default linker; scores and overlaps are 0..1, gains and factors for one UNIT."""

    low_score: float = 0.05  # weaker detections are ignored
    high_score: float = 0.15  # weaker detections only continue a tube, but for those by `any_factor`
    any_factor: float = 1.33  # of `high_score`: a weaker one starts a tube too if any action is as likely as that
    merge_iou: float = 0.55  # detections that overlap more are one person
    match_iou: float = 0.1  # least overlap of a strong detection with a tube's prediction
    weak_match_iou: float = 0.4  # the same for a weak detection
    start_iou: float = 0.3  # a detection that overlaps somebody who is seen in the same frame by more starts no tube
    confirm_seconds: float = 0.08  # from a tube's first detection to the one after which it may miss one
    max_missed_seconds: float = 1.2  # without a detection before a tube ends
    max_people: int = 64  # no more tubes are started
    box_gain: float = 0.7  # share of a detection in the new box, the rest is the prediction's
    velocity_gain: float = 0.15  # share of a new velocity
    damping: float = 0.85  # of the velocity, while missed
    class_gain: float = 0.2  # share of the newest class scores in the average
    fade: float = 0.6  # of the class scores, while missed


@dataclass(frozen=True, eq=False)
class LiveTubes:
    """The live tubes, oldest first."""

    numbers: NDArray[np.int64]  # (T,), rising
    boxes: NDArray[np.float32]  # (T, 4), x1 y1 x2 y2, pixels of the source frame
    velocities: NDArray[np.float32]  # (T, 2), of the centre, pixels per UNIT
    class_scores: NDArray[np.float32]  # (T, classes), averaged over time
    frame_scores: NDArray[np.float32]  # (T, classes), of the last detection
    hits: NDArray[np.int64]  # (T,), frames with a detection
    age: NDArray[np.float64]  # (T,), UNITs since the first detection
    missed: NDArray[np.float64]  # (T,), UNITs since the last detection

    def where(self, mask: NDArray[np.bool_]) -> "LiveTubes":
        """Only the tubes chosen by a mask (T,)."""
        if mask.all():
            return self
        return LiveTubes(
            self.numbers[mask],
            self.boxes[mask],
            self.velocities[mask],
            self.class_scores[mask],
            self.frame_scores[mask],
            self.hits[mask],
            self.age[mask],
            self.missed[mask],
        )

    def joined(self, others: "LiveTubes") -> "LiveTubes":
        """These tubes, then the others."""
        return LiveTubes(
            np.concatenate([self.numbers, others.numbers]),
            np.concatenate([self.boxes, others.boxes]),
            np.concatenate([self.velocities, others.velocities]),
            np.concatenate([self.class_scores, others.class_scores]),
            np.concatenate([self.frame_scores, others.frame_scores]),
            np.concatenate([self.hits, others.hits]),
            np.concatenate([self.age, others.age]),
            np.concatenate([self.missed, others.missed]),
        )


def new_tubes(boxes: NDArray[np.float32], class_scores: NDArray[np.float32], first: int) -> LiveTubes:
    """Tubes of one detection each, at rest, numbered from `first`; (n, 4) boxes, (n, classes) scores."""
    count = len(boxes)
    return LiveTubes(
        numbers=np.arange(first, first + count, dtype=np.int64),
        boxes=boxes,
        velocities=np.zeros((count, 2), np.float32),
        class_scores=class_scores,
        frame_scores=class_scores,
        hits=np.ones(count, np.int64),
        age=np.zeros(count),
        missed=np.zeros(count),
    )


def no_tubes() -> LiveTubes:
    """No tubes, and no classes yet."""
    return new_tubes(np.zeros((0, 4), np.float32), np.zeros((0, 0), np.float32), 1)


@dataclass(frozen=True)
class DefaultLinker:
    """One tube for each person; see the top of this file.

    `start_scores`: of each action, by label, at most `high_score`; () where none is below it. See `for_events`.
    """

    settings: LinkerSettings = LinkerSettings()
    minimum_score: float = MIN_SCORE
    start_scores: tuple[float, ...] = ()

    def step(self, state: LinkerState, detections: Detections, time: float) -> tuple[LinkerState, tuple[TubeBox, ...]]:
        """As `Linker.step`."""
        elapsed = elapsed_units(state, time)
        live = state.live if isinstance(state.live, LiveTubes) else no_tubes()
        live = live.where(_in_time(live, elapsed, state.elapsed, self.settings))
        live, next_tube = _link(live, _merged(detections, self.settings), elapsed, state.next_tube, self)
        return LinkerState(time, elapsed, next_tube, live), _tube_boxes(live)


def for_events(linker: Linker, events: EventSettings, labels: Sequence[str]) -> Linker:
    """The linker for these events: the default one starts tubes where events begin at less than its `high_score`."""
    if not isinstance(linker, DefaultLinker):
        return linker
    high = linker.settings.high_score
    scores = tuple(min(events.for_action(label).start_score, high) for label in labels)
    return replace(linker, start_scores=scores if min(scores, default=high) < high else ())


def _in_time(live: LiveTubes, elapsed: float, usual: float, settings: LinkerSettings) -> NDArray[np.bool_]:
    """(T,) whether a tube may be found again; at a slow camera's `usual` pace, always in the next frame."""
    most: NDArray[np.bool_] = live.missed + elapsed <= _units(settings.max_missed_seconds) + max(usual, 1.0)
    return most


def _units(seconds: float) -> float:
    """Seconds in UNITs and half of one more, so that frames that are a little late count as in time."""
    return seconds / UNIT + 0.5


def _merged(detections: Detections, settings: LinkerSettings) -> Detections:
    """One detection per person: peaks in the same place are merged, with the best score of each class."""
    kept = detections.scores >= settings.low_score
    boxes, scores, labels = detections.boxes[kept], detections.scores[kept], detections.labels[kept]
    class_scores = detections.class_scores[kept]
    same = iou(boxes, boxes) > settings.merge_iou  # (N, N)
    np.fill_diagonal(same, True)
    if np.count_nonzero(same) == len(boxes):  # nobody overlaps anybody
        return Detections(boxes, scores, labels, class_scores)
    best = nms(boxes, scores, settings.merge_iou)
    joint = class_scores[best]
    for row in np.flatnonzero(np.count_nonzero(same[best], axis=1) > 1):
        joint[row] = class_scores[same[best[row]]].max(axis=0)
    return Detections(boxes[best], scores[best], labels[best], joint)


def _may_start(detections: Detections, linker: DefaultLinker) -> NDArray[np.bool_]:
    """(N,) whether each detection is strong enough to start a tube."""
    settings = linker.settings
    found: NDArray[np.bool_] = detections.scores >= settings.high_score
    found |= _any_action(detections) >= settings.any_factor * settings.high_score
    if linker.start_scores:
        found |= np.any(detections.class_scores >= np.array(linker.start_scores, np.float32), axis=1)
    return found


def _link(
    live: LiveTubes, detections: Detections, elapsed: float, next_tube: int, linker: DefaultLinker
) -> tuple[LiveTubes, int]:
    """The live tubes after this frame, and the next free tube number."""
    settings = linker.settings
    predicted = _predicted(live, elapsed)
    choice = _match(predicted, detections, settings)
    updated = _updated(predicted, choice, detections, elapsed, settings) if len(choice) else predicted
    free = _may_start(detections, linker)
    free[choice[choice >= 0]] = False
    unclaimed = _apart(np.flatnonzero(free), detections, updated.boxes[updated.missed == 0], settings)
    unclaimed = unclaimed[: settings.max_people - len(updated.numbers)]
    if not len(unclaimed):
        return updated, next_tube
    started = new_tubes(detections.boxes[unclaimed], detections.class_scores[unclaimed], next_tube)
    live = updated.joined(started) if len(updated.numbers) else started  # `no_tubes` has no number of classes yet
    return live, next_tube + len(unclaimed)


def _apart(
    unclaimed: NDArray[np.intp], detections: Detections, seen: NDArray[np.float32], settings: LinkerSettings
) -> NDArray[np.intp]:
    """Those of the detections that lie neither on a box that is `seen` (n, 4) nor on a better one among them."""
    if not len(unclaimed):
        return unclaimed
    boxes = detections.boxes[unclaimed]
    alone = ~np.any(iou(boxes, seen) > settings.start_iou, axis=1)
    unclaimed, boxes = unclaimed[alone], boxes[alone]
    return unclaimed[nms(boxes, detections.scores[unclaimed], settings.start_iou)]


def _any_action(detections: Detections) -> NDArray[np.float32]:
    """(N,) the probability that it is any of the actions, were these independent."""
    probability: NDArray[np.float32] = 1 - np.prod(1 - detections.class_scores, axis=1)
    return probability


def _predicted(live: LiveTubes, elapsed: float) -> LiveTubes:
    """The tubes moved on by `elapsed` UNITs; a box keeps its size."""
    return replace(live, boxes=live.boxes + np.tile(live.velocities * np.float32(elapsed), 2))


def _match(predicted: LiveTubes, detections: Detections, settings: LinkerSettings) -> NDArray[np.int64]:
    """(T,) the index of each tube's detection, −1 for none."""
    choice = np.full(len(predicted.numbers), -1, np.int64)
    overlap = iou(predicted.boxes, detections.boxes)
    strong = detections.scores >= settings.high_score
    for candidates, least in ((strong, settings.match_iou), (~strong, settings.weak_match_iou)):
        rows, columns = np.flatnonzero(choice < 0), np.flatnonzero(candidates)
        gains = overlap[np.ix_(rows, columns)]
        gains[gains < least] = 0
        for row, column in assign(gains):
            choice[rows[row]] = columns[column]
    return choice


def _updated(
    predicted: LiveTubes, choice: NDArray[np.int64], detections: Detections, elapsed: float, settings: LinkerSettings
) -> LiveTubes:
    """The tubes that live on: corrected by their detection where they have one, extrapolated where not."""
    found = choice >= 0
    elapsed = max(elapsed, LEAST)
    hits, age = predicted.hits + found, predicted.age + elapsed
    missed = np.where(found, 0, predicted.missed + elapsed)
    boxes, velocities, class_scores, frame_scores = (
        predicted.boxes.copy(),
        predicted.velocities * np.float32(settings.damping**elapsed),
        predicted.class_scores * np.float32(settings.fade**elapsed),
        predicted.frame_scores.copy(),
    )
    residual = detections.boxes[choice[found]] - predicted.boxes[found]  # (F, 4)
    since = (predicted.missed[found] + elapsed)[:, None].astype(np.float32)
    boxes[found] += np.float32(over(settings.box_gain, elapsed)) * residual
    centre = (residual[:, :2] + residual[:, 2:]) / 2
    velocities[found] = predicted.velocities[found] + np.float32(over(settings.velocity_gain, elapsed)) * centre / since
    # a plain mean over the first frames, exponential after; a frame that stands for several counts as such
    gain = np.maximum(1 / hits[found], over(settings.class_gain, elapsed)).astype(np.float32)[:, None]
    before = predicted.class_scores[found]
    frame_scores[found] = detections.class_scores[choice[found]]
    class_scores[found] = before + gain * (frame_scores[found] - before)
    live = LiveTubes(predicted.numbers, boxes, velocities, class_scores, frame_scores, hits, age, missed)
    return live.where((missed == 0) | (_confirmed(live, settings) & (missed <= _units(settings.max_missed_seconds))))


def _confirmed(live: LiveTubes, settings: LinkerSettings) -> NDArray[np.bool_]:
    """(T,) whether a tube may miss a frame: detected for `confirm_seconds`, and more than once unless these are 0."""
    if not settings.confirm_seconds:
        return np.ones(len(live.hits), np.bool_)
    detected = live.age - live.missed
    return (live.hits >= LEAST_HITS) & (detected + 0.5 >= settings.confirm_seconds / UNIT)


def over(gain: float, elapsed: float) -> float:
    """The share that the newest value takes after `elapsed` UNITs, where it takes `gain` after one."""
    return float(1 - (1 - gain) ** elapsed)


def _tube_boxes(live: LiveTubes) -> tuple[TubeBox, ...]:
    """Where every tube is, the oldest first."""
    if not len(live.numbers):
        return ()
    labels = live.class_scores.argmax(axis=1)
    best = live.class_scores[np.arange(len(labels)), labels]
    rows = zip(
        live.numbers.tolist(),
        labels.tolist(),
        live.boxes,
        best.tolist(),
        live.class_scores,
        (live.missed == 0).tolist(),
        live.frame_scores,
        strict=True,
    )
    return tuple(TubeBox(*row) for row in rows)
