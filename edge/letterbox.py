"""The affine between a frame and the network's input: a frame of any shape fitted into it, aspect kept. Pure."""

import numpy as np
from numpy.typing import NDArray

from edge.boxes import Boxes

Affine = NDArray[np.float64]  # (2, 3), x' = a·x + b·y + c and the same for y'


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
