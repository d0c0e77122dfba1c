"""Where events begin: in required zones, and with boxes neither too small nor too large."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.event_settings import EventSettings
from edge.zones import Zone
from tests.support.event_stories import QUICK, brief, events_of, quick, some_settings, stories
from tests.support.people import frame, tube_box

HALF = Zone(((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
LEFT, RIGHT = (20, 50, 60, 150), (240, 50, 280, 150)  # boxes in a frame of 320 x 240


def in_the_left(**settings: Any) -> Any:
    return EventSettings(default=replace(QUICK, required_zones=("left",), **settings), zones={"left": HALF})


def walk(*places: Any, run: float = 0.9) -> Any:
    return [[tube_box(run=run, box=place)] for place in places]


def test_an_event_begins_where_the_required_zone_does_and_not_before() -> None:
    events = events_of(walk(RIGHT, RIGHT, LEFT, LEFT), in_the_left(), closed=False)
    assert brief(events) == [("new", 2)]
    assert events[0].started_unix == frame(2).unix_time
    assert events[0].duration == 0.0
    assert events[0].zones == ("left",)


def test_an_open_event_goes_on_outside_of_its_zone() -> None:
    events = events_of(walk(LEFT, *[RIGHT] * 10, LEFT), in_the_left(update_interval=0.5))
    assert brief(events) == [("new", 0), ("update", 5), ("update", 10), ("end", 11)]
    assert [event.zones for event in events] == [("left",), (), (), ("left",)]


def test_who_leaves_the_zone_before_the_event_is_published_begins_anew() -> None:
    settings = in_the_left(min_duration=0.25)
    assert events_of(walk(*[LEFT, LEFT, RIGHT] * 5), settings) == []
    events = events_of(walk(LEFT, LEFT, RIGHT, LEFT, LEFT, LEFT, LEFT), settings, closed=False)
    assert brief(events) == [("new", 6)]
    assert events[0].started_unix == frame(3).unix_time


def test_an_action_found_outside_needs_its_keep_score_alone_inside() -> None:
    story = [*walk(RIGHT, run=0.9), *walk(LEFT, run=0.4)]
    (new,) = events_of(story, in_the_left(), closed=False)
    assert (new.frame_index, new.top_score) == (1, pytest.approx(0.4))
    assert events_of(walk(LEFT, run=0.4), in_the_left()) == []
    assert events_of([*walk(RIGHT, run=0.9), *walk(RIGHT, run=0.2), *walk(LEFT, run=0.4)], in_the_left()) == []


def test_an_extrapolated_box_enters_no_zone() -> None:
    story = [*walk(RIGHT), [tube_box(run=0.9, box=LEFT, observed=False)], *walk(RIGHT)]
    assert events_of(story, in_the_left()) == []


def test_any_of_the_required_zones_will_do() -> None:
    zones = {"left": HALF, "top": Zone(((0, 0), (1, 0), (1, 0.1)))}
    settings = EventSettings(default=replace(QUICK, required_zones=("top", "left")), zones=zones)
    assert brief(events_of(walk(LEFT), settings, closed=False)) == [("new", 0)]


def test_a_person_must_have_stayed_in_a_zone_that_asks_for_it_whatever_he_did_there() -> None:
    bench = {"left": replace(HALF, min_duration=1.0)}
    settings = EventSettings(default=replace(QUICK, required_zones=("left",)), zones=bench)
    events = events_of(walk(*[LEFT] * 12), settings, closed=False)
    assert brief(events) == [("new", 10)]
    idle_first = [*walk(*[LEFT] * 12, run=0.0), *walk(LEFT)]
    assert brief(events_of(idle_first, settings, closed=False)) == [("new", 12)]
    new = events_of(walk(*[LEFT] * 3), replace(settings, default=QUICK), closed=False)
    assert [event.zones for event in new] == [()]


@pytest.mark.parametrize(
    ("settings", "begins"),
    [
        ({}, True),
        ({"min_area": 0.052}, True),  # 40 x 100 of 320 x 240 pixels: 0.05208
        ({"min_area": 0.053}, False),
        ({"max_area": 0.053}, True),
        ({"max_area": 0.052}, False),
        ({"min_area": 0.0, "max_area": 0.0}, False),
    ],
)
def test_an_area_is_a_share_of_the_whole_frame(settings: Any, begins: bool) -> None:
    assert bool(events_of(walk(LEFT), quick(**settings))) == begins


def test_a_largest_area_below_the_smallest_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_area 0\.1 is below min_area 0\.2: raise it"):
        replace(QUICK, min_area=0.2, max_area=0.1)


CORNERS = st.floats(0, 1)
some_zones = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.builds(
        Zone,
        st.lists(st.tuples(CORNERS, CORNERS), min_size=3, max_size=5).map(tuple),
        st.sampled_from([0.0, 0.2, 0.5]),
    ),
    min_size=1,
)
places = st.builds(
    quick,
    required_zones=st.sampled_from([(), ("a",), ("a", "b")]),
    min_area=st.sampled_from([0.0, 0.05, 0.1]),
    max_area=st.sampled_from([0.1, 1.0]),
    min_duration=st.sampled_from([0.0, 0.2]),
    cooldown=st.sampled_from([0.0, 0.3]),
)


@given(stories, places, some_zones)
def test_every_event_begins_in_place(story: Any, settings: Any, zones: Any) -> None:
    settings = replace(settings, zones=zones)
    rules = settings.default
    for event in events_of(story, settings):
        if event.type == "new":
            x1, y1, x2, y2 = event.box.tolist()
            assert rules.min_area <= (x2 - x1) * (y2 - y1) / (320 * 240) + 1e-6
            assert (x2 - x1) * (y2 - y1) / (320 * 240) <= rules.max_area + 1e-6
            assert not rules.required_zones or set(rules.required_zones) & set(event.zones)


@given(stories, some_settings)
def test_a_zone_over_the_whole_frame_and_any_area_decide_nothing(story: Any, settings: Any) -> None:
    everywhere = {"all": Zone(((0, 0), (1, 0), (1, 1), (0, 1)))}
    strict = replace(settings, zones=everywhere, default=replace(settings.default, required_zones=("all",)))
    assert [(one.event_id, one.seq, one.type) for one in events_of(story, strict)] == [
        (one.event_id, one.seq, one.type) for one in events_of(story, settings)
    ]
