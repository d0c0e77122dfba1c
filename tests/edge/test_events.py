"""Stories of the people in front of one camera, and the events published of them. Ten frames a second."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from edge.event_settings import EventSettings
from edge.events import close, initial
from edge.korsal_linker import KorsalLinker
from tests.support.event_stories import QUICK, brief, events_of, one_runner, quick, some_settings, stories
from tests.support.people import LINKER, detected, frame, linked, person, tube_box

DEFAULT = EventSettings()


def test_nothing_happens() -> None:
    assert events_of([], DEFAULT) == []
    assert events_of([[]] * 5, DEFAULT) == []
    assert events_of(one_runner(*[0.19] * 50), DEFAULT) == []


def test_an_event_starts_continues_and_ends() -> None:
    events = events_of(one_runner(*[0.9] * 40, *[0.1] * 40), DEFAULT, closed=False)
    # published after 0.5 s, updates every second, over at 3.9 s, published 2 s later
    assert brief(events) == [("new", 5), ("update", 15), ("update", 25), ("update", 35), ("end", 59)]
    assert [event.seq for event in events] == [0, 1, 2, 3, 4]
    end = events[-1]
    assert end.started_unix == frame(0).unix_time
    assert end.ended_unix == frame(39).unix_time
    assert end.duration == pytest.approx(3.9)
    assert (end.action, end.reason_ended, end.top_score) == ("Run", "score", pytest.approx(0.9))


def test_an_open_event_has_not_ended() -> None:
    new, update = events_of(one_runner(*[0.9] * 16), DEFAULT, closed=False)
    assert (new.ended_unix, new.reason_ended) == (None, None)
    assert (update.ended_unix, update.reason_ended) == (None, None)
    assert new.duration == pytest.approx(0.5)


def test_a_short_burst_is_no_event() -> None:
    assert events_of(one_runner(*[0.9] * 5, *[0.1] * 30), DEFAULT) == []


def test_before_publication_the_score_may_fall_to_the_keep_score_and_no_further() -> None:
    assert brief(events_of(one_runner(0.9, 0.4, 0.4, 0.4), quick(min_duration=0.25), closed=False)) == [("new", 3)]
    assert brief(events_of(one_runner(0.9, 0.4, 0.2, 0.4), quick(min_duration=0.25), closed=False)) == []


def test_the_score_must_reach_the_start_score_to_start_but_not_to_continue() -> None:
    events = events_of(one_runner(0.4, 0.5, 0.4, 0.3, 0.29, 0.4), quick(), closed=False)
    assert brief(events) == [("new", 1), ("end", 4)]


def test_a_flickering_score_is_one_event() -> None:
    events = events_of(one_runner(*[0.9, 0.9, 0.1] * 20), quick(cooldown=0.5))
    assert [event.type for event in events] == ["new", "end"]
    assert events[-1].duration == pytest.approx(5.8)  # frames 0 to 58; 59 is a low one


def test_after_the_cooldown_it_is_a_new_event() -> None:
    pause = [0.1] * 6
    events = events_of(one_runner(0.9, *pause, 0.9), quick(cooldown=0.55))
    assert brief(events) == [("new", 0), ("end", 6), ("new", 7), ("end", 7)]
    assert events[0].event_id == events[1].event_id != events[2].event_id
    assert brief(events_of(one_runner(0.9, *pause, 0.9), quick(cooldown=0.75))) == [("new", 0), ("end", 7)]


def test_no_update_is_published_while_the_score_is_too_low() -> None:
    events = events_of(one_runner(0.9, *[0.1] * 10, 0.9), quick(cooldown=5.0, update_interval=0.2), closed=False)
    assert brief(events) == [("new", 0), ("update", 11)]


def test_an_interval_of_zero_means_no_updates() -> None:
    assert brief(events_of(one_runner(*[0.9] * 50), quick(), closed=False)) == [("new", 0)]


def test_a_person_who_leaves_ends_the_event_when_the_tube_is_lost() -> None:
    story = [*one_runner(0.9, 0.9), *one_runner(0.8, 0.7, observed=False), [], []]
    events = events_of(story, quick(cooldown=60.0), closed=False)
    assert brief(events) == [("new", 0), ("end", 4)]
    assert events[-1].reason_ended == "lost"
    assert events[-1].ended_unix == frame(1).unix_time  # last seen; extrapolation proves nothing
    assert events[-1].duration == pytest.approx(0.1)
    assert not events[-1].observed
    assert events[-1].t_capture == frame(4).unix_time


def test_extrapolated_boxes_start_no_event() -> None:
    assert events_of(one_runner(*[0.9] * 20, observed=False), quick()) == []


def test_shutdown_ends_all_open_events_and_nothing_else() -> None:
    story = [[tube_box(1, run=0.9), tube_box(2, jump=0.9), tube_box(3, sit=0.2)]] * 3
    events = events_of(story, quick())
    assert [(event.type, event.tube, event.action) for event in events] == [
        ("new", 1, "Run"),
        ("new", 2, "Jump"),
        ("end", 1, "Run"),
        ("end", 2, "Jump"),
    ]
    assert {event.reason_ended for event in events[2:]} == {"shutdown"}
    assert {event.t_capture for event in events[2:]} == {frame(3).unix_time}
    assert close(initial("door", ""), 0.0, "shutdown") == ()


def test_one_person_may_do_two_things_at_once() -> None:
    events = events_of([[tube_box(run=0.9, jump=0.7)]] * 3, quick())
    assert [(event.type, event.action) for event in events[:2]] == [("new", "Run"), ("new", "Jump")]


@pytest.mark.parametrize(("linker", "tubes"), [(LINKER, 1), (KorsalLinker(), 2)])
def test_two_labels_of_one_act_are_two_events_each_with_its_own_end(linker: Any, tubes: int) -> None:
    """As shoot_ball and Basketball of two data sets: peaks a few pixels apart, of which one fades earlier."""
    both, one = detected(person(100, run=0.8), person(103, jump=0.6)), detected(person(100, run=0.8))
    events = events_of(linked([both] * 10 + [one] * 20, linker), quick(cooldown=0.1))
    assert [event.action for event in events if event.type == "new"] == ["Run", "Jump"]
    assert len({event.tube for event in events}) == tubes
    ends = {event.action: event.frame_index for event in events if event.type == "end"}
    assert ends["Jump"] < ends["Run"]


def test_each_action_has_its_own_thresholds() -> None:
    settings = EventSettings(default=QUICK, actions={"Jump": replace(QUICK, start_score=0.95)})
    events = events_of([[tube_box(run=0.9, jump=0.9)]], settings, closed=False)
    assert [event.action for event in events] == ["Run"]


def test_a_keep_score_above_the_start_score_is_refused() -> None:
    with pytest.raises(ValueError, match=r"keep_score 0\.6 is above start_score 0\.5: lower it"):
        replace(QUICK, keep_score=0.6)


def test_the_same_story_has_the_same_ids_and_another_seed_has_others() -> None:
    story = one_runner(0.9, 0.1, 0.9, 0.1)
    ids = [event.event_id for event in events_of(story, quick())]
    assert ids == [event.event_id for event in events_of(story, quick())]
    assert not set(ids) & {event.event_id for event in events_of(story, quick(), seed="another")}


def test_a_box_that_leaves_the_frame_is_clipped() -> None:
    (new, _) = events_of(one_runner(0.9, box=(-30, 200, 50, 300)), quick())
    assert new.box.tolist() == [0, 200, 50, 240]
    assert new.frame_size == (320, 240)


@given(stories, some_settings)
def test_every_event_is_one_new_then_updates_then_one_end(story: Any, settings: Any) -> None:
    lives: dict[str, list[Any]] = {}
    for event in events_of(story, settings):
        lives.setdefault(event.event_id, []).append(event)
    for life in lives.values():
        assert [event.type for event in life] == ["new", *["update"] * (len(life) - 2), "end"]
        assert [event.seq for event in life] == list(range(len(life)))
        assert len({(event.tube, event.action, event.started_unix) for event in life}) == 1
        assert sorted(event.duration for event in life) == [event.duration for event in life]
        assert sorted(event.top_score for event in life) == [event.top_score for event in life]
        assert [event.reason_ended is None for event in life] == [event.type != "end" for event in life]


@given(stories, some_settings)
def test_boxes_lie_in_the_frame_and_times_in_order(story: Any, settings: Any) -> None:
    for event in events_of(story, settings):
        left, top, right, bottom = event.box
        assert 0 <= left <= right <= 320
        assert 0 <= top <= bottom <= 240
        assert event.score <= event.top_score
        assert event.started_unix <= (event.ended_unix or event.started_unix) <= event.t_capture


@given(stories, some_settings)
def test_one_person_has_one_open_event_of_an_action_at_a_time(story: Any, settings: Any) -> None:
    open_now = set()
    for event in events_of(story, settings):
        key = (event.tube, event.action)
        if event.type == "new":
            assert key not in open_now
            open_now.add(key)
        elif event.type == "end":
            open_now.remove(key)
    assert not open_now


def test_an_end_tells_the_path_from_its_start_to_the_last_detection() -> None:
    events = events_of(one_runner(0.3, 0.9, 0.8, 0.1, box=(20, 50, 60, 150)), quick())
    assert [event.path is None for event in events] == [True, False]
    path = events[-1].path
    assert [one.frame_index for one in path.boxes] == [1, 2]
    assert path.best.frame_index == 1
    assert path.best.box == pytest.approx((20 / 320, 50 / 240, 60 / 320, 150 / 240))


def test_events_of_one_tube_share_its_id_and_no_other() -> None:
    story = [[tube_box(1, run=0.9, jump=0.9), tube_box(2, run=0.9)]] * 2
    events = events_of(story, quick())
    ids = {event.tube: {other.tube_id for other in events if other.tube == event.tube} for event in events}
    assert [len(found) for found in ids.values()] == [1, 1]
    assert len(set.union(*ids.values())) == 2
    assert not {one.tube_id for one in events} & {one.tube_id for one in events_of(story, quick(), seed="another")}
