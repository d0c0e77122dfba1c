"""Pure. Overlaps of pairs of boxes, and of tubes in space and time."""

import numpy as np
from numpy.typing import NDArray

from train.box_tables import Tube


def paired_iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) intersection over union of each row of `first` (N, 4) with that of `second`; 0 without an area."""
    one, two = first.astype(np.float64), second.astype(np.float64)
    sides = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])
    intersection = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(np.maximum(one[:, 2:] - one[:, :2], 0), axis=1)
    areas = areas + np.prod(np.maximum(two[:, 2:] - two[:, :2], 0), axis=1)
    overlap: NDArray[np.float64] = intersection / np.where(intersection > 0, areas - intersection, 1)
    return overlap


def tube_iou(first: Tube, second: Tube, common_frames: int = 1) -> float:
    """Temporal IoU times the mean spatial IoU over the common frames; 0 for tubes of two videos.

    0 too where they share fewer than `common_frames` frames.
    """
    begin = max(first.first_frame, second.first_frame)
    end = min(first.first_frame + len(first.boxes), second.first_frame + len(second.boxes))
    common = end - begin
    if common < max(common_frames, 1) or first.video != second.video:
        return 0.0
    union = len(first.boxes) + len(second.boxes) - common
    one = first.boxes[begin - first.first_frame : end - first.first_frame]
    two = second.boxes[begin - second.first_frame : end - second.first_frame]
    return float(common / union * paired_iou(one, two).mean())
