"""Turns tubes into events: an action of one person started, continues, ended. Pure.

The life of an event. An action is found when its smoothed score reaches `start_score`, and published as `new` once the
score has stayed at `keep_score` or above for `min_duration`; its start is when it was found. While it continues, an
`update` follows every `update_interval`. A score below `keep_score` does not end it at once: if it comes back within
`cooldown` the same event continues, so that a flickering score makes one event and not many. After `cooldown` it ends
("score"), and it ends when its tube does ("lost") or its camera is closed. Its end is when the action was last
observed, not when that became known: extrapolated boxes and the cooldown do not count as duration. A person may have
several events at a time, one for each action.

Durations are measured by the monotonic clock, and nothing else decides when an event starts, is published and ends. An
event ended at its start plus its duration. Each message is given its wall-clock times by the clock as it then is
(`edge/broker/payload.py`): once a time server has set the clock they are right, whatever was published before.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.boxes import clip
from edge.detector import frame_size
from edge.sources import Frame, Polygon
from edge.tubes import TubeBox

EventType = Literal["new", "update", "end"]
ActionKey = tuple[int, int]  # tube, label

TIME_TOLERANCE = 1e-6  # seconds; sums of frame times may fall short by this
KEEP_RATIO = 0.6  # of the start score: the default keep_score
NAMESPACE = uuid.UUID("6f1c0f6e-6a0a-5f43-9d55-0d2d0a9b7c11")  # of event ids; an arbitrary constant


@dataclass(frozen=True)
class ActionSettings:
    """When an event of an action starts, continues and ends. ValueError where `keep_score` is above `start_score`."""

    start_score: float = 0.2  # 0..1
    keep_score: float = KEEP_RATIO * start_score  # 0..1, at most start_score
    min_duration: float = 0.5  # seconds at keep_score or above before an event is published
    cooldown: float = 2.0  # seconds below keep_score before it ends
    update_interval: float = 1.0  # seconds between two updates; 0: none

    def __post_init__(self) -> None:
        if self.keep_score > self.start_score:
            raise ValueError(f"keep_score {self.keep_score} is above start_score {self.start_score}: lower it")


@dataclass(frozen=True)
class EventSettings:
    """Settings of one camera: for all actions, for those that differ, by name, and its zones by name."""

    default: ActionSettings = field(default_factory=ActionSettings)
    actions: Mapping[str, ActionSettings] = field(default_factory=dict)
    zones: Mapping[str, Polygon] = field(default_factory=dict)

    def for_action(self, action: str) -> ActionSettings:
        """The settings of one action."""
        return self.actions.get(action, self.default)


@dataclass(frozen=True, eq=False)
class Event:
    """One message of an event. `score`, `box`, `zones` and `observed` are of the person's latest frame."""

    type: EventType
    event_id: str  # the same in all messages
    seq: int  # 0, 1, 2 …
    tube: int
    action: str
    score: float  # 0..1
    top_score: float  # 0..1, the best so far
    started_unix: float  # seconds
    started_monotonic: float  # seconds
    ended_unix: float | None  # seconds, when the action was last observed: started_unix + duration; None before the end
    duration: float  # seconds from the start until the action was last observed
    box: NDArray[np.float32]  # (4,), x1 y1 x2 y2, pixels, inside the frame
    frame_size: tuple[int, int]  # (width, height), pixels
    zones: tuple[str, ...]  # those that contain the middle of the box's lower edge
    observed: bool  # False where the box is extrapolated
    frame_index: int  # of the frame that led to this message
    t_capture: float  # unix time of that frame, or of the closing
    reason_ended: str | None
    captured_monotonic: float | None = None  # seconds, of that frame; None for a closing


@dataclass(frozen=True, eq=False)
class ActionObservation:
    """One action of one person in one frame."""

    score: float
    box: NDArray[np.float32]  # (4,), clipped to the frame
    frame_size: tuple[int, int]
    zones: tuple[str, ...]
    observed: bool
    index: int
    unix: float
    monotonic: float


@dataclass(frozen=True, eq=False)
class TrackedAction:
    """One action of one tube, which is an event once it is published.

    `event_id`: empty until then. `first`: where it was found; `last`: the newest frame; `last_seen`: the last in which
    the action was observed. `last_kept`: when the score was last high enough; `published`: when the last message was;
    both monotonic, s.
    """

    tube: int
    action: str
    first: ActionObservation
    last: ActionObservation
    last_seen: ActionObservation
    last_kept: float
    top_score: float
    event_id: str = ""
    seq: int = -1
    published: float = 0.0


@dataclass(frozen=True, eq=False)
class EventState:
    """What is carried from frame to frame. `published_count`: how many events have been published so far."""

    camera: str
    seed: str
    published_count: int = 0
    actions: Mapping[ActionKey, TrackedAction] = field(default_factory=dict)


def initial(camera: str, seed: str) -> EventState:
    """The state before the first frame. Event ids differ between seeds and are the same for the same seed."""
    return EventState(camera, seed)


def step(
    state: EventState, tube_boxes: Sequence[TubeBox], frame: Frame, labels: Sequence[str], settings: EventSettings
) -> tuple[EventState, tuple[Event, ...]]:
    """The messages of this frame, given all live tubes in it; ends of lost tubes come first."""
    boxes = {tube_box.tube: tube_box for tube_box in tube_boxes}
    lost = [tracked for (tube, _), tracked in state.actions.items() if tube not in boxes]
    events = list(_ended(lost, frame.index, frame.unix_time, "lost", frame.monotonic_time))
    actions: dict[ActionKey, TrackedAction] = {}
    published_count = state.published_count
    for key in _keys(state, tube_boxes, labels, settings):
        rules = settings.for_action(labels[key[1]])
        observation = _observe(boxes[key[0]], key[1], frame, settings)
        tracked = _with_observation(state.actions.get(key), key[0], labels[key[1]], observation, rules)
        decision = _decide(tracked, rules)
        if decision == "new":
            tracked = replace(tracked, event_id=_event_id(state, tracked, published_count))
            published_count += 1
        if decision in ("new", "update", "end"):
            tracked = replace(tracked, seq=tracked.seq + 1, published=observation.monotonic)
            reason = ("score" if observation.observed else "lost") if decision == "end" else None
            events.append(_event(tracked, decision, frame.index, frame.unix_time, reason, frame.monotonic_time))
        if decision not in ("drop", "end"):
            actions[key] = tracked
    return EventState(state.camera, state.seed, published_count, actions), tuple(events)


def close(state: EventState, unix_time: float, reason: str) -> tuple[Event, ...]:
    """The ends of all open events, because the camera or the program stops ("shutdown") at `unix_time`.

    Start again with `initial` and another seed.
    """
    index = max((tracked.last.index for tracked in state.actions.values()), default=0)
    return _ended(list(state.actions.values()), index, unix_time, reason, None)


def _keys(
    state: EventState, tube_boxes: Sequence[TubeBox], labels: Sequence[str], settings: EventSettings
) -> list[ActionKey]:
    """The actions to decide on, by tube, then by label: tracked ones and those that reach their start score."""
    starts = np.array([settings.for_action(label).start_score for label in labels], np.float32)
    keys = {key for tube_box in tube_boxes for key in _above_start_score(tube_box, starts)}
    live = {tube_box.tube for tube_box in tube_boxes}
    return sorted(keys | {key for key in state.actions if key[0] in live})


def _above_start_score(tube_box: TubeBox, starts: NDArray[np.float32]) -> list[ActionKey]:
    """The actions of an observed person that reach their start score."""
    labels = np.flatnonzero(tube_box.class_scores >= starts) if tube_box.observed else ()
    return [(tube_box.tube, int(label)) for label in labels]


def _observe(tube_box: TubeBox, label: int, frame: Frame, settings: EventSettings) -> ActionObservation:
    size = frame_size(frame.image)
    box = clip(tube_box.box[None], *size)[0]
    return ActionObservation(
        score=float(tube_box.class_scores[label]),
        box=box,
        frame_size=size,
        zones=zones_of(box, size, settings.zones),
        observed=tube_box.observed,
        index=frame.index,
        unix=frame.unix_time,
        monotonic=frame.monotonic_time,
    )


def zones_of(box: NDArray[np.float32], size: tuple[int, int], zones: Mapping[str, Polygon]) -> tuple[str, ...]:
    """Names of the zones that contain the middle of the box's lower edge, their own edges included.

    `box` (4,) in pixels of a frame of `size` (width, height).
    """
    foot = (float(box[0] + box[2]) / 2 / size[0], float(box[3]) / size[1])
    return tuple(
        name
        for name, polygon in zones.items()
        if cv2.pointPolygonTest(np.array(polygon, np.float32), foot, measureDist=False) >= 0
    )


def _with_observation(
    tracked: TrackedAction | None, tube: int, action: str, observation: ActionObservation, rules: ActionSettings
) -> TrackedAction:
    """The action after one more observation, or a new one."""
    if tracked is None:
        return TrackedAction(
            tube,
            action,
            first=observation,
            last=observation,
            last_seen=observation,
            last_kept=observation.monotonic,
            top_score=observation.score,
        )
    kept = observation.score >= rules.keep_score
    return replace(
        tracked,
        last=observation,
        last_seen=observation if kept and observation.observed else tracked.last_seen,
        last_kept=observation.monotonic if kept else tracked.last_kept,
        top_score=max(tracked.top_score, observation.score),
    )


def _decide(tracked: TrackedAction, rules: ActionSettings) -> EventType | Literal["drop"] | None:
    """What to do after an action's last observation; None: nothing."""
    now = tracked.last.monotonic
    kept = tracked.last.score >= rules.keep_score
    if not tracked.event_id:
        if not kept:
            return "drop"
        return "new" if now - tracked.first.monotonic + TIME_TOLERANCE >= rules.min_duration else None
    if not kept:
        return "end" if now - tracked.last_kept + TIME_TOLERANCE >= rules.cooldown else None
    return "update" if 0 < rules.update_interval <= now - tracked.published + TIME_TOLERANCE else None


def _ended(
    actions: Sequence[TrackedAction], index: int, unix_time: float, reason: str, monotonic: float | None
) -> tuple[Event, ...]:
    """The ends of those actions that have been published."""
    return tuple(
        _event(replace(tracked, seq=tracked.seq + 1), "end", index, unix_time, reason, monotonic)
        for tracked in actions
        if tracked.event_id
    )


def _event(
    tracked: TrackedAction, kind: EventType, index: int, unix_time: float, reason: str | None, monotonic: float | None
) -> Event:
    last = tracked.last
    duration = tracked.last_seen.monotonic - tracked.first.monotonic
    return Event(
        type=kind,
        event_id=tracked.event_id,
        seq=tracked.seq,
        tube=tracked.tube,
        action=tracked.action,
        score=last.score,
        top_score=tracked.top_score,
        started_unix=tracked.first.unix,
        started_monotonic=tracked.first.monotonic,
        ended_unix=tracked.first.unix + duration if kind == "end" else None,
        duration=duration,
        box=last.box,
        frame_size=last.frame_size,
        zones=last.zones,
        observed=last.observed and index == last.index,
        frame_index=index,
        t_capture=unix_time,
        reason_ended=reason,
        captured_monotonic=monotonic,
    )


def _event_id(state: EventState, tracked: TrackedAction, ordinal: int) -> str:
    """A UUID (version 5) of what identifies an event."""
    name = json.dumps([state.seed, state.camera, tracked.tube, tracked.action, ordinal])
    return str(uuid.uuid5(NAMESPACE, name))
