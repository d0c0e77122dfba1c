"""Several cameras take turns, whatever one of them does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge import events, pipeline
from edge.detector import Detections
from edge.events import ActionSettings, EventSettings
from edge.pipeline import FrameInput, PipelineSettings, StepResult
from edge.presence import PeopleCount
from edge.service.camera_session import CameraSession, RoundRobin
from edge.sources import Frame
from edge.tubes import TubeBox


class Feed:
    """A camera that has a new frame whenever `ready` says so."""

    def __init__(self, ready: Callable[[], bool] = lambda: True) -> None:
        self.ready, self.state, self.live, self.finished, self.failed = ready, "online", True, False, False
        self.given = 0

    def now(self) -> float:
        return 0.0

    def newest(self) -> Frame | None:
        if not self.ready():
            return None
        self.given += 1
        return Frame("c", self.given, 0.0, 0.0, np.zeros((4, 4, 3), np.uint8))


class Silent:
    """An announcer that publishes nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


class Told(Silent):
    """An announcer that remembers who was said to be there."""

    people_score = 0.15

    def __init__(self) -> None:
        self.actions: list[dict[str, int]] = []
        self.counts: list[PeopleCount] = []

    def active(self, camera: str, running: dict[str, int]) -> None:
        self.actions.append(dict(running))

    def people(self, camera: str, people: PeopleCount) -> None:
        self.counts.append(people)


def session(name: str, feed: Any, announcer: Any = None) -> CameraSession:
    return CameraSession(name, feed, PipelineSettings(), announcer or Silent(), lambda name: True)


def watched(frames: list[list[TubeBox]]) -> Told:
    """What is told of frames a second apart in which these people are."""
    told = Told()
    feed = Feed()
    watching = session("door", feed, told)
    state = pipeline.initial("door", "a")
    settings = EventSettings(ActionSettings(0.5, 0.3, min_duration=0.5, cooldown=1.0, update_interval=0))
    for index, people in enumerate(frames):
        frame = Frame("door", index, float(index), float(index), np.zeros((120, 160, 3), np.uint8))
        happening, happened = events.step(state.events, people, frame, ("Run", "Jump"), settings)
        state = replace(state, events=happening)
        nothing = Detections(*(np.empty(shape) for shape in ((0, 4), 0, 0, (0, 2))))  # type: ignore[arg-type]
        watching.handle_result(frame, state, StepResult(lambda: None, nothing, tuple(people), happened, frozenset()))
    return told


def person(tube: int, run: float, jump: float = 0.0) -> TubeBox:
    scores = np.array([run, jump], np.float32)
    return TubeBox(tube, int(scores.argmax()), np.array([9, 9, 50, 90], np.float32), scores.max(), scores, True)


def names(taken: list[tuple[CameraSession, FrameInput]]) -> list[str]:
    return [one.name for one, _ in taken]


def test_each_camera_comes_as_often_as_any_other() -> None:
    round_robin = RoundRobin([session(name, Feed()) for name in "abcde"])
    served = [name for _ in range(10) for name in names(round_robin.next(2))]
    assert {name: served.count(name) for name in "abcde"} == dict.fromkeys("abcde", 4)


def test_a_batch_holds_what_is_new_and_one_frame_of_each() -> None:
    dead = Feed(lambda: False)
    round_robin = RoundRobin([session("dead", dead), *(session(name, Feed()) for name in "abc")])
    assert [names(round_robin.next(8)) for _ in range(3)] == [["a", "b", "c"]] * 3
    assert names(round_robin.next(1)) == ["a"]
    assert names(round_robin.next(2)) == ["b", "c"]


def test_who_was_silent_comes_first() -> None:
    speaks = False
    round_robin = RoundRobin([session("slow", Feed(lambda: speaks)), session("a", Feed()), session("b", Feed())])
    for _ in range(3):
        assert len(round_robin.next(1)) == 1
    speaks = True
    assert names(round_robin.next(1)) == ["slow"]


@pytest.mark.parametrize("most", [1, 3, 8])
def test_nobody_waits_longer_than_a_round(most: int) -> None:
    """Under load, with cameras that all have a frame whenever they are asked."""
    every = "abcdefgh"
    round_robin = RoundRobin([session(name, Feed()) for name in every])
    last = dict.fromkeys(every, 0)
    for turn in range(1, 60):
        for name in names(round_robin.next(most)):
            assert turn - last[name] <= -(-len(every) // most)
            last[name] = turn


def test_a_street_where_nothing_happens_has_nobody_active() -> None:
    """Passers-by whose best action is no event, however long they stay."""
    told = watched([[person(1, 0.45, 0.2), person(2, 0.1, 0.3), person(3, 0.01)]] * 5)
    assert told.actions == [{}]
    assert PeopleCount(0, 2) in told.counts  # the third scores less than 0.15
    assert all(count.active == 0 for count in told.counts)


def test_active_is_what_has_a_running_event() -> None:
    """Found at the first frame, published at the second, over a second after it was last loud enough, at the fourth."""
    told = watched([[person(1, 0.9, 0.1)]] * 3 + [[person(1, 0.2, 0.1)]] * 3)
    assert told.actions == [{}, {"Run": 1}, {}]


def test_an_event_counts_by_its_own_action_and_not_by_the_one_that_scores_highest() -> None:
    """He jumps on at 0.4, above the score that keeps an event, while running has come to score a little more."""
    told = watched([[person(1, 0.1, 0.9)]] * 2 + [[person(1, 0.45, 0.4)]] * 3)
    assert told.actions == [{}, {"Jump": 1}]


def test_one_person_with_two_events_is_one_person() -> None:
    told = watched([[person(1, 0.9, 0.8)]] * 3)
    assert told.actions == [{}, {"Run": 1, "Jump": 1}]
    assert all(count.active + count.other <= 1 for count in told.counts)


def test_before_the_first_frame_and_after_the_end_nobody_is_there() -> None:
    told = Told()
    watching = session("door", Feed(), told)
    assert (told.actions, told.counts) == ([{}], [PeopleCount(0, 0)])  # which takes back what a crash has left
    watching.end_events("camera")
    assert (told.actions, told.counts) == ([{}], [PeopleCount(0, 0)])
