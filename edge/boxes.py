"""Boxes: overlap, clipping, suppression. Pure.

Everywhere a box is x1 y1 x2 y2 in continuous pixel coordinates: its width is x2 − x1, without the "+ 1" of older code.
"""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]  # (N, 4), x1 y1 x2 y2, pixels


def area(boxes: Boxes) -> NDArray[np.float32]:
    """(N,) areas in square pixels; 0 for inverted boxes."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas: NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return areas


def intersection(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """(N, M) common areas of each box of `a` with each of `b`, square pixels."""
    left, top, right, bottom = (np.ascontiguousarray(side) for side in b.T)
    width = np.minimum(a[:, 2, None], right) - np.maximum(a[:, 0, None], left)  # (N, M), as all that follow
    height = np.minimum(a[:, 3, None], bottom) - np.maximum(a[:, 1, None], top)
    common: NDArray[np.float32] = np.maximum(width, 0) * np.maximum(height, 0)
    return common


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """(N, M) intersection over union of each box of `a` with each of `b`; 0 where neither has an area."""
    common = intersection(a, b)
    union = area(a)[:, None] + area(b) - common
    overlap = np.zeros(common.shape, np.float32)
    np.divide(common, union, out=overlap, where=union > 0)
    return overlap


def clip(boxes: Boxes, width: float, height: float) -> Boxes:
    """The boxes clipped to a frame of that size, pixels; one outside becomes a line or point on its edge."""
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, np.float32(0), limits).astype(np.float32, copy=False)


def nms(boxes: Boxes, scores: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Non-maximum suppression: the indices of the boxes to keep, by falling score, of equals the earlier first.

    A box is dropped if its IoU with a better kept one is above `threshold`: at 1 all are kept.
    """
    order = np.argsort(-scores, kind="stable")
    overlapping = iou(boxes, boxes) > threshold
    suppressed = np.zeros(len(boxes), bool)
    kept = []
    for i in order:
        if not suppressed[i]:
            kept.append(i)
            suppressed |= overlapping[i]
    return np.array(kept, np.int64)
