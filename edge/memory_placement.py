"""Where a detector's input lies in the picture that its memory sees, which is the whole frame. Pure."""

import numpy as np
from numpy.typing import NDArray

from edge.letterbox import Affine, invert


def placement(matrix: Affine, source_size: tuple[int, int], input_size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale and start of x, then of y, (4,).

    Of a place `u` across the input, 0 to 1 from its left edge, `scale * u + start` is the place across the frame.
    `matrix`: frame → input, as the letterbox or an augmentation has it; it may mirror, but not rotate. Sizes are
    (width, height).
    """
    (scale_x, _, left), (_, scale_y, top) = invert(matrix)
    (width, height), (input_width, input_height) = source_size, input_size
    places = [scale_x * input_width / width, left / width, scale_y * input_height / height, top / height]
    return np.array(places, np.float32)


def of_tile(tile: tuple[int, int, int, int], matrix: Affine) -> Affine:
    """The affine frame → input, of a tile x1 y1 x2 y2, pixels of the frame, and of its own affine tile → input."""
    left, top = tile[:2]
    moved: Affine = matrix.copy()
    moved[:, 2] -= matrix[:, :2] @ (left, top)
    return moved
