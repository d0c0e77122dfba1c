"""The usual sizes of boxes, found by k-means with IoU for a distance (Redmon & Farhadi 2017). Pure."""

import numpy as np
from numpy.typing import NDArray

MOST_ROUNDS = 100
MOST_SIZES = 20_000  # more of them, evenly chosen, change nothing that counts


def shape_iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, M) IoU of sizes (N, 2) and (M, 2), width and height, as if all boxes had one middle."""
    common = np.minimum(one[:, None], other).prod(axis=2)
    union = one.prod(axis=1)[:, None] + other.prod(axis=1) - common
    overlap: NDArray[np.float64] = common / np.maximum(union, 1e-9)
    return overlap


def found_priors(sizes: NDArray[np.floating], count: int) -> NDArray[np.float64]:
    """(count, 2) widths and heights by falling area, of boxes of `sizes` (N, 2); N at least 1.

    It begins with boxes at even places among all by their area, so nothing is drawn.
    """
    known = sizes.astype(np.float64)
    known = known[np.argsort(known.prod(axis=1), kind="stable")]
    known = known[_even_places(len(known), min(len(known), MOST_SIZES))]
    priors, nearest = known[_even_places(len(known), count)], np.full(len(known), -1)
    for _ in range(MOST_ROUNDS):
        now = shape_iou(known, priors).argmax(axis=1)
        if (now == nearest).all():
            break
        nearest = now
        for i in np.unique(nearest):
            priors[i] = known[nearest == i].mean(axis=0)
    return priors[np.argsort(-priors.prod(axis=1), kind="stable")]


def mean_overlap(sizes: NDArray[np.floating], priors: NDArray[np.float64]) -> float:
    """Mean IoU of each size with its best prior."""
    return float(shape_iou(sizes.astype(np.float64), priors).max(axis=1).mean())


def _even_places(length: int, count: int) -> NDArray[np.int64]:
    """Places in the middles of `count` equal parts of `length`."""
    places: NDArray[np.int64] = ((np.arange(count) + 0.5) * length / count).astype(np.int64)
    return places
