"""Which frames of a video make the clip of a key frame, while training and live."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clip import ClipInput, live_places
from train.clips.key_frames import clips, drawn

FOUR = ClipInput(4)


@pytest.mark.parametrize(
    ("place", "count", "clip", "expected"),
    [
        (0, 9, FOUR, [(0, 1, 2, 3)]),  # a video's start leaves one place
        (1, 9, FOUR, [(1, 2, 3, 4), (0, 1, 2, 3)]),
        (8, 9, FOUR, [(5, 6, 7, 8)]),  # and so does its end
        (4, 9, FOUR, [(4, 5, 6, 7), (3, 4, 5, 6), (2, 3, 4, 5), (1, 2, 3, 4)]),
        (3, 9, ClipInput(3, step=2), [(3, 5, 7), (1, 3, 5)]),
        (2, 4, FOUR, [(0, 1, 2, 3)]),  # just long enough
        (2, 3, FOUR, [(0, 0, 1, 2)]),  # too short: the first is repeated, the key frame is the last
        (0, 1, FOUR, [(0, 0, 0, 0)]),
        (1, 3, ClipInput(2, step=2), [(0, 1)]),  # room neither before nor after
        (6, 9, ClipInput(2, every=3), [(6, 7), (5, 6), (4, 5), (3, 4)]),  # or it has ended before
        (1, 2, ClipInput(2, every=9), [(0, 1), (0, 0)]),
    ],
)
def test_wherever_the_ends_of_the_video_leave_room(
    place: int, count: int, clip: ClipInput, expected: list[tuple[int, ...]]
) -> None:
    assert clips(place, count, clip, anywhere=True) == expected


def test_last_alone() -> None:
    assert clips(5, 9, FOUR, anywhere=False) == [(2, 3, 4, 5)]
    assert clips(5, 9, ClipInput(2, every=2), anywhere=False) == [(4, 5), (3, 4)]


@given(
    st.integers(1, 40).flatmap(lambda count: st.tuples(st.integers(0, count - 1), st.just(count))),
    st.builds(ClipInput, st.integers(1, 20), st.integers(1, 5), st.integers(1, 4)),
    st.booleans(),
)
def test_laws(where: tuple[int, int], clip: ClipInput, anywhere: bool) -> None:
    """All frames exist, time does not run back, and a whole clip that is not late holds its key frame."""
    place, count = where
    found = clips(place, count, clip, anywhere)
    assert found
    assert len(set(found)) == len(found) or clip.step > 1 or place < clip.every + clip.frames
    for one in found:
        assert len(one) == clip.frames
        assert all(0 <= frame < count for frame in one)
        assert list(one) == sorted(one)
        assert place in one or place - clip.every < one[-1] < place
    if not anywhere:
        assert found[0] == live_places(place, clip)


def test_every_position_is_as_likely() -> None:
    random = np.random.default_rng(0)
    counts = Counter(tuple(drawn(4, 9, FOUR, True, random).tolist()) for _ in range(2000))
    assert len(counts) == 4
    assert min(counts.values()) > 420  # of 500; five standard deviations are 97
