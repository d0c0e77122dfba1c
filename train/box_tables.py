"""Pure. Boxes and tubes of many videos as flat tables, for predictions and ground truth alike.

Boxes are x1 y1 x2 y2 in pixels, continuous coordinates (no "+1"); frames and labels are counted from 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LARGEST_COORDINATE = 1e6  # pixels; a box that lies farther away is an error in its file
_FRAME_BITS = 32


@dataclass(frozen=True, eq=False)
class FrameBoxes:
    """Boxes of many frames in one flat table.

    frames (N,) int64: a number for each frame, unique over all videos; labels (N,) int64;
    boxes (N, 4) float32; scores (N,) float32, without meaning for ground truth.
    """

    frames: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "FrameBoxes":
        """The chosen rows, by a mask or by their indices."""
        return FrameBoxes(self.frames[chosen], self.labels[chosen], self.boxes[chosen], self.scores[chosen])


@dataclass(frozen=True, eq=False)
class Tube:
    """One action tube in video number `video`: row i of boxes (n, 4) belongs to frame `first_frame + i`."""

    video: int
    label: int
    score: float
    first_frame: int
    boxes: NDArray[np.float32]


def joined(tables: Sequence[FrameBoxes]) -> FrameBoxes:
    """The tables in one, one below the other; empty for no tables."""
    return FrameBoxes(
        np.concatenate([np.zeros(0, np.int64), *(table.frames for table in tables)]),
        np.concatenate([np.zeros(0, np.int64), *(table.labels for table in tables)]),
        np.concatenate([np.zeros((0, 4), np.float32), *(table.boxes for table in tables)]),
        np.concatenate([np.zeros(0, np.float32), *(table.scores for table in tables)]),
    )


def numbered(tables: Sequence[FrameBoxes]) -> FrameBoxes:
    """The tables of videos 0, 1, 2, … in one, with frame numbers that are unique over all videos."""
    return joined(
        [replace(table, frames=in_video(np.int64(video), table.frames)) for video, table in enumerate(tables)]
    )


def in_video(video: NDArray[np.int64] | np.int64, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frame numbers over all videos, of frames within a video."""
    return (np.asarray(video, np.int64) << _FRAME_BITS) + frames


def video_of(frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """The video of each frame number made by `in_video`."""
    return frames >> _FRAME_BITS


def ordered(table: FrameBoxes) -> FrameBoxes:
    """The same rows by falling score; equal scores by frame, then x1, y1, x2, y2."""
    x1, y1, x2, y2 = table.boxes.T
    return table.where(np.lexsort((y2, x2, y1, x1, table.frames, -table.scores)))


def by_score(tubes: Sequence[Tube]) -> list[Tube]:
    """The tubes by falling score; equal scores by video, first frame and boxes."""
    return sorted(tubes, key=_tube_order)


def _tube_order(tube: Tube) -> tuple[float, int, int, bytes]:
    return -float(np.float32(tube.score)), tube.video, tube.first_frame, tube.boxes.tobytes()
