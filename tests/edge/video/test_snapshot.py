"""The picture of an event."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.video.snapshot import SnapshotError, snapshot
from tests.support.some_event import some_event


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def decoded(jpeg: bytes) -> NDArray[Any]:
    assert jpeg[:2] == b"\xff\xd8"
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


@pytest.mark.parametrize(
    ("size", "width", "expected"),
    [
        ((1920, 1080), 640, (640, 360)),
        ((320, 240), 640, (320, 240)),  # none is enlarged
        ((641, 3), 640, (640, 3)),
        ((4000, 1), 64, (64, 1)),
        ((1, 1), 640, (1, 1)),
    ],
)
def test_the_whole_frame_no_wider_than_wanted(size: tuple[int, int], width: int, expected: tuple[int, int]) -> None:
    picture = decoded(snapshot(grey(*size), None, width))
    assert (picture.shape[1], picture.shape[0]) == expected
    assert abs(int(picture.mean()) - 90) <= 1


def test_the_box_is_drawn_where_the_person_is() -> None:
    frame = grey(640, 480)
    picture = decoded(snapshot(frame, some_event((320, 120, 480, 360)), width=320)).astype(int)
    assert (frame == 90).all()  # it is left as it was
    assert np.abs(picture[100, 160] - 90).max() > 60  # left edge: 320 / 2
    assert np.abs(picture[120, 200] - 90).max() < 10  # inside
    assert np.abs(picture[200:, :150] - 90).max() < 40  # beyond the box, but for JPEG's noise


@pytest.mark.parametrize("box", [(0, 0, 320, 240), (-5, -5, 9, 9), (319, 239, 320, 240), (5, 5, 5, 5)])
def test_boxes_at_the_border_are_drawn(box: tuple[float, float, float, float]) -> None:
    assert decoded(snapshot(grey(320, 240), some_event(box))).shape == (240, 320, 3)


@pytest.mark.parametrize("box", [(100, 100, 200, 200), (100, 0, 200, 200), (300, 100, 320, 200)])
def test_the_caption_is_the_action_with_the_score_that_it_reached(box: tuple[float, ...]) -> None:
    """Not with the score of the moment, which may be below the one that an event begins at."""

    def taken(**fields: object) -> bytes:
        return snapshot(grey(320, 240), some_event(box, **{"score": 0.17, "top_score": 0.34, **fields}))

    assert taken(score=0.3) == taken()
    assert taken(top_score=0.5) != taken()
    assert taken(action="扣篮") != taken(action="投篮")


def test_strange_names_of_actions_harm_nobody() -> None:
    assert decoded(snapshot(grey(320, 240), some_event((9, 9, 99, 99), action="Tanzen \n ä€😀" * 50))).any()


def test_quality_costs_bytes() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    assert len(snapshot(noise, None, quality=20)) < len(snapshot(noise, None, quality=95)) / 2


@pytest.mark.parametrize("shape", [(240, 320), (240, 320, 4), (0, 320, 3)])
def test_what_is_no_frame_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SnapshotError, match="a frame is"):
        snapshot(np.zeros(shape, np.uint8), None)


def test_a_frame_too_high_for_jpeg_is_refused() -> None:
    with pytest.raises(SnapshotError, match="cannot be a JPEG"):
        snapshot(np.zeros((70_000, 2, 3), np.uint8), None)
