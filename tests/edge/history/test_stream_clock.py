"""When a camera's pictures were taken, by this machine's clock."""

import math

import pytest

from edge.history.stream_clock import StreamClock


def test_distances_are_those_of_the_stream_not_of_the_network() -> None:
    clock = StreamClock()
    times = [clock.time(100 + i / 10, 5 + i / 10 + late, i == 0) for i, late in enumerate([0.0, 0.3, 0.1, 0.0])]
    assert times == pytest.approx([5.0, 5.1, 5.2, 5.3])


def test_frames_that_are_decoded_in_another_order_keep_their_times() -> None:
    clock = StreamClock()
    shown = [0.0, 0.3, 0.1, 0.2, 0.6, 0.4, 0.5]  # I P B B P B B
    times = [clock.time(seconds, 7 + i / 10, i == 0) for i, seconds in enumerate(shown)]
    assert times == pytest.approx([7 + seconds for seconds in shown])


def test_a_clock_that_drifts_is_set_right_at_a_key_frame() -> None:
    clock = StreamClock()
    late = [clock.time(i * 1.0, i * 1.1, i % 10 == 0) - i * 1.1 for i in range(60)]
    assert min(late) > -2.1
    assert max(late) < 0.6


def test_times_of_key_frames_always_rise() -> None:
    clock = StreamClock()
    assert clock.time(0.0, 10.0, True) == 10.0
    assert clock.time(5.0, 10.1, False) == 15.0  # a second too early by the network, five by the stream
    assert clock.time(0.1, 10.2, True) > 15.0


def test_a_clock_that_is_set_moves_nothing() -> None:
    clock = StreamClock()
    assert clock.time(math.nan, 9.0, True) == 9.0
    assert clock.time(0.0, 10.0, False) == 10.0
    assert clock.time(1e6, 11.0, False) == 11.0
    assert clock.time(1e6 + 0.1, 11.2, True) == pytest.approx(11.1)
    assert clock.time(math.nan, 12.0, False) == 12.0
    assert clock.time(0.0, 13.0, False) == 13.0
