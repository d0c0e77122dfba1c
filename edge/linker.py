"""Online linking: detections of one frame after another become tubes, one for each person. Pure.

The life of a tube. A detection of at least `high_score` that no tube claims gives birth to one. It is confirmed when
detected in `min_hits` frames; before that the first miss ends it. Between frames it moves on with its centre's smoothed
velocity. All tubes together take the detections that overlap their predictions most: first the strong ones, then, for
those left over, the weak ones (as ByteTrack, Zhang et al. 2022). A tube that finds none is extrapolated, its velocity
damped and its scores fading, and ends after `max_missed` frames. What a person does is what the network's whole score
vector says, averaged over time.

KORSAL's own rule, `kind = "korsal"`, lives in `korsal_linker.py` with its variants.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge import korsal_linker, tubes
from edge.assignment import assign
from edge.boxes import iou, nms
from edge.detector import Detections
from edge.korsal_linker import KorsalSettings
from edge.tubes import ActionTube, CutSettings, Sighting, TubeBox

__all__ = ["ActionTube", "LinkerSettings", "LinkerState", "TubeBox", "action_tubes", "initial", "step"]


@dataclass(frozen=True)
class LinkerSettings:
    """How boxes are linked; all but `kind` and `korsal` concerns the default linker. Scores and overlaps are 0..1."""

    kind: Literal["default", "korsal"] = "default"
    low_score: float = 0.05  # weaker detections are ignored
    high_score: float = 0.15  # weaker detections only carry a tube on
    merge_iou: float = 0.55  # detections that overlap more are one person
    match_iou: float = 0.1  # least overlap of a strong detection with a tube's prediction
    weak_match_iou: float = 0.4  # the same of a weak detection
    min_hits: int = 3  # frames with a detection until a tube may miss one
    max_missed: int = 30  # frames without a detection until a tube ends
    max_people: int = 64  # more tubes are not begun
    box_gain: float = 0.7  # share of a detection in the new box, the rest is the prediction's
    velocity_gain: float = 0.3  # share of a new velocity
    damping: float = 0.85  # of the velocity, per missed frame
    class_gain: float = 0.2  # share of a frame's class scores in the average
    fade: float = 0.6  # of the class scores, per missed frame
    cut: CutSettings = field(default_factory=CutSettings)
    korsal: KorsalSettings = field(default_factory=KorsalSettings)  # for comparison only


@dataclass(frozen=True, eq=False)
class People:
    """The live tubes of the default linker, the oldest first."""

    tubes: NDArray[np.int64]  # (P,), numbers, rising
    boxes: NDArray[np.float32]  # (P, 4), x1 y1 x2 y2, pixels of the source frame
    velocities: NDArray[np.float32]  # (P, 2), of the centre, pixels per frame
    class_scores: NDArray[np.float32]  # (P, classes), averaged over time
    frame_scores: NDArray[np.float32]  # (P, classes), of the last detection
    hits: NDArray[np.int64]  # (P,), frames with a detection
    missed: NDArray[np.int64]  # (P,), frames since the last detection

    def where(self, chosen: NDArray[np.bool_]) -> "People":
        """Only the people chosen by a mask (P,)."""
        if chosen.all():
            return self
        return People(
            self.tubes[chosen],
            self.boxes[chosen],
            self.velocities[chosen],
            self.class_scores[chosen],
            self.frame_scores[chosen],
            self.hits[chosen],
            self.missed[chosen],
        )

    def joined(self, others: "People") -> "People":
        """These people, then the others."""
        return People(
            np.concatenate([self.tubes, others.tubes]),
            np.concatenate([self.boxes, others.boxes]),
            np.concatenate([self.velocities, others.velocities]),
            np.concatenate([self.class_scores, others.class_scores]),
            np.concatenate([self.frame_scores, others.frame_scores]),
            np.concatenate([self.hits, others.hits]),
            np.concatenate([self.missed, others.missed]),
        )


def new_people(boxes: NDArray[np.float32], class_scores: NDArray[np.float32], first_tube: int) -> People:
    """People seen for the first time, standing still, numbered from `first_tube`; (n, 4) boxes, (n, classes) scores."""
    count = len(boxes)
    return People(
        tubes=np.arange(first_tube, first_tube + count, dtype=np.int64),
        boxes=boxes,
        velocities=np.zeros((count, 2), np.float32),
        class_scores=class_scores,
        frame_scores=class_scores,
        hits=np.ones(count, np.int64),
        missed=np.zeros(count, np.int64),
    )


def nobody() -> People:
    """No people, and no classes yet."""
    return new_people(np.zeros((0, 4), np.float32), np.zeros((0, 0), np.float32), 1)


@dataclass(frozen=True, eq=False)
class LinkerState:
    """What is carried from frame to frame: nothing that grows with time. Tubes are numbered from 1."""

    frame: int | None = None  # number of the last frame
    next_tube: int = 1
    people: People = field(default_factory=nobody)
    class_tubes: tuple[korsal_linker.ClassTube, ...] = ()  # of the rule `korsal`


def initial() -> LinkerState:
    """Before the first frame."""
    return LinkerState()


def step(
    state: LinkerState, detections: Detections, frame: int, settings: LinkerSettings
) -> tuple[LinkerState, tuple[TubeBox, ...]]:
    """Link the detections of frame number `frame`; where every live tube is in it, extrapolated ones included.

    Frame numbers rise; where some are left out, the tubes move on by that many frames. ValueError if they do not rise.
    """
    if state.frame is not None and frame <= state.frame:
        raise ValueError(f"frame {frame} came after frame {state.frame}: number the frames of a camera upwards")
    if settings.kind == "korsal":
        live, next_tube, published = korsal_linker.step(state.class_tubes, detections, state.next_tube, settings.korsal)
        return replace(state, frame=frame, class_tubes=live, next_tube=next_tube), published
    elapsed = 1 if state.frame is None else frame - state.frame
    people, next_tube = _link(state.people, _candidates(detections, settings), elapsed, state.next_tube, settings)
    return LinkerState(frame, next_tube, people), _published(people)


def action_tubes(history: Iterable[Sighting], settings: LinkerSettings) -> list[ActionTube]:
    """The action tubes in a whole video's (frame, TubeBox) pairs, frames rising, as the linker's kind cuts them."""
    if settings.kind == "korsal":
        return korsal_linker.action_tubes(history, settings.korsal)
    return tubes.cut(history, settings.cut)


def _candidates(detections: Detections, settings: LinkerSettings) -> Detections:
    """One detection per person: peaks of any class on the same place are one, with the best of each class's scores."""
    boxes, scores = detections.boxes, detections.scores
    loud = scores >= settings.low_score
    boxes, scores, class_scores = boxes[loud], scores[loud], detections.class_scores[loud]
    same = iou(boxes, boxes) > settings.merge_iou  # (N, N)
    np.fill_diagonal(same, True)
    if np.count_nonzero(same) == len(boxes):  # everybody stands apart
        return Detections(boxes, scores, detections.labels[loud], class_scores)
    kept = nms(boxes, scores, settings.merge_iou)
    joint = class_scores[kept]
    for row in np.flatnonzero(np.count_nonzero(same[kept], axis=1) > 1):
        joint[row] = class_scores[same[kept[row]]].max(axis=0)
    return Detections(boxes[kept], scores[kept], detections.labels[loud][kept], joint)


def _link(
    people: People, found: Detections, elapsed: int, next_tube: int, settings: LinkerSettings
) -> tuple[People, int]:
    """The people after this frame, and the next free tube number."""
    bridged = people.missed + elapsed <= settings.max_missed + 1
    predicted = _predicted(people.where(bridged), elapsed)
    choice = _match(predicted, found, settings)
    followed = _followed(predicted, choice, found, elapsed, settings) if len(choice) else predicted
    free = found.scores >= settings.high_score
    free[choice[choice >= 0]] = False
    unclaimed = np.flatnonzero(free)
    unclaimed = unclaimed[: settings.max_people - len(followed.tubes)]
    born = new_people(found.boxes[unclaimed], found.class_scores[unclaimed], next_tube)
    if not len(unclaimed):
        return followed, next_tube
    everybody = followed.joined(born) if len(followed.tubes) else born  # nobody has no number of classes yet
    return everybody, next_tube + len(unclaimed)


def _predicted(people: People, elapsed: int) -> People:
    """The people moved on by `elapsed` frames; a box keeps its size."""
    return replace(people, boxes=people.boxes + np.tile(people.velocities * np.float32(elapsed), 2))


def _match(predicted: People, found: Detections, settings: LinkerSettings) -> NDArray[np.int64]:
    """(P,) the index of everybody's detection, −1 for none."""
    choice = np.full(len(predicted.tubes), -1, np.int64)
    overlap = iou(predicted.boxes, found.boxes)
    strong = found.scores >= settings.high_score
    for chosen, least in ((strong, settings.match_iou), (~strong, settings.weak_match_iou)):
        rows, columns = np.flatnonzero(choice < 0), np.flatnonzero(chosen)
        gains = overlap[np.ix_(rows, columns)]
        gains[gains < least] = 0
        for row, column in assign(gains):
            choice[rows[row]] = columns[column]
    return choice


def _followed(
    predicted: People, choice: NDArray[np.int64], found: Detections, elapsed: int, settings: LinkerSettings
) -> People:
    """Those who live on: with their detection's share where they have one, extrapolated where not."""
    seen = choice >= 0
    hits = predicted.hits + seen
    missed = np.where(seen, 0, predicted.missed + elapsed)
    boxes, velocities, class_scores, frame_scores = (
        predicted.boxes.copy(),
        predicted.velocities * np.float32(settings.damping**elapsed),
        predicted.class_scores * np.float32(settings.fade**elapsed),
        predicted.frame_scores.copy(),
    )
    residual = found.boxes[choice[seen]] - predicted.boxes[seen]  # (S, 4)
    since = (predicted.missed[seen] + elapsed)[:, None].astype(np.float32)
    boxes[seen] += np.float32(settings.box_gain) * residual
    centre = (residual[:, :2] + residual[:, 2:]) / 2
    velocities[seen] = predicted.velocities[seen] + np.float32(settings.velocity_gain) * centre / since
    # a plain mean over the first frames, exponential after; a frame that stands for several counts as such
    gain = np.maximum(1 / hits[seen], 1 - (1 - settings.class_gain) ** elapsed).astype(np.float32)[:, None]
    before = predicted.class_scores[seen]
    frame_scores[seen] = found.class_scores[choice[seen]]
    class_scores[seen] = before + gain * (frame_scores[seen] - before)
    people = People(predicted.tubes, boxes, velocities, class_scores, frame_scores, hits, missed)
    return people.where((missed == 0) | ((hits >= settings.min_hits) & (missed <= settings.max_missed)))


def _published(people: People) -> tuple[TubeBox, ...]:
    """Where everybody is, the oldest tube first."""
    if not len(people.tubes):
        return ()
    labels = people.class_scores.argmax(axis=1)
    best = people.class_scores[np.arange(len(labels)), labels]
    rows = zip(
        people.tubes.tolist(),
        labels.tolist(),
        people.boxes,
        best.tolist(),
        people.class_scores,
        (people.missed == 0).tolist(),
        people.frame_scores,
        strict=True,
    )
    return tuple(TubeBox(*row) for row in rows)
