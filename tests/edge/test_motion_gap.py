"""The previous frame of a motion map: in time, at any rate, with few frames kept."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.motion_gap import MOST, Choice, MotionGap, choose

TWO_OF_25 = MotionGap(2 / 25, 25.0)


def compared(times: list[float], gap: MotionGap = TWO_OF_25) -> tuple[list[float | None], int]:
    """For each frame the time of the previous one, and the most frames that were kept beside the new one."""
    past: list[float] = []
    found, most = [], 0
    for now in times:
        choice = choose(past, now, gap)
        found.append(None if choice.previous is None else past[choice.previous])
        past = [*(past[index] for index in choice.kept), now]
        most = max(most, len(past) - 1)
    return found, most


def evenly(rate: float, frames: int) -> list[float]:
    return [index / rate for index in range(frames)]


@pytest.mark.parametrize(
    ("rate", "back"),
    [
        (60, 5),  # 5/60 = 83 ms is the nearest to 80
        (30, 2),  # 67 ms, and three would be 100
        (29.97, 2),
        (25, 2),
        (20, 2),  # 100 ms, and one would be 50: 20 off instead of 30
        (15, 1),  # 67 ms
        (10, 1),  # 100 ms
        (5, 1),  # 200 ms: one frame back is already longer than the gap
        (0.5, 1),
    ],
)
def test_the_previous_frame_is_the_nearest_in_time(rate: float, back: int) -> None:
    times = evenly(rate, 200)
    found, _ = compared(times)
    assert found[10:] == times[10 - back : -back]


@pytest.mark.parametrize("gap", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("rate", [25.0, 24.0, 30000 / 1001, 12.5])
def test_at_the_training_rate_frames_are_counted(gap: int, rate: float) -> None:
    times = [1e6 + index / rate for index in range(100)]
    found, most = compared(times, MotionGap(gap / rate, rate))
    assert found == [None, *(times[max(0, index - gap)] for index in range(1, 100))]
    assert most <= gap + 1


def test_the_first_frame_has_none_and_the_second_has_the_first() -> None:
    assert choose([], 7.0, TWO_OF_25) == Choice(None, ())
    assert choose([7.0], 7.04, TWO_OF_25) == Choice(0, (0,))


def test_jitter_and_lost_frames_do_not_move_the_gap() -> None:
    """Frames of 25 a second, received up to 15 ms late, every seventh lost: always within 35 ms of 80 back."""
    late = [0.0, 0.015, 0.004, 0.011, 0.0, 0.009]
    times = [index / 25 + late[index % 6] for index in range(100) if index % 7]
    found, _ = compared(times)
    assert all(abs(now - then - 0.08) < 0.036 for now, then in zip(times[3:], found[3:], strict=True) if then)


def test_frames_received_in_bursts_are_compared_across_them() -> None:
    """Two frames a millisecond apart every 80 ms: each is compared with the burst before."""
    found, _ = compared([0.0, 0.001, 0.08, 0.081, 0.16, 0.161])
    assert found == [None, 0.0, 0.0, 0.0, 0.08, 0.08]


def test_equal_time_stamps_are_compared_with_an_earlier_frame() -> None:
    found, _ = compared([0.0, 0.04, 0.08, 0.08, 0.12])
    assert found == [None, 0.0, 0.0, 0.0, 0.04]


def test_after_a_clock_stepped_back_there_is_a_previous_frame_at_once() -> None:
    found, most = compared([100.0, 100.04, 100.08, 50.0, 50.04, 50.08, 50.12])
    assert None not in found[1:]
    assert found[-2:] == [50.0, 50.04]
    assert most <= 3


@pytest.mark.parametrize("pause", [2.5, 60.0, 1e6])
def test_after_a_long_pause_all_begins_anew(pause: float) -> None:
    """Not what a camera saw before it was away; the second frame after it compares with the first."""
    before, after = evenly(25, 10), [9 / 25 + pause + index / 25 for index in range(4)]
    found, _ = compared([*before, *after])
    assert found[10:] == [None, after[0], after[0], after[1]]
    assert choose(before[-3:], after[0], TWO_OF_25) == Choice(None, ())


def test_a_pause_of_some_missed_frames_is_bridged() -> None:
    found, _ = compared([*evenly(25, 10), 9 / 25 + 2.3])
    assert found[-1] == 9 / 25


def test_how_long_a_pause_is_goes_by_the_gap() -> None:
    assert choose([0.0], 30.0, MotionGap(1.0, 25.0)).previous == 0
    assert choose([0.0], 30.1, MotionGap(1.0, 25.0)).previous is None


@pytest.mark.parametrize(
    "gap",
    [MotionGap(0.04, 25.0), TWO_OF_25, MotionGap(1.2, 25.0), MotionGap(30.0, 0.5), MotionGap(60.0, 25.0)],
)
@pytest.mark.parametrize("rate", [0.1, 5, 25, 100, 240, 1000])
def test_what_is_kept_is_bounded_and_the_gap_stays_right(gap: MotionGap, rate: float) -> None:
    times = evenly(rate, 3000)
    found, most = compared(times, gap)
    assert most <= min(max(11, 1.2 * gap.seconds * gap.rate + 2), MOST + 2)
    off = max(gap.spacing, 1 / rate)
    late = [now - then for now, then in zip(times, found, strict=True) if then is not None and now > 2 * gap.seconds]
    assert all(abs(back - gap.seconds) <= off or back <= 1 / rate + 1e-9 for back in late)


@given(st.lists(st.floats(0, 1e9), max_size=60), st.floats(1e-3, 10), st.floats(0.1, 240))
def test_whatever_the_times_are_something_earlier_is_chosen(times: list[float], seconds: float, rate: float) -> None:
    gap = MotionGap(seconds, rate)
    found, most = compared(times, gap)
    pauses = [now - before > gap.longest for before, now in pairwise(times)]
    assert [then is None for then in found[1:]] == pauses
    assert most <= max(12, 1.2 * seconds * rate + 3)
