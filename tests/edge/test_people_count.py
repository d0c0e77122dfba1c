"""Who counts, and as what."""

import numpy as np
import pytest

from edge import event_path
from edge.event_path import PathBox
from edge.events import EventState
from edge.people_count import PeopleCount, count_people, open_event_ids, open_events_by_action
from edge.tracked_action import ActionObservation, TrackedAction
from edge.tubes import TubeBox

OBSERVATION = ActionObservation(0.5, np.zeros(4, np.float32), (160, 120), (), True, 0, 0.0, 0.0)
PATH = event_path.begin(PathBox(0.0, (0.0, 0.0, 0.0, 0.0), 0.5, 0))


def state(*actions: tuple[int, str, str]) -> EventState:
    """`actions`: tube, action, id of the event (empty: not published yet)."""
    made = [
        TrackedAction(tube, action, OBSERVATION, OBSERVATION, OBSERVATION, True, 0.0, 0.5, PATH, number)
        for tube, action, number in actions
    ]
    return EventState("door", "a", 0, {(tracked.tube, index): tracked for index, tracked in enumerate(made)})


def seen(tube: int, score: float, observed: bool = True) -> TubeBox:
    scores = np.array([score], np.float32)
    return TubeBox(tube, 0, np.zeros(4, np.float32), score, scores, observed)


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([], {}),
        ([(1, "Run", "")], {}),  # found, and not published yet
        ([(1, "Run", "a"), (2, "Run", "b"), (2, "Jump", "c"), (3, "Jump", "")], {"Run": 2, "Jump": 1}),
    ],
)
def test_running(actions: list[tuple[int, str, str]], expected: dict[str, int]) -> None:
    assert open_events_by_action(state(*actions)) == expected


def test_ids_are_of_what_has_been_published() -> None:
    assert open_event_ids(state((1, "Run", ""), (2, "Run", "b"), (2, "Jump", "c"))) == {"b", "c"}


@pytest.mark.parametrize(
    ("actions", "tube_boxes", "expected"),
    [
        ([], [], PeopleCount(0, 0)),
        ([], [seen(1, 0.2), seen(2, 0.19), seen(3, 0.9, observed=False)], PeopleCount(0, 1)),
        ([(1, "Run", "a"), (1, "Jump", "b")], [seen(1, 0.9)], PeopleCount(1, 0)),
        ([(1, "Run", "a")], [seen(1, 0.01, observed=False), seen(2, 0.3)], PeopleCount(1, 1)),  # hidden for a moment
        ([(1, "Run", "")], [seen(1, 0.9)], PeopleCount(0, 1)),
    ],
)
def test_people(actions: list[tuple[int, str, str]], tube_boxes: list[TubeBox], expected: PeopleCount) -> None:
    assert count_people(state(*actions), tube_boxes, 0.2) == expected
