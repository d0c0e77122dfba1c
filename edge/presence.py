"""Who is in front of a camera at this moment, and what they do, as its events say. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge.events import EventState
from edge.tubes import TubeBox

PEOPLE_SCORE = 0.15  # 0..1; of somebody without an event, to be counted and drawn where nothing else is said


@dataclass(frozen=True)
class People:
    """How many people have a running event, and how many others are seen."""

    active: int
    other: int


def running(state: EventState) -> Counter[str]:
    """Number of events that have been published and have not ended, by action."""
    return Counter(episode.action for episode in state.episodes.values() if episode.event_id)


def running_ids(state: EventState) -> frozenset[str]:
    """The ids of these events."""
    return frozenset(episode.event_id for episode in state.episodes.values() if episode.event_id)


def people(state: EventState, tube_boxes: Sequence[TubeBox], least_score: float) -> People:
    """The people of the frame that led to `state`, each counted once, however many events he has.

    Who has no event counts where a detection supports him in this frame, and one of his actions reaches `least_score`.
    """
    active = {tube for (tube, _), episode in state.episodes.items() if episode.event_id}
    others = [seen for seen in tube_boxes if seen.tube not in active and seen.observed and seen.score >= least_score]
    return People(len(active), len(others))
