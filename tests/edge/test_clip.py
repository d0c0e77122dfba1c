"""Which frames a live stream shows as a clip, and what is kept of it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import clip as clips
from edge.clip import ClipInput, live_places


@pytest.mark.parametrize(
    ("place", "clip", "places"),
    [
        (0, ClipInput(4), (0, 0, 0, 0)),  # a stream's start
        (2, ClipInput(4), (0, 0, 1, 2)),
        (9, ClipInput(4), (6, 7, 8, 9)),
        (9, ClipInput(4, step=3), (0, 3, 6, 9)),
        (8, ClipInput(4, step=3), (0, 2, 5, 8)),
        (5, ClipInput(1, step=7), (5,)),
    ],
)
def test_the_newest_frames_the_first_one_repeated(place: int, clip: ClipInput, places: tuple[int, ...]) -> None:
    assert live_places(place, clip) == places


def seconds(*frames: float, rate: float = 25.0) -> list[float]:
    return [frame / rate for frame in frames]


@pytest.mark.parametrize(
    ("frames", "clip", "expected"),
    [
        ((0,), ClipInput(4), (0, 0, 0, 0)),
        ((0, 1), ClipInput(4), (0, 0, 0, 1)),
        (range(10), ClipInput(4), (6, 7, 8, 9)),
        (range(10), ClipInput(4, step=3), (0, 3, 6, 9)),
        ((0, 1, 2, 4, 5), ClipInput(4), (2, 2, 4, 5)),  # a dropped frame: its neighbour, the earlier one
        ((0, 1, 6, 7), ClipInput(4), (6, 6, 6, 7)),  # two dropped: each its nearest
        ((0, 2, 4, 6, 8), ClipInput(4), (4, 6, 6, 8)),  # half the rate
        ((0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5), ClipInput(4), (0.5, 1.5, 2.5, 3.5)),  # twice the rate
        (range(70), ClipInput(1, step=7), (69,)),
    ],
)
def test_the_nearest_frames_in_time(frames: Sequence[float], clip: ClipInput, expected: tuple[float, ...]) -> None:
    chosen = clips.chosen(seconds(*frames), clip, 25)
    assert tuple(frames[index] for index in chosen) == expected


@pytest.mark.parametrize(
    ("pause", "anew"),
    [(1, False), (3, False), (3.4, False), (3.6, True), (9, True), (-0.5, True), (0, False)],
)
def test_a_clip_begins_anew_after_a_pause_longer_than_it_or_a_step_back(pause: float, anew: bool) -> None:
    assert clips.is_over(10.0, 10.0 + pause / 25, ClipInput(4), 25) is anew


@pytest.mark.parametrize(("pause", "anew"), [(1, False), (3, False), (1000, False), (-0.5, True)])
def test_a_clip_of_one_frame_has_nothing_to_lose_in_a_pause(pause: float, anew: bool) -> None:
    assert clips.is_over(10.0, 10.0 + pause / 25, ClipInput(1, every=4), 25) is anew
    assert clips.kept([9.0, 10.0], 10.0 + pause / 25, ClipInput(1, every=4), 25) == []


def test_a_clip_ends_with_the_newest_of_two_frames_of_one_time() -> None:
    assert clips.chosen(seconds(0, 1, 1), ClipInput(2), 25) == [0, 2]
    assert clips.chosen(seconds(0, 0), ClipInput(1), 25) == [1]


@given(
    st.lists(st.floats(0.001, 0.2), min_size=1, max_size=80),
    st.builds(ClipInput, st.integers(1, 12), st.integers(1, 3)),
)
def test_what_is_kept_is_bounded_and_enough(pauses: list[float], clip: ClipInput) -> None:
    """For every camera; of one not much faster than the model all that a clip may need is there."""
    times, everything, now = list[float](), list[float](), 0.0
    for pause in pauses:
        now += pause
        times = [*(times[index] for index in clips.kept(times, now, clip, 25)), now]
        everything.append(now)
        assert len(times) <= clip.most_kept
        if min(pauses) >= 1 / 30:
            assert [times[i] for i in clips.chosen(times, clip, 25)] == [
                everything[i] for i in clips.chosen(everything, clip, 25)
            ]


def test_the_room_that_frames_take() -> None:
    assert clips.room_problem(ClipInput(16), 224, 224) == ""
    assert clips.bytes_per_camera(ClipInput(4, channels=5), 32, 64) == 4 * (9 * 3 * 32 * 64 + 5 * 2)
    assert clips.room_problem(ClipInput(64, step=4), 384, 640).startswith("a device keeps up to 563 frames of")
