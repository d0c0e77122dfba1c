"""Tubes: where one live tube is in one frame. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TubeBox:
    """Where one live tube is in one frame.

    `label` is the action that scores highest and `score` its score. Not `observed`: no detection supports the box in
    this frame, it is extrapolated and may leave the frame.
    """

    tube: int
    label: int
    box: NDArray[np.float32]  # (4,), x1 y1 x2 y2, pixels of the source frame
    score: float  # 0..1
    class_scores: NDArray[np.float32]  # (classes,), 0..1, averaged over time where the linker does so
    observed: bool
    own_scores: NDArray[np.float32] | None = None  # (classes,), of this frame's detection alone; None: class_scores

    @property
    def frame_scores(self) -> NDArray[np.float32]:
        """The class scores of this frame's detection alone."""
        return self.class_scores if self.own_scores is None else self.own_scores
