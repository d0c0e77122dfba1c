"""Moments that the model is in doubt of, worth annotating: scores around the start score, and events too short. Pure.

A second life of events runs beside that of `edge/events.py`, with lower scores, and publishes nothing: what it finds
and the first does not is in doubt, and so is what both find at scores hardly above the start score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge import events
from edge.event_settings import ActionSettings, EventSettings
from edge.events import ActionKey, EventState
from edge.sources import Frame
from edge.tracked_action import TrackedAction
from edge.tubes import TubeBox

LOWEST, HIGHEST = 0.8, 1.25  # times the start score: between these a highest score leaves doubt
PAUSE_SECONDS = 60.0  # between two doubts of one camera: more of the same teaches little
PREFIX = "doubt-"  # of the names of such moments, unlike ids of events

Reason = Literal["score", "short"]


@dataclass(frozen=True)
class Watched:
    """What is known of a frame: all live tubes, the actions of the model, and the camera's settings."""

    tube_boxes: Sequence[TubeBox]
    labels: Sequence[str]
    settings: EventSettings


@dataclass(frozen=True)
class Doubt:
    """One such moment. `reason`: its highest `score` is around the start score; or it was above, but `short`."""

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
    settings: EventSettings | None = None  # from which `lowered` was made
    lowered: EventSettings = EventSettings()
    decided: float = -PAUSE_SECONDS


def initial(camera: str) -> DoubtState:
    """The state before the first frame."""
    return DoubtState(events.initial(camera, "doubts"))


def step(state: DoubtState, frame: Frame, watched: Watched) -> tuple[DoubtState, tuple[Doubt, ...]]:
    """The doubt that ends with this frame, if there is one and the last was long enough ago."""
    if state.settings is not watched.settings:
        state = replace(state, settings=watched.settings, lowered=lowered(watched.settings))
    before = state.life.actions
    life, _ = events.step(state.life, watched.tube_boxes, frame, watched.labels, state.lowered)
    ended = [key for key, one in before.items() if _name(key, one) != _name(key, life.actions.get(key))]
    doubts = [found for key in ended if (found := _doubt(life.camera, key, before[key], watched.settings))]
    if not doubts or frame.monotonic_time - state.decided < PAUSE_SECONDS:
        return replace(state, life=life), ()
    chosen = max(doubts, key=lambda one: (one.seconds, one.name))
    return replace(state, life=life, decided=frame.monotonic_time), (chosen,)


def open_moments(state: DoubtState) -> dict[str, float]:
    """What may yet turn out to be in doubt, by name, and when each began, monotonic, s."""
    return {
        _name(key, one, state.life.camera): one.first.monotonic
        for key, one in state.life.actions.items()
        if one.in_place or one.event_id
    }


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
    seconds = tracked.last_seen.monotonic - tracked.first.monotonic
    began = tracked.first.unix
    return Doubt(_name(key, tracked, camera), camera, tracked.action, reason, tracked.top_score, start, began, seconds)


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
