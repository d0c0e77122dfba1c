"""The affine between a frame and the network's input: a frame of any shape fitted into it, aspect kept. Pure."""

import numpy as np
from numpy.typing import NDArray

from edge.boxes import Boxes

Affine = NDArray[np.float64]  # (2, 3), x' = a·x + b·y + c and the same for y'

STEPS = 32
"""cv2.warpAffine reads at this many positions per px."""
PRECISION = 1024
"""and computes them from terms that are each rounded to such a part of a px."""


def affine(source_size: tuple[int, int], input_size: tuple[int, int]) -> Affine:
    """The affine that fits a frame into the middle of an input, aspect kept; sizes are (width, height).

    For a square input it is CenterNet's `get_affine_transform` with centre (width / 2, height / 2) and scale
    max(width, height); other inputs take the smaller of the two scales, so that the whole frame fits.
    """
    (width, height), (input_width, input_height) = source_size, input_size
    scale = min(input_width / width, input_height / height)
    return np.array(
        [
            [scale, 0, input_width / 2 - scale * width / 2],
            [0, scale, input_height / 2 - scale * height / 2],
        ],
        np.float64,
    )


def invert(matrix: Affine) -> Affine:
    """The inverse of an affine."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.hstack([linear, -linear @ matrix[:, 2:]])


def transform(boxes: Boxes, matrix: Affine) -> Boxes:
    """The boxes with both corners mapped by an affine that neither rotates nor mirrors."""
    corners = boxes.reshape(-1, 2, 2).astype(np.float64)
    moved: NDArray[np.float64] = corners @ matrix[:, :2].T + matrix[:, 2]
    return moved.reshape(-1, 4).astype(np.float32)


def read_positions(matrix: Affine, input_size: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """x (width,) and y (height,) in the frame that cv2.warpAffine reads the input's columns and rows at, 1/STEPS px.

    `matrix`: frame → input of `input_size` (width, height); it may mirror, but not rotate.
    """
    (scale_x, _, left), (_, scale_y, top) = invert(matrix)
    width, height = input_size
    x = _parts(left) + _parts(scale_x * np.arange(width))
    y = _parts(scale_y * np.arange(height) + top)
    return _stepped(x), _stepped(y)


def _parts(positions: NDArray[np.float64] | float) -> NDArray[np.int64]:
    return np.rint(np.multiply(positions, PRECISION)).astype(np.int64)


def _stepped(parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """To the nearest of STEPS, halves up."""
    step = PRECISION // STEPS
    return (parts + step // 2) // step
