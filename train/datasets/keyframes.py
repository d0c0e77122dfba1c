"""The few boxes of a tube between which the others lie on straight lines, for a person to correct. Pure."""

import numpy as np
from numpy.typing import NDArray

ROUNDING = 0.005  # pixels; files hold hundredths


def keyframes(boxes: NDArray[np.float32], tolerance: NDArray[np.float32] | float) -> NDArray[np.int64]:
    """Places of boxes (n, 4), rising, first and last among them; what is interpolated leaves none by more.

    `tolerance` in pixels of a corner, one for all boxes or (n,). As Douglas and Peucker thin a line, over time.
    """
    if not len(boxes):
        return np.zeros(0, np.int64)
    allowed = np.broadcast_to(np.asarray(tolerance, np.float64), len(boxes))
    kept, waiting = {0, len(boxes) - 1}, [(0, len(boxes) - 1)]
    while waiting:
        first, last = waiting.pop()
        excess = _distances(boxes, first, last) - allowed[first : last + 1]
        worst = int(excess.argmax())
        if 0 < worst < last - first and excess[worst] > ROUNDING:
            kept.add(first + worst)
            waiting += [(first, first + worst), (first + worst, last)]
    return np.array(sorted(kept), np.int64)


def _distances(boxes: NDArray[np.float32], first: int, last: int) -> NDArray[np.float64]:
    """(last - first + 1,): how far the farthest side of each box is from the line between the first and the last."""
    one, other = boxes[first].astype(np.float64), boxes[last].astype(np.float64)
    share = np.linspace(0, 1, last - first + 1)[:, None]
    found: NDArray[np.float64] = np.abs(boxes[first : last + 1] - (one + share * (other - one))).max(axis=1)
    return found
