"""What a camera session publishes of the people in front of its camera."""

from dataclasses import replace

import numpy as np
import pytest

from edge import events, pipeline
from edge.detector import Detections
from edge.event_settings import ActionSettings, EventSettings
from edge.people_count import PeopleCount
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.tubes import TubeBox
from tests.support.fake_feed import FakeFeed, RecordingAnnouncer, session

NOTHING = Detections(*(np.empty(shape) for shape in ((0, 4), 0, 0, (0, 2))))  # type: ignore[arg-type]


def watched(frames: list[list[TubeBox]]) -> RecordingAnnouncer:
    """What is told of frames a second apart in which these people are."""
    announcer = RecordingAnnouncer()
    feed = FakeFeed()
    watching = session("door", feed, announcer)
    state = pipeline.initial("door", "a")
    settings = EventSettings(ActionSettings(0.5, 0.3, min_duration=0.5, cooldown=1.0, update_interval=0))
    for index, people in enumerate(frames):
        frame = Frame("door", index, float(index), float(index), np.zeros((120, 160, 3), np.uint8))
        happening, happened = events.step(state.events, people, frame, ("Run", "Jump"), settings)
        state = replace(state, events=happening)
        watching.handle_result(frame, state, StepResult(tuple, NOTHING, tuple(people), happened, frozenset()))
    return announcer


def person(tube: int, run: float, jump: float = 0.0) -> TubeBox:
    scores = np.array([run, jump], np.float32)
    return TubeBox(tube, int(scores.argmax()), np.array([9, 9, 50, 90], np.float32), scores.max(), scores, True)


def test_a_street_where_nothing_happens_has_nobody_active() -> None:
    """Passers-by whose best action is no event, however long they stay."""
    announcer = watched([[person(1, 0.45, 0.2), person(2, 0.1, 0.3), person(3, 0.01)]] * 5)
    assert announcer.actions == [{}]
    assert PeopleCount(0, 2) in announcer.counts  # the third scores less than 0.15
    assert all(count.active == 0 for count in announcer.counts)


def test_active_is_what_has_a_running_event() -> None:
    """Found at the first frame, published at the second, over a second after it was last loud enough, at the fourth."""
    announcer = watched([[person(1, 0.9, 0.1)]] * 3 + [[person(1, 0.2, 0.1)]] * 3)
    assert announcer.actions == [{}, {"Run": 1}, {}]


def test_an_event_counts_by_its_own_action_and_not_by_the_one_that_scores_highest() -> None:
    """He jumps on at 0.4, above the score that keeps an event, while running has come to score a little more."""
    announcer = watched([[person(1, 0.1, 0.9)]] * 2 + [[person(1, 0.45, 0.4)]] * 3)
    assert announcer.actions == [{}, {"Jump": 1}]


def test_one_person_with_two_events_is_one_person() -> None:
    announcer = watched([[person(1, 0.9, 0.8)]] * 3)
    assert announcer.actions == [{}, {"Run": 1, "Jump": 1}]
    assert all(count.active + count.other <= 1 for count in announcer.counts)


def test_before_the_first_frame_and_after_the_end_nobody_is_there() -> None:
    announcer = RecordingAnnouncer()
    watching = session("door", FakeFeed(), announcer)
    assert (announcer.actions, announcer.counts) == (
        [{}],
        [PeopleCount(0, 0)],
    )  # which takes back what a crash has left
    watching.end_events("camera")
    assert (announcer.actions, announcer.counts) == ([{}], [PeopleCount(0, 0)])


@pytest.mark.parametrize("replaced", [False, True])
def test_a_requested_picture_is_of_the_camera_as_it_was_then(replaced: bool) -> None:
    """Not of hours later, when somebody has switched it off in between."""
    announcer = RecordingAnnouncer()
    watching = session("door", FakeFeed(), announcer)
    assert watching.request_snapshot() is None
    if replaced:
        watching.replace_feed(FakeFeed(), "disabled")  # type: ignore[arg-type]
    frame = Frame("door", 0, 0.0, 0.0, np.zeros((120, 160, 3), np.uint8))
    watching.handle_result(frame, pipeline.initial("door", "a"), StepResult(tuple, NOTHING, (), (), frozenset()))
    assert announcer.snapshots == ["door"] * (not replaced)
