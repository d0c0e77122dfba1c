"""Who is in front of a camera at this moment, and what they do, as its events say. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge.events import EventState
from edge.tubes import TubeBox

MIN_PERSON_SCORE = 0.15  # 0..1; of somebody without an event, to be counted and drawn where nothing else is said


@dataclass(frozen=True)
class PeopleCount:
    """How many people have a running event, and how many others are seen."""

    active: int
    other: int


def open_events_by_action(state: EventState) -> Counter[str]:
    """Number of events that have been published and have not ended, by action."""
    return Counter(tracked.action for tracked in state.actions.values() if tracked.event_id)


def open_event_ids(state: EventState) -> frozenset[str]:
    """The ids of these events."""
    return frozenset(tracked.event_id for tracked in state.actions.values() if tracked.event_id)


def count_people(state: EventState, tube_boxes: Sequence[TubeBox], least_score: float) -> PeopleCount:
    """The people of the frame that led to `state`, each counted once, however many events he has.

    Who has no event counts where a detection supports him in this frame, and one of his actions reaches `least_score`.
    """
    active = {tube for (tube, _), tracked in state.actions.items() if tracked.event_id}
    others = [seen for seen in tube_boxes if seen.tube not in active and seen.observed and seen.score >= least_score]
    return PeopleCount(len(active), len(others))
