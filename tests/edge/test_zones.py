"""In which zones people stand, and for how long they must."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.zones import STAY_GAP, Stays, Zone, after_frame, counting, with_stay, zones_of

HALVES = {
    "left": Zone(((0, 0), (0.5, 0), (0.5, 1), (0, 1))),
    "right": Zone(((0.5, 0), (1, 0), (1, 1), (0.5, 1))),
}


@pytest.mark.parametrize(
    ("box", "names"),
    [
        ((0, 0, 40, 50), ("left",)),
        ((200, 0, 240, 50), ("right",)),
        ((140, 0, 180, 50), ("left", "right")),  # its foot on the line between them
        ((200, 0, 240, 240), ("right",)),  # its foot on the frame's edge
    ],
)
def test_zones_contain_the_foot_and_their_edges_count(box: Any, names: Any) -> None:
    assert zones_of(np.array(box, np.float32), (320, 240), HALVES) == names


def test_a_head_in_a_zone_is_not_in_it() -> None:
    gate = {"gate": Zone(((0, 0), (1, 0), (1, 0.5), (0, 0.5)))}
    assert zones_of(np.array((0, 0, 40, 200), np.float32), (320, 240), gate) == ()
    assert zones_of(np.array((0, 0, 40, 100), np.float32), (320, 240), gate) == ("gate",)


def test_no_zones() -> None:
    assert zones_of(np.zeros(4, np.float32), (320, 240), {}) == ()
    assert after_frame({}, {}, 0.0) == {}
    assert with_stay(HALVES) == {}


PLACE = {"bench": Zone(HALVES["left"].points, min_duration=2.0), "left": HALVES["left"]}


def counted(visits: Any) -> Any:
    """Whether the bench counts at each (time, inside) of one person."""
    stays: Stays = {}
    found = []
    for now, inside in visits:
        names = ("bench",) if inside else ()
        stays = after_frame(stays, {1: names}, now)
        found.append(counting(names, 1, stays, PLACE, now) == ("bench",))
    return found


def test_a_zone_counts_once_the_stay_was_long_enough() -> None:
    assert counted([(0.0, True), (1.0, True), (1.9, True), (2.0, True), (9.0, True)]) == [False] * 3 + [True, True]


def test_a_camera_of_one_frame_in_two_seconds_sees_stays_too() -> None:
    assert counted([(0.0, True), (2.0, True), (4.0, False), (6.0, True)]) == [False, True, False, False]


def test_a_box_that_trembles_at_the_edge_does_not_begin_anew() -> None:
    steps = [(number / 10, number % 3 != 2) for number in range(30)]
    assert counted(steps) == [now >= 2.0 and inside for now, inside in steps]


def test_who_leaves_for_a_second_begins_anew() -> None:
    visits = [(0.0, True), (0.5, True), (0.8, False), (1.5, False), (1.6, True), (3.0, True), (3.6, True)]
    assert counted(visits) == [False] * 6 + [True]


def test_a_zone_without_a_stay_counts_at_once() -> None:
    assert counting(("bench", "left"), 1, {}, PLACE, 5.0) == ("left",)


def test_stays_are_of_live_tubes_alone() -> None:
    stays = after_frame({}, {1: ("bench",), 2: ("bench",)}, 0.0)
    assert set(after_frame(stays, {2: ()}, 0.1)) == {(2, "bench")}


@given(st.lists(st.tuples(st.floats(0.01, 1.5), st.booleans()), max_size=30))
def test_no_stay_is_longer_than_the_time_since_the_first_visit(story: Any) -> None:
    now, first = 0.0, None
    stays: Stays = {}
    for seconds, inside in story:
        now += seconds
        before = stays.get((1, "bench"))
        stays = after_frame(stays, {1: ("bench",) if inside else ()}, now)
        stay = stays.get((1, "bench"))
        first = now if inside and first is None else first
        assert (stay is not None) >= inside
        if stay is not None:
            assert first is not None
            assert first <= stay.since <= stay.last <= now
            assert now - stay.last < STAY_GAP
            assert stay.since == (now if before is None else before.since)
