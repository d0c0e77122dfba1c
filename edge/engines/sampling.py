"""Where cv2.warpAffine reads a frame when it letterboxes it: for whoever must fit frames just as it does. Pure.

`edge.detector.fit` is the rule. Another INTER_LINEAR that reads 1/64 px elsewhere, or rounds halves the other way,
differs by one grey level in one pixel of sixteen (the demo clip), and its motion map by up to 0.13.
"""

import numpy as np
from numpy.typing import NDArray

from edge import boxes

STEPS = 32
"""cv2.warpAffine interpolates between this many places per px."""
PRECISION = 1024
"""and adds up what leads there in parts of a px as small as this, each rounded."""
HALF_UP = 1 / (2 * STEPS**2)
"""cv2.warpAffine rounds halves up. Interpolated grey levels are multiples of 1 / STEPS²: with this added, rounding to
the nearest does so too."""


def letterbox_positions(
    source_size: tuple[int, int], input_size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x (width,) and y (height,) in the source that each column and row of the input is read at, pixels.

    Sizes are (width, height). Outside of the source is black, and blends with its edge.
    """
    (scale_x, _, left), (_, scale_y, top) = boxes.invert(boxes.letterbox(source_size, input_size))
    width, height = input_size
    x = _parts(left) + _parts(scale_x * np.arange(width))
    y = _parts(scale_y * np.arange(height) + top)
    return _stepped(x), _stepped(y)


def _parts(positions: NDArray[np.float64] | float) -> NDArray[np.int64]:
    return np.rint(np.multiply(positions, PRECISION)).astype(np.int64)


def _stepped(parts: NDArray[np.int64]) -> NDArray[np.float32]:
    """To the nearest of STEPS, halves up."""
    step = PRECISION // STEPS
    return ((parts + step // 2) // step / STEPS).astype(np.float32)
