"""Changes of tube and breaks over a true tube."""

from typing import Any

import numpy as np

from benchmarks.identity import IdentityCounts, identity_counts
from train.box_tables import Tube


def tube(first: int, last: int, x: float = 0.0, label: int = 0) -> Any:
    return Tube(0, label, 1.0, first, np.tile(np.array([[x, 0, x + 40, 100]], np.float32), (last - first + 1, 1)))


def test_nothing_found_and_nothing_true() -> None:
    assert identity_counts([], [tube(0, 9)]) == IdentityCounts(frames=10)
    assert identity_counts([tube(0, 9)], []) == IdentityCounts(detected=10)
    assert IdentityCounts().idf1 == 0


def test_one_tube_throughout() -> None:
    assert identity_counts([tube(2, 30)], [tube(0, 9)]) == IdentityCounts(10, 8, 0, 0, detected=29, kept=8)


def test_another_tube_continues_without_a_break() -> None:
    assert identity_counts([tube(0, 4), tube(5, 9)], [tube(0, 9)]) == IdentityCounts(10, 10, 1, 0, detected=10, kept=5)


def test_the_same_tube_comes_back_after_a_break() -> None:
    there = tube(0, 9).boxes.copy()
    there[4:6] += 300  # far off for two frames
    assert identity_counts([Tube(0, 0, 1.0, 0, there)], [tube(0, 9)]) == IdentityCounts(
        10, 8, 0, 1, detected=10, kept=8
    )


def test_a_tube_that_still_fits_is_kept_though_another_fits_better() -> None:
    assert identity_counts([tube(0, 9, x=10), tube(5, 9, x=0)], [tube(0, 9)]) == IdentityCounts(
        10, 10, 0, 0, detected=15, kept=10
    )


def test_two_people_who_swap_their_tubes_are_two_switches() -> None:
    crossing = [tube(0, 9, x=0), tube(0, 9, x=100)]
    swapped = [np.concatenate([one.boxes[:5], other.boxes[5:]]) for one, other in (crossing, crossing[::-1])]
    found = [Tube(0, 0, 1.0, 0, boxes) for boxes in swapped]
    assert identity_counts(found, crossing) == IdentityCounts(20, 20, 2, 0, detected=20, kept=10)


def test_another_class_and_less_than_half_do_not_count() -> None:
    assert identity_counts([tube(0, 9, label=1), tube(0, 9, x=15)], [tube(0, 9)]).covered == 0  # 25 / 55
    assert identity_counts([tube(0, 9, x=13)], [tube(0, 9)]).covered == 10  # 27 / 53


def test_frames_are_kept_where_tubes_overlap_by_half() -> None:
    assert identity_counts([tube(0, 9, x=15)], [tube(0, 9)]).kept == 0  # 25 / 55
    assert identity_counts([tube(3, 19, x=13)], [tube(0, 9)]).kept == 7  # 27 / 53


def test_idf1_counts_false_tubes() -> None:
    # one tube of 8 right frames of 10, beside 30 frames of another class: 2 · 8 / (10 + 8 + 30)
    assert identity_counts([tube(0, 7), tube(0, 29, label=1)], [tube(0, 9)]).idf1 == 16 / 48
