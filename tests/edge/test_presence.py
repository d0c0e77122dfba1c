"""Who counts, and as what."""

import numpy as np
import pytest

from edge.events import Episode, EventState, Look
from edge.presence import People, people, running, running_ids
from edge.tubes import TubeBox

LOOK = Look(0.5, np.zeros(4, np.float32), (160, 120), (), True, 0, 0.0, 0.0)


def state(*episodes: tuple[int, str, str]) -> EventState:
    """`episodes`: tube, action, id of the event (empty: not published yet)."""
    made = [Episode(tube, action, LOOK, LOOK, LOOK, 0.0, 0.5, number) for tube, action, number in episodes]
    return EventState("door", "a", 0, {(episode.tube, index): episode for index, episode in enumerate(made)})


def seen(tube: int, score: float, observed: bool = True) -> TubeBox:
    scores = np.array([score], np.float32)
    return TubeBox(tube, 0, np.zeros(4, np.float32), score, scores, observed)


@pytest.mark.parametrize(
    ("episodes", "expected"),
    [
        ([], {}),
        ([(1, "Run", "")], {}),  # found, and not published yet
        ([(1, "Run", "a"), (2, "Run", "b"), (2, "Jump", "c"), (3, "Jump", "")], {"Run": 2, "Jump": 1}),
    ],
)
def test_running(episodes: list[tuple[int, str, str]], expected: dict[str, int]) -> None:
    assert running(state(*episodes)) == expected


def test_ids_are_of_what_has_been_published() -> None:
    assert running_ids(state((1, "Run", ""), (2, "Run", "b"), (2, "Jump", "c"))) == {"b", "c"}


@pytest.mark.parametrize(
    ("episodes", "tube_boxes", "expected"),
    [
        ([], [], People(0, 0)),
        ([], [seen(1, 0.2), seen(2, 0.19), seen(3, 0.9, observed=False)], People(0, 1)),
        ([(1, "Run", "a"), (1, "Jump", "b")], [seen(1, 0.9)], People(1, 0)),
        ([(1, "Run", "a")], [seen(1, 0.01, observed=False), seen(2, 0.3)], People(1, 1)),  # hidden for a moment
        ([(1, "Run", "")], [seen(1, 0.9)], People(0, 1)),
    ],
)
def test_people(episodes: list[tuple[int, str, str]], tube_boxes: list[TubeBox], expected: People) -> None:
    assert people(state(*episodes), tube_boxes, 0.2) == expected
