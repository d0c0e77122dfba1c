"""Where the detector's input lies in the whole frame."""

import numpy as np
import pytest

from edge import letterbox
from edge.memory_placement import of_tile, placement


def test_a_frame_of_the_inputs_own_shape_lies_everywhere() -> None:
    np.testing.assert_allclose(placement(letterbox.affine((640, 480), (64, 48)), (640, 480), (64, 48)), [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("source", "input_size", "expected"),
    [
        ((320, 240), (64, 64), [1, 0, 4 / 3, -1 / 6]),  # 48 of 64 rows, 8 of them black above: -8 / 48 of the frame
        ((100, 200), (64, 64), [2, -0.5, 1, 0]),  # 32 of 64 columns, 16 black before: -16 / 32
    ],
)
def test_bars_lie_beyond_the_frame(source: tuple[int, int], input_size: tuple[int, int], expected: list[float]) -> None:
    np.testing.assert_allclose(placement(letterbox.affine(source, input_size), source, input_size), expected, atol=1e-6)


def test_a_mirrored_frame_runs_backwards() -> None:
    mirrored = np.array([[-0.1, 0, 64], [0, 0.1, 0]])  # x' = 64 - x / 10
    np.testing.assert_allclose(placement(mirrored, (640, 480), (64, 48)), [-1, 1, 1, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("tile", "expected"),
    [
        ((0, 0, 200, 100), [1, 0, 1, 0]),
        ((100, 0, 200, 50), [0.5, 0.5, 0.5, 0]),  # the upper right quarter
        ((0, 50, 100, 100), [0.5, 0, 0.5, 0.5]),
        ((50, 0, 100, 100), [1, -0.125, 1, 0]),  # 50 x 100 in the middle of 128 x 64: 3/8 of the input before it
    ],
)
def test_a_tile_lies_where_it_was_cut(tile: tuple[int, int, int, int], expected: list[float]) -> None:
    """Tiles of a frame of 200 x 100 in an input of 128 x 64."""
    left, top, right, bottom = tile
    matrix = of_tile(tile, letterbox.affine((right - left, bottom - top), (128, 64)))
    np.testing.assert_allclose(placement(matrix, (200, 100), (128, 64)), expected, atol=1e-6)
