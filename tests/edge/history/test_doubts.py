"""What is in doubt: by scores around the start score, by how long it lasts, once in a while."""

from dataclasses import replace

import numpy as np
import pytest

from edge.event_settings import ActionSettings, EventSettings
from edge.history import doubts
from edge.history.doubts import Doubt, DoubtState, Watched
from edge.sources import Frame
from edge.tubes import TubeBox

RATE = 10.0
LABELS = ("Run", "Jump")
SETTINGS = EventSettings(ActionSettings(start_score=0.5, keep_score=0.3, min_duration=0.5, cooldown=0.5))
BOX = np.array([10, 10, 30, 60], np.float32)


def watched(score: float, settings: EventSettings = SETTINGS, tube: int = 0) -> Watched:
    person = TubeBox(tube, 0, BOX, score, np.array([score, 0.0], np.float32), True)
    return Watched((person,) if score else (), LABELS, settings)


def play(state: DoubtState, scores: list[float], first: int = 0) -> tuple[DoubtState, list[Doubt]]:
    found: list[Doubt] = []
    for index, score in enumerate(scores, first):
        frame = Frame("door", index, 1000 + index / RATE, index / RATE, np.zeros((80, 100, 3), np.uint8))
        state, decided = doubts.step(state, frame, watched(score))
        found += decided
    return state, found


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([0.45] * 10, "score"),  # never reaches the start score
        ([0.6] * 10, "score"),  # hardly above it
        ([0.41], "score"),
        ([0.9] * 3, "short"),  # above it, but for 0.3 of 0.5 s
        ([0.9] * 10, None),  # no doubt
        ([0.45, 0.7] + [0.45] * 10, None),  # its highest score counts
        ([0.39] * 10, None),  # too low to be worth a look
    ],
)
def test_what_is_in_doubt(scores: list[float], reason: str | None) -> None:
    _, found = play(doubts.initial("door"), [*scores, *[0.0] * 10])
    assert [one.reason for one in found] == ([reason] if reason else [])


def test_a_doubt_says_what_it_was() -> None:
    _, (found,) = play(doubts.initial("door"), [0.0, *[0.45] * 6, *[0.0] * 10])
    assert (found.camera, found.action, found.start_score) == ("door", "Run", 0.5)
    assert (found.started_unix, round(found.seconds, 6)) == (1000.1, 0.5)
    assert found.name == "doubt-door-1000-1-0-0"
    assert doubts.as_json(found)["score"] == 0.45


def test_what_is_open_may_yet_turn_out_to_be() -> None:
    state, found = play(doubts.initial("door"), [0.45] * 3)
    assert found == []
    assert doubts.open_moments(state) == {"doubt-door-1000-0-0-0": 0.0}
    assert doubts.open_moments(play(state, [0.0] * 10, 3)[0]) == {}


def test_one_a_minute_is_enough() -> None:
    state, found = play(doubts.initial("door"), ([0.45] * 5 + [0.0] * 15) * 5)
    assert len(found) == 1
    state, found = play(state, [0.45] * 5 + [0.0] * 15, first=500)
    assert found == []
    assert len(play(state, [0.45] * 5 + [0.0] * 15, first=700)[1]) == 1


def test_where_an_event_may_not_begin_nothing_is_in_doubt() -> None:
    small = EventSettings(replace(SETTINGS.default, max_area=0.01))
    state = doubts.initial("door")
    for index in range(10):
        frame = Frame("door", index, index / RATE, index / RATE, np.zeros((80, 100, 3), np.uint8))
        state, found = doubts.step(state, frame, watched(0.45 if index < 5 else 0.0, small))
        assert found == ()
        assert doubts.open_moments(state) == {}


def test_other_settings_hold_from_the_next_frame_on() -> None:
    state, _ = play(doubts.initial("door"), [0.0])
    other = EventSettings(replace(SETTINGS.default, start_score=0.9))
    frame = Frame("door", 1, 0.1, 0.1, np.zeros((80, 100, 3), np.uint8))
    state, _ = doubts.step(state, frame, watched(0.45, other))
    assert doubts.open_moments(state) == {}
