"""Numbers and times of frames, as tables with their arithmetic."""

from math import inf, nan

import pytest

from edge.cameras.frame_times import FramePosition, Timing, estimate_timing, next_position

STEADY = Timing(0.1, True, True, True)
UNEVEN = Timing(0.1, True, False, True)
UNSTAMPED = Timing(0.1, False, True, True)


@pytest.mark.parametrize(
    ("stamps", "announced", "expected"),
    [
        ([0, 0.04, 0.08], 1000, Timing(0.04, True, True, True)),  # WebM that names its unit of time
        ([0.033, 0.067, 0.1, 0.133], 90_000, Timing(0.1 / 3, True, True, True)),  # Matroska rounds to milliseconds
        ([0, 0.008, 0.017, 0.025], 1000, Timing(0.025 / 3, True, True, True)),  # 120 frames a second, rounded
        ([0, 0.033, 0.067, 0.1, 0.2], 1000, Timing(0.05, True, False, True)),  # 0.2 s / 4
        ([0, 0.033, 0.067, 0.1], 29.97, Timing(1 / 29.97, True, True, True)),  # the rate named is the one found
        ([0, 0.033, 0.067, 0.1], 29, Timing(0.1 / 3, True, True, True)),  # nearly, but not in the long run
        ([*(i / 10 for i in range(9)), 5.8, 5.9], 25, Timing(0.1, True, True, True)),  # a pause is no part of the rate
        ([0, 0.1, 0.2], 29.97, Timing(0.1, True, True, True)),  # two of three frames are left out
        ([0, 0.04, 1.04, 1.08, 2.08], 14.75, Timing(0.52, True, False, True)),  # 2.08 s / 4
        ([0, 0.087, 0.13, 0.043, 0.2], 25, Timing(0.05, True, False, True)),  # jitter: 0.2 s / 4
        ([0, 0.04, 0.08, 0.12, 0.0, 0.0], 25, Timing(0.04, True, False, True)),  # older OpenCV: none at the end
        ([0, 0, 0, 0], 30, Timing(1 / 30, False, True, True)),  # an elementary stream has none
        ([-3.7e20, -3.7e20], 30, Timing(1 / 30, False, True, True)),
        ([nan, nan, inf], 30, Timing(1 / 30, False, True, True)),
        ([0, 1e-6, 2e-6], 1e6, Timing(1 / 25, False, True, False)),  # an AVI whose rate is none
        ([0, 0, 0], 1000, Timing(1 / 25, False, True, False)),
        ([0, 0, 0], nan, Timing(1 / 25, False, True, False)),
        ([0, 1 / 300, 2 / 300], 300, Timing(1 / 300, True, True, True)),  # the fastest camera
        ([0, 10, 20], 0.1, Timing(10, True, True, True)),  # a slow animation
        ([0, 90, 180], 0.01, Timing(1 / 25, False, True, False)),
        ([0.0], 15, Timing(1 / 15, False, True, True)),  # one frame has no step
        ([], 0, Timing(1 / 25, False, True, False)),
    ],
)
def test_a_rate_is_found_where_it_is_sound(stamps: list[float], announced: float, expected: Timing) -> None:
    found = estimate_timing(stamps, announced)
    assert found[1:] == expected[1:]
    assert found.interval == pytest.approx(expected.interval)


def played(reads: list[tuple[float, int]], by: Timing) -> list[tuple[int, float]]:
    position, found = FramePosition(), []
    for stamp, failed in reads:
        position = next_position(position, stamp, failed, by)
        found.append((position.number, round(position.time, 3)))
    return found


@pytest.mark.parametrize(
    ("reads", "by", "expected"),
    [
        ([], STEADY, []),
        # a start of its own counts as 0
        ([(95.0, 0), (95.1, 0), (95.2, 0)], STEADY, [(0, 0.0), (1, 0.1), (2, 0.2)]),
        # without time stamps, by the rate
        ([(0, 0), (0, 0), (0, 0)], UNSTAMPED, [(0, 0.0), (1, 0.1), (2, 0.2)]),
        # a frame that the camera left out is no frame
        ([(0, 0), (0.1, 0), (0.3, 0)], STEADY, [(0, 0.0), (1, 0.1), (2, 0.3)]),
        # one that cannot be read keeps its number and its time
        ([(0, 0), (0.1, 0), (0.3, 1)], STEADY, [(0, 0.0), (1, 0.1), (3, 0.3)]),
        ([(0, 0), (0.5, 4)], STEADY, [(0, 0.0), (5, 0.5)]),
        # a lost key frame takes the frames with it that were made from it
        ([(0, 0), (0.5, 1)], STEADY, [(0, 0.0), (5, 0.5)]),
        # a decoder that sorts its frames fails before the gap shows
        ([(0, 0), (0.1, 1), (0.2, 0), (0.4, 0)], STEADY, [(0, 0.0), (1, 0.1), (2, 0.2), (4, 0.4)]),
        # many of them, between time stamps that Matroska has rounded to milliseconds: 4.338 s are 130 frames
        ([(0.634, 0), (4.972, 129)], estimate_timing([0, 0.033, 0.067, 0.1], 1000), [(0, 0.0), (130, 4.338)]),
        # two failures, two gaps
        ([(0, 2), (0.2, 0), (0.4, 0)], STEADY, [(0, 0.0), (2, 0.2), (4, 0.4)]),
        # a failure that no gap follows cost nothing, and a gap long after it is no frame
        ([(0, 0), (0.1, 1), *((i / 10, 0) for i in range(2, 40)), (4.5, 0)], STEADY, [
            *((i, i / 10) for i in range(40)), (40, 4.5)]),
        # the first frame was lost, or the first five with one key frame
        ([(0.1, 1), (0.2, 0)], STEADY, [(1, 0.1), (2, 0.2)]),
        ([(0.5, 1), (0.6, 0)], STEADY, [(5, 0.5), (6, 0.6)]),
        ([(0, 2), (0, 0)], UNSTAMPED, [(2, 0.2), (3, 0.3)]),
        # where frames are unevenly spaced, a gap means nothing: each failure is a frame
        ([(0, 0), (0.7, 1), (0.8, 0)], UNEVEN, [(0, 0.0), (2, 0.7), (3, 0.8)]),
        ([(0, 0), (0, 2)], UNSTAMPED, [(0, 0.0), (3, 0.3)]),
        # jitter: a frame is never before another, and nothing drifts
        ([(0, 0), (0.2, 0), (0.15, 0), (0.4, 0)], STEADY, [(0, 0.0), (1, 0.2), (2, 0.3), (3, 0.4)]),
        # a clock that is set back, as where two files were joined, or forward, as where it wraps
        ([(0, 0), (5, 0), (0, 0), (0.2, 0)], STEADY, [(0, 0.0), (1, 5.0), (2, 5.1), (3, 5.3)]),
        ([(0, 0), (95443.7, 0), (95443.9, 0)], STEADY, [(0, 0.0), (1, 0.1), (2, 0.3)]),
        # single frames without a time stamp, or with a wild one, move no clock
        ([(0, 0), (9.9, 0), (0, 0), (0, 0), (10.2, 0)], STEADY, [(0, 0.0), (1, 9.9), (2, 10.0), (3, 10.1), (4, 10.2)]),
        ([(0, 0), (0.1, 0), (-3.7e20, 0), (0.3, 0)], STEADY, [(0, 0.0), (1, 0.1), (2, 0.2), (3, 0.3)]),
        ([(0, 0), (0.1, 0), (9e9, 0), (0.3, 0), (0.4, 0)], STEADY, [(i, i / 10) for i in range(5)]),
        # what one failed read may have cost is limited
        ([(0, 0), (0.1, 1), (60.0, 0)], Timing(0.01, True, True, True), [(0, 0.0), (10, 0.1), (11, 60.0)]),
        ([(0, 0), (50.0, 1)], Timing(0.01, True, True, True), [(0, 0.0), (1001, 50.0)]),
        # a time that is not a number is estimated; the frame after it continues from there
        ([(0, 0), (nan, 0), (nan, 0), (0.5, 0)], STEADY, [(0, 0.0), (1, 0.1), (2, 0.2), (3, 0.5)]),
    ],
)  # fmt: skip
def test_frames_are_numbered_and_timed(
    reads: list[tuple[float, int]], by: Timing, expected: list[tuple[int, float]]
) -> None:
    assert played(reads, by) == expected
