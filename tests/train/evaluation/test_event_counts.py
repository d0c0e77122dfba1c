"""Counts of events: their rates, their table, and the start scores chosen by them."""

import numpy as np
import pytest

from train.evaluation.event_counts import EventCounts, as_table, best_start_scores


def test_what_is_not_known_is_a_dash() -> None:
    """No action, no event, no time without one."""
    (*_, row) = as_table([("0.2", EventCounts())]).splitlines()
    assert row.split() == ["0.2", "0", "-", "-", "0", "-", "0", "-", "-"]


def scored(recalled: int, wrong: int) -> EventCounts:
    """Of ten actions."""
    return EventCounts(actions=10, recalled=recalled, events=recalled + wrong, wrong=wrong)


SCORES = (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((scored(9, 9), scored(8, 2), scored(2, 0)), 0.2),
        ((scored(9, 9), scored(8, 4), scored(5, 0)), 0.3),  # fewer, but all right; of equal weight 0.2 would win
        ((scored(9, 1), scored(9, 1), scored(1, 9)), 0.2),  # the higher of equals
        ((scored(9, 1), scored(9, 1), scored(9, 1)), 0.2),  # the middle one
        ((scored(9, 1), scored(1, 9), scored(9, 1)), 0.3),
        ((scored(0, 9), scored(0, 0), scored(0, 0)), None),
    ],
)
def test_the_best_start_score(counts: tuple[EventCounts, ...], expected: float | None) -> None:
    assert best_start_scores(SCORES, [(one,) for one in counts]) == (expected,)


def test_a_start_score_with_events_in_background_videos_is_not_chosen() -> None:
    counts = [(scored(9, 0), scored(9, 0)), (scored(5, 0), scored(5, 0)), (scored(1, 0), scored(1, 0))]
    background = [
        (EventCounts(events=1), EventCounts()),
        (EventCounts(), EventCounts(events=1)),
        (EventCounts(), EventCounts()),
    ]
    assert best_start_scores(SCORES, counts, background) == (0.2, 0.1)


def test_where_no_silent_score_recalls_an_action_events_in_background_videos_count_as_wrong() -> None:
    counts = [(scored(9, 0),), (scored(8, 0),), (scored(0, 0),)]  # nobody is recalled where it is silent
    few, many = (EventCounts(events=1),), (EventCounts(events=40),)
    assert best_start_scores(SCORES, counts, [many, few, (EventCounts(),)]) == (0.2,)
    assert best_start_scores(SCORES, counts, [few, few, few]) == (0.1,)
    assert best_start_scores(SCORES, [(scored(0, 0),)] * 3, [few] * 3) == (None,)


def test_without_time_or_events_there_is_no_rate() -> None:
    assert np.isnan(EventCounts().false_alarms_per_hour)
    assert np.isnan(EventCounts().precision)
    assert np.isnan(EventCounts().recall)
