"""The path of an event: bounded, and close to every box that it leaves out."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.event_path import MAX_BOXES, TOLERANCE, EventPath, PathBox, begin, extended, thinned


def box(seconds: float, x: float = 0.1, score: float = 0.5, index: int = 0) -> PathBox:
    return PathBox(seconds, (x, 0.2, x + 0.1, 0.6), score, index)


def path_of(boxes: Any) -> EventPath:
    path = begin(boxes[0])
    for one in boxes[1:]:
        path = extended(path, one)
        assert len(path.boxes) < MAX_BOXES
    return path


def test_an_event_of_one_frame() -> None:
    one = box(5.0)
    assert thinned(begin(one)) == (one,)


def test_who_stands_still_or_walks_evenly_needs_two_boxes() -> None:
    still = [box(number / 10) for number in range(50)]
    assert thinned(path_of(still)) == (still[0], still[-1])
    even = [box(number / 10, x=number / 100) for number in range(50)]
    assert thinned(path_of(even)) == (even[0], even[-1])


def test_a_turn_is_kept() -> None:
    there_and_back = [box(number / 10, x=0.1 + 0.01 * min(number, 40 - number)) for number in range(41)]
    assert thinned(path_of(there_and_back)) == (there_and_back[0], there_and_back[20], there_and_back[40])


def test_a_long_path_is_taken_at_wider_intervals_and_ends_with_its_last_box() -> None:
    boxes = [box(number / 25, x=0.4 + 0.4 * np.sin(number)) for number in range(25 * 3600)]
    found = thinned(path_of(boxes))
    assert len(found) <= MAX_BOXES
    assert (found[0], found[-1]) == (boxes[0], boxes[-1])
    assert max(np.diff([one.monotonic for one in found])) < 3600 / 10


def test_frames_without_time_between_them_are_bounded_too() -> None:
    boxes = [box(7.0, x=number % 2) for number in range(1000)]
    assert len(thinned(path_of(boxes))) <= MAX_BOXES


def test_the_best_is_the_first_with_the_highest_score() -> None:
    path = path_of([box(0.0, score=0.3), box(0.1, score=0.9, index=1), box(0.2, score=0.9, index=2), box(0.3)])
    assert (path.best.score, path.best.frame_index) == (0.9, 1)


def test_the_best_is_found_in_a_frame_that_the_path_leaves_out() -> None:
    boxes = [box(number / 10, score=0.99 if number == 777 else 0.5, index=number) for number in range(1000)]
    assert path_of(boxes).best.frame_index == 777


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.04, 0.1, 3.0]), st.floats(0, 0.9)), min_size=1, max_size=200))
def test_the_path_is_bounded_ordered_and_keeps_both_ends(steps: Any) -> None:
    now, boxes = 100.0, []
    for number, (seconds, x) in enumerate(steps):
        now += seconds
        boxes.append(box(now, x=x, index=number))
    found = thinned(path_of(boxes))
    assert 1 <= len(found) <= MAX_BOXES
    assert (found[0], found[-1]) == (boxes[0], boxes[-1])
    numbers = [one.frame_index for one in found]
    assert numbers == sorted(set(numbers))


@given(st.lists(st.floats(0, 0.9), min_size=2, max_size=MAX_BOXES - 1))
def test_what_is_left_out_lies_between_its_neighbours(places: list[float]) -> None:
    boxes = [box(number / 10, x=x) for number, x in enumerate(places)]
    found = thinned(path_of(boxes))
    for side in range(4):
        told = np.interp(
            [one.monotonic for one in boxes], [one.monotonic for one in found], [one.box[side] for one in found]
        )
        assert told == pytest.approx([one.box[side] for one in boxes], abs=TOLERANCE + 1e-9)
