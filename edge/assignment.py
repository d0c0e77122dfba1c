"""Assignment: the matching of two sets with the greatest sum of gains. Pure."""

import numpy as np
from lap import lapjv
from numpy.typing import NDArray


def assign(gains: NDArray[np.floating]) -> list[tuple[int, int]]:
    """(row, column) pairs, rows rising, each row and column at most once, whose `gains` (R, C) sum to the most.

    A gain of 0 or less is no pair. The same table always gives the same pairs, ties included (Jonker and Volgenant
    1987, in the package `lap`).
    """
    if not gains.size:
        return []
    cost = -np.maximum(gains, 0).astype(np.float64)
    _, column_of, _ = lapjv(cost, extend_cost=True)
    return [(row, column) for row, column in enumerate(column_of.tolist()) if column >= 0 and gains[row, column] > 0]
