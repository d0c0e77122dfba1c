"""Boxes of a tube smoothed along time, by those before and after. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 3  # spreads; what lies further away does not count


@dataclass(frozen=True)
class BoxSmoothing:
    """Lines fitted around each frame, to centres and to logarithms of sizes; neighbours count by Gaussians.

    The spreads of these, in seconds: a size changes more slowly than a place. 0 leaves a part as it is.
    """

    centre: float = 0.1
    size: float = 0.2

    def __call__(self, boxes: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
        """Boxes (n, 4), x1 y1 x2 y2, of `rate` frames per second in a row."""
        sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3).astype(np.float64)
        centres = fitted((boxes[:, :2] + boxes[:, 2:]) / 2, self.centre * rate)
        halves = np.exp(fitted(np.log(sizes), self.size * rate)) / 2
        return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)


def fitted(values: NDArray[np.floating], spread: float) -> NDArray[np.float64]:
    """(n, 2) values → at each row that of a line fitted to it and its neighbours.

    These count by a Gaussian of `spread` rows.
    """
    wide: NDArray[np.float64] = values.astype(np.float64)
    reach = min(int(REACH * spread), len(wide) - 1)
    if reach < 1:
        return wide
    away = np.arange(-reach, reach + 1)
    weight = np.exp(-0.5 * (away / spread) ** 2)
    there = np.pad(np.ones((len(wide), 1)), ((reach, reach), (0, 0)))
    padded = np.pad(wide, ((reach, reach), (0, 0)))
    sums = [_moment(there, weight * away**power) for power in range(3)]  # (n, 1) each
    level, slope = (_moment(padded, weight * away**power) for power in range(2))  # (n, 2)
    line: NDArray[np.float64] = (sums[2] * level - sums[1] * slope) / (sums[0] * sums[2] - sums[1] ** 2)
    return line


def _moment(padded: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the rows around each one, weighted."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(weight), axis=0)  # (n, 2, window)
    summed: NDArray[np.float64] = windows @ weight
    return summed
