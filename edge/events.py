"""Turns tubes into events: an action of one person started, continues, ended. Pure.

The life of an event. An action is found when its smoothed score reaches `start_score`, and published as `new` once the
score has stayed at `keep_score` or above for `min_duration`; its start is when it was found. While it continues, an
`update` follows every `update_interval`. A score below `keep_score` does not end it at once: if it comes back within
`cooldown` the same event continues, so that a flickering score makes one event and not many. After `cooldown` it ends
("score"), and it ends when its tube does ("lost") or its camera is closed. Its end is when the action was last
observed, not when that became known: extrapolated boxes and the cooldown do not count as duration. A person may have
several events at a time, one for each action.

Where an action needs a zone (`required_zones`) or a size (`min_area`, `max_area`), its event begins only there: the
start is the first frame in place, and whoever leaves the place before the event is published begins anew. An open event
continues wherever the person goes, so that a walk along a zone's edge makes one event and not many.

Durations are measured by the monotonic clock, and nothing else decides when an event starts, is published and ends. An
event ended at its start plus its duration. Each message is given its wall-clock times by the clock as it then is
(`edge/broker/payload.py`): once a time server has set the clock they are right, whatever was published before.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge import zones
from edge.boxes import clip
from edge.detector import frame_size
from edge.event_path import EventPath
from edge.event_settings import ActionSettings, EventSettings
from edge.sources import TIME_TOLERANCE, Frame
from edge.tracked_action import ActionObservation, TrackedAction, with_observation
from edge.tubes import TubeBox
from edge.zones import Stays

EventType = Literal["new", "update", "end"]
ActionKey = tuple[int, int]  # tube, label

NAMESPACE = uuid.UUID("6f1c0f6e-6a0a-5f43-9d55-0d2d0a9b7c11")  # of event and tube ids; an arbitrary constant


@dataclass(frozen=True, eq=False)
class Event:
    """One message of an event. `score`, `box`, `zones` and `observed` are of the person's latest frame."""

    type: EventType
    event_id: str  # the same in all messages
    seq: int  # 0, 1, 2 …
    tube: int
    tube_id: str  # the same in all events of this tube, unlike that of any other tube
    action: str
    score: float  # 0..1
    top_score: float  # 0..1, the best so far
    started_unix: float  # seconds
    started_monotonic: float  # seconds
    ended_unix: float | None  # seconds, when the action was last observed: started_unix + duration; None before the end
    duration: float  # seconds from the start until the action was last observed
    box: NDArray[np.float32]  # (4,), x1 y1 x2 y2, pixels, inside the frame
    frame_size: tuple[int, int]  # (width, height), pixels
    zones: tuple[str, ...]  # those in which the foot of the box is, for as long as they ask
    observed: bool  # False where the box is extrapolated
    frame_index: int  # of the frame that led to this message
    t_capture: float  # unix time of that frame, or of the closing
    reason_ended: str | None
    captured_monotonic: float | None = None  # seconds, of that frame; None for a closing
    path: EventPath | None = None  # of an end


@dataclass(frozen=True, eq=False)
class EventState:
    """What is carried from frame to frame. `published_count`: how many events have been published so far.

    `stays`: in the zones that ask for one.
    """

    camera: str
    seed: str
    published_count: int = 0
    actions: Mapping[ActionKey, TrackedAction] = field(default_factory=dict)
    stays: Stays = field(default_factory=dict)


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
    published_count, stays = state.published_count, _stays(state.stays, tube_boxes, frame, settings)
    for key in _keys(state, tube_boxes, labels, settings):
        rules = settings.for_action(labels[key[1]])
        observation = _observe(boxes[key[0]], key[1], frame, settings, stays)
        tracked = with_observation(state.actions.get(key), key[0], labels[key[1]], observation, rules)
        decision = _decide(tracked, rules)
        if decision == "new":
            tracked = replace(
                tracked, event_id=_event_id(state, tracked, published_count), tube_id=_tube_id(state, key[0])
            )
            published_count += 1
        if decision in ("new", "update", "end"):
            tracked = replace(tracked, seq=tracked.seq + 1, published=observation.monotonic)
            reason = ("score" if observation.observed else "lost") if decision == "end" else None
            events.append(_event(tracked, decision, frame.index, frame.unix_time, reason, frame.monotonic_time))
        if decision not in ("drop", "end"):
            actions[key] = tracked
    return EventState(state.camera, state.seed, published_count, actions, stays), tuple(events)


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


def _stays(stays: Stays, tube_boxes: Sequence[TubeBox], frame: Frame, settings: EventSettings) -> Stays:
    """How long everybody has been in the zones that ask for a stay, whatever they do there."""
    asking = zones.with_stay(settings.zones)
    if not asking:
        return {}
    size = frame_size(frame.image)
    inside = {one.tube: zones.zones_of(clip(one.box[None], *size)[0], size, asking) for one in tube_boxes}
    return zones.after_frame(stays, inside, frame.monotonic_time)


def _observe(tube_box: TubeBox, label: int, frame: Frame, settings: EventSettings, stays: Stays) -> ActionObservation:
    size = frame_size(frame.image)
    box = clip(tube_box.box[None], *size)[0]
    names = zones.zones_of(box, size, settings.zones)
    return ActionObservation(
        score=float(tube_box.class_scores[label]),
        box=box,
        frame_size=size,
        zones=zones.counting(names, tube_box.tube, stays, settings.zones, frame.monotonic_time),
        observed=tube_box.observed,
        index=frame.index,
        unix=frame.unix_time,
        monotonic=frame.monotonic_time,
    )


def _decide(tracked: TrackedAction, rules: ActionSettings) -> EventType | Literal["drop"] | None:
    """What to do after an action's last observation; None: nothing."""
    now = tracked.last.monotonic
    kept = tracked.last.score >= rules.keep_score
    if not tracked.event_id:
        if not kept:
            return "drop"
        if not tracked.in_place:
            return None
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
        tube_id=tracked.tube_id,
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
        path=tracked.path if kind == "end" else None,
    )


def _event_id(state: EventState, tracked: TrackedAction, ordinal: int) -> str:
    """A UUID (version 5) of what identifies an event."""
    name = json.dumps([state.seed, state.camera, tracked.tube, tracked.action, ordinal])
    return str(uuid.uuid5(NAMESPACE, name))


def _tube_id(state: EventState, tube: int) -> str:
    """A UUID (version 5) of what identifies a tube."""
    return str(uuid.uuid5(NAMESPACE, json.dumps([state.seed, state.camera, "tube", tube])))
