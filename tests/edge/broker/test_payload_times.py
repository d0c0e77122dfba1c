"""Wall clocks that are set in the midst of an event. Ten frames a second, as in the stories of events."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge.broker.payload import CLOCK_SET, ModelIdentity, event_payload, retimed
from edge.event_settings import ActionSettings, EventSettings
from edge.events import close, initial, step
from tests.support.paths import ROOT
from tests.support.people import LABELS, frame, tube_box

SETTINGS = EventSettings(default=ActionSettings(min_duration=0.2, cooldown=0.3, update_interval=0.2))
TODAY = 1_800_000_000.0
MONOTONIC = 50.0  # of frame 0
SCHEMA = json.loads((ROOT / "docs" / "event.schema.json").read_text())
MODEL = ModelIdentity("korsal-ucf24", "ab" * 32)


def events_of(scores: Any, walls: Any, closed: bool = True) -> Any:
    """The steps of a story, each handed over 40 ms after its frame; `walls`: the wall clock's error at each, s.

    The wall clock is right where its error is 0: it then says TODAY at frame 0.
    """
    state, published = initial("door", "seed"), list[Any]()
    for index, (score, wall) in enumerate(zip(scores, walls, strict=True)):
        seen = frame(index, start=TODAY + wall)
        state, events = step(state, [tube_box(run=score)], seen, LABELS, SETTINGS)
        published += [retimed(event, seen.unix_time + 0.04, seen.monotonic_time + 0.04) for event in events]
    seen = frame(len(scores), start=TODAY + walls[-1])
    events = close(state, seen.unix_time, "shutdown") if closed else ()
    return published + [retimed(event, seen.unix_time, seen.monotonic_time) for event in events]


def plain(event: Any) -> Any:
    return (event.type, event.event_id, event.seq, event.frame_index, event.duration, event.reason_ended)


def test_a_clock_that_is_set_from_1970_gives_the_right_times_from_then_on() -> None:
    new, *_, update, end = events_of([0.9] * 10, [-TODAY] * 5 + [0.0] * 5)
    assert new.started_unix == 0.0
    assert new.t_capture == pytest.approx(0.2)
    assert (update.started_unix, end.started_unix) == (pytest.approx(TODAY), pytest.approx(TODAY))
    assert end.ended_unix == pytest.approx(TODAY + 0.9)
    assert end.duration == pytest.approx(0.9)


def test_even_before_it_is_retimed_an_event_ended_at_its_start_plus_its_duration() -> None:
    state = initial("door", "seed")
    for index in range(10):
        seen = frame(index, start=0.0 if index < 5 else TODAY)
        state, _ = step(state, [tube_box(run=0.9)], seen, LABELS, SETTINGS)
    (end,) = close(state, TODAY + 1, "shutdown")
    assert (end.started_unix, end.ended_unix) == (0.0, pytest.approx(0.9))


def test_a_start_stays_the_same_while_the_clock_is_only_trimmed() -> None:
    published = events_of([0.9] * 10, [index * 0.01 for index in range(10)])
    assert len(published) > 3
    assert {event.started_unix for event in published} == {TODAY}


def test_the_latency_is_that_of_the_monotonic_clock() -> None:
    """The clock is set between a frame and the handing over of what was seen in it."""
    state, _ = step(initial("door", ""), [tube_box(run=0.9)], frame(0, start=0.0), LABELS, SETTINGS)
    _, (new,) = step(state, [tube_box(run=0.9)], frame(3, start=0.0), LABELS, SETTINGS)
    published = retimed(new, TODAY + 0.35, MONOTONIC + 0.35)
    payload = event_payload(published, "lab", "door", MODEL, TODAY + 0.35)
    assert payload["latency_ms"] == pytest.approx(50, abs=0.2)
    assert payload["t_capture"] == TODAY + 0.3


def test_times_before_1970_are_valid_too() -> None:
    state, _ = step(initial("door", ""), [tube_box(run=0.9)], frame(0, start=TODAY), LABELS, SETTINGS)
    _, (new,) = step(state, [tube_box(run=0.9)], frame(3, start=TODAY), LABELS, SETTINGS)
    payload = event_payload(retimed(new, 0.0, MONOTONIC + 0.35), "lab", "door", MODEL, 0.0, clock_synced=False)
    Draft202012Validator(SCHEMA).validate(payload)
    assert payload["started"] == "1969-12-31T23:59:59.650Z"


def test_a_closing_keeps_its_own_time() -> None:
    *_, end = events_of([0.9] * 5, [0.0] * 5)
    assert end.captured_monotonic is None
    assert end.t_capture == frame(5, start=TODAY).unix_time


scores = st.lists(st.sampled_from([0.0, 0.15, 0.9]), min_size=1, max_size=25)
jumps = st.sampled_from([0.0, 0.0, 0.0, -TODAY, 40.0, -3600.0, 86_400.0 * 9000])


@st.composite
def stories(draw: Any) -> Any:
    """Scores of one person, and a wall clock that somebody sets now and then."""
    published = draw(scores)
    walls = [0.0]
    while len(walls) < len(published):
        walls.append(draw(st.one_of(st.just(walls[-1]), jumps)))
    return published, walls


@given(stories())
def test_setting_the_clock_neither_ends_nor_stretches_an_event(story: Any) -> None:
    published, walls = story
    assert [plain(event) for event in events_of(published, walls)] == [
        plain(event) for event in events_of(published, [0.0] * len(published))
    ]


@given(stories())
def test_the_times_of_every_step_are_by_the_clock_at_its_publication(story: Any) -> None:
    """Its times are wrong by what that clock is wrong by, and no more than CLOCK_SET beyond."""
    published, walls = story
    for event in events_of(published, walls):
        wall = walls[-1] if event.captured_monotonic is None else walls[event.frame_index]
        right = TODAY + (event.started_monotonic - MONOTONIC)
        assert abs(event.started_unix - right - wall) <= CLOCK_SET + 1e-6
        if event.ended_unix is not None:
            assert event.ended_unix - event.started_unix == pytest.approx(event.duration, abs=1e-6)


@given(stories())
def test_retiming_twice_changes_nothing(story: Any) -> None:
    for event in events_of(*story):
        now = event.started_unix + 7.0, event.started_monotonic + 7.0
        again = retimed(event, *now)
        assert again.started_unix == event.started_unix
        assert again.ended_unix == event.ended_unix
        assert again.duration == event.duration
