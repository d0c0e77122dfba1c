"""Which frames a live stream shows as a clip."""

import pytest

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
