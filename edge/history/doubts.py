"""Moments worth annotating: scores around the start score, events too short, or of one linker alone. Pure.

A second life of events runs beside that of `edge/events.py`, with lower scores, and publishes nothing: what it finds
and the first does not is in doubt, and so is what both find at scores hardly above the start score. What only one of
the two linkers makes an event of is found by `edge/history/second_linker.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge import events
from edge.event_settings import ActionSettings, EventSettings
from edge.events import ActionKey, EventState
from edge.history import second_linker
from edge.history.clip_names import PREFIX
from edge.history.second_linker import Linked, OpenEvent, SecondLinking
from edge.sources import Frame
from edge.tracked_action import TrackedAction
from edge.tubes import TubeBox

LOWEST, HIGHEST = 0.8, 1.25  # times the start score: between these a highest score leaves doubt
PAUSE_SECONDS = 60.0  # between two doubts of one camera: more of the same teaches little
SECOND = "b"  # ends the name of one that the second linker alone has found, whose tubes have numbers of their own

Reason = Literal["score", "short", "linkers"]


@dataclass(frozen=True)
class Watched:
    """What is known of a frame: all live tubes, the actions of the model, and the camera's settings.

    `linked`: how it came to that; without it the linkers are not compared.
    """

    tube_boxes: Sequence[TubeBox]
    labels: Sequence[str]
    settings: EventSettings
    linked: Linked | None = None


@dataclass(frozen=True)
class Doubt:
    """One such moment.

    `reason`: its highest `score` is around the start score; or it was above, but `short`; or one of the `linkers` alone
    made an event of it.
    """

    name: str  # unique while the daemon runs
    camera: str
    action: str
    reason: Reason
    score: float  # 0..1
    start_score: float  # 0..1
    started_unix: float  # seconds
    seconds: float  # until the action was last observed


@dataclass(frozen=True, eq=False)
class DoubtState:
    """What is carried from frame to frame of one camera. `decided`: when the last doubt was, monotonic, s."""

    life: EventState
    second: SecondLinking
    settings: EventSettings | None = None  # from which `lowered` was made
    lowered: EventSettings = EventSettings()
    decided: float = -PAUSE_SECONDS


def initial(camera: str) -> DoubtState:
    """The state before the first frame."""
    return DoubtState(events.initial(camera, "doubts"), second_linker.initial(camera))


def step(state: DoubtState, frame: Frame, watched: Watched) -> tuple[DoubtState, tuple[Doubt, ...]]:
    """The doubt that ends with this frame, if there is one and the last was long enough ago."""
    if state.settings is not watched.settings:
        state = replace(state, settings=watched.settings, lowered=lowered(watched.settings))
    before = state.life.actions
    life, _ = events.step(state.life, watched.tube_boxes, frame, watched.labels, state.lowered)
    ended = [key for key, one in before.items() if _name(key, one) != _name(key, life.actions.get(key))]
    doubts = [found for key in ended if (found := _doubt(life.camera, key, before[key], watched.settings))]
    second, alone = state.second, tuple[OpenEvent, ...]()
    if watched.linked is not None:
        second, alone = second_linker.step(second, frame, watched.linked, watched.labels, watched.settings)
    doubts += [_of_one_linker(life.camera, one, watched.settings) for one in alone]
    state = replace(state, life=life, second=second)
    if not doubts or frame.monotonic_time - state.decided < PAUSE_SECONDS:
        return state, ()
    chosen = max(doubts, key=lambda one: (one.seconds, one.name))
    return replace(state, decided=frame.monotonic_time), (chosen,)


def open_moments(state: DoubtState) -> dict[str, float]:
    """What may yet turn out to be in doubt, by name, and when each began, monotonic, s."""
    camera = state.life.camera
    found = {
        _name(key, one, camera): one.first.monotonic
        for key, one in state.life.actions.items()
        if one.in_place or one.event_id
    }
    alone = [one for event_id, one in state.second.open.items() if event_id not in state.second.agreed]
    return found | {_name_of(one, camera): one.tracked.first.monotonic for one in alone}


def lowered(settings: EventSettings) -> EventSettings:
    """The settings with lower scores."""
    return EventSettings(
        _lower(settings.default), {name: _lower(one) for name, one in settings.actions.items()}, settings.zones
    )


def _lower(rules: ActionSettings) -> ActionSettings:
    return replace(rules, start_score=LOWEST * rules.start_score, keep_score=LOWEST * rules.keep_score)


def _name(key: ActionKey, tracked: TrackedAction | None, camera: str = "") -> str:
    """A new one where an action begins anew."""
    if tracked is None:
        return ""
    return f"{PREFIX}{camera}-{tracked.first.unix:.0f}-{tracked.first.index}-{key[0]}-{key[1]}"


def _doubt(camera: str, key: ActionKey, tracked: TrackedAction, settings: EventSettings) -> Doubt | None:
    start = settings.for_action(tracked.action).start_score
    if not (tracked.in_place or tracked.event_id):
        return None
    if tracked.top_score >= HIGHEST * start and tracked.event_id:
        return None
    reason: Reason = "score" if tracked.top_score < HIGHEST * start else "short"
    name, began = _name(key, tracked, camera), tracked.first.unix
    return Doubt(name, camera, tracked.action, reason, tracked.top_score, start, began, _seconds(tracked))


def _seconds(tracked: TrackedAction) -> float:
    return tracked.last_seen.monotonic - tracked.first.monotonic


def _name_of(one: OpenEvent, camera: str) -> str:
    return _name(one.key, one.tracked, camera) + SECOND * one.second


def _of_one_linker(camera: str, one: OpenEvent, settings: EventSettings) -> Doubt:
    tracked = one.tracked
    start, seconds = settings.for_action(tracked.action).start_score, _seconds(tracked)
    began, top = tracked.first.unix, tracked.top_score
    return Doubt(_name_of(one, camera), camera, tracked.action, "linkers", top, start, began, seconds)


def as_json(doubt: Doubt) -> Mapping[str, object]:
    """What is written beside a clip."""
    return {
        "camera": doubt.camera,
        "action": doubt.action,
        "reason": doubt.reason,
        "score": round(doubt.score, 4),
        "start_score": round(doubt.start_score, 4),
        "started": round(doubt.started_unix, 3),
        "seconds": round(doubt.seconds, 3),
    }
