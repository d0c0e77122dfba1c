"""Where the GPU reads a frame: exactly where cv2.warpAffine, and so detector.fit, reads it."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import detector
from edge.engines.preprocess_cuda import HALF_UP, letterbox_positions
from edge.letterbox import STEPS
from edge.manifest import Manifest


def interpolated(image: NDArray[np.uint8], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear in float64, black around the image, halves up by HALF_UP."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    black = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT).astype(np.float64)

    def read(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = np.ix_(np.clip(rows + 1, 0, len(black) - 1), np.clip(columns + 1, 0, black.shape[1] - 1))
        found: NDArray[np.float64] = black[inside]
        return found

    across, down = (x - left)[None, :, None], (y - top)[:, None, None]
    upper = (1 - across) * read(top, left) + across * read(top, left + 1)
    lower = (1 - across) * read(top + 1, left) + across * read(top + 1, left + 1)
    levels = np.rint((1 - down) * upper + down * lower + HALF_UP)
    return levels.astype(np.uint8)


@pytest.mark.parametrize("frame_size", [(640, 360), (640, 480), (1280, 720), (1279, 717), (333, 517), (100, 70)])
@pytest.mark.parametrize("input_size", [(256, 256), (256, 192)])
def test_as_the_cpu_fits_frames(frame_size: tuple[int, int], input_size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (frame_size[1], frame_size[0], 3), np.uint8)
    fitted = detector.fit(image, Manifest("any", ("any",), input_size[1], input_size[0]))
    assert np.array_equal(interpolated(image, *letterbox_positions(frame_size, input_size)), fitted)


def test_places_of_a_frame_of_the_input_s_size() -> None:
    x, y = letterbox_positions((64, 32), (64, 32))
    assert np.array_equal(x, np.arange(64))
    assert np.array_equal(y, np.arange(32))


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_places_are_on_the_grid(width: int, height: int) -> None:
    for places, size in zip(letterbox_positions((width, height), (64, 32)), (64, 32), strict=True):
        assert places.shape == (size,)
        assert np.array_equal(places * STEPS, np.rint(places * STEPS))
