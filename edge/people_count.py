"""Counts the open events and the people in front of a camera. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge.events import EventState
from edge.tubes import TubeBox

MIN_PERSON_SCORE = 0.15  # 0..1; default score from which a person without an event is counted and drawn


@dataclass(frozen=True)
class PeopleCount:
    """How many people have an open event, and how many others are detected."""

    active: int
    other: int


def open_events_by_action(state: EventState) -> Counter[str]:
    """The number of events that have been published and have not ended, by action."""
    return Counter(tracked.action for tracked in state.actions.values() if tracked.event_id)


def open_event_ids(state: EventState) -> frozenset[str]:
    """The ids of these events."""
    return frozenset(tracked.event_id for tracked in state.actions.values() if tracked.event_id)


def count_people(state: EventState, tube_boxes: Sequence[TubeBox], least_score: float) -> PeopleCount:
    """The people of the frame that led to `state`, each counted once, whatever the number of their events.

    A person without an event counts if detected in this frame with a score of at least `least_score` for some action.
    """
    active = {tube for (tube, _), tracked in state.actions.items() if tracked.event_id}
    others = [one for one in tube_boxes if one.tube not in active and one.observed and one.score >= least_score]
    return PeopleCount(len(active), len(others))
