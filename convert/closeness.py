"""Whether an exported model answers as the one it was exported from: scores, boxes and labels. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 0.1  # input pixels

Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Parity:
    """Of many images: the largest differences, and how many peaks of the first come with another label or not at all.

    `scores` are compared in their order; `boxes` are those of peaks that both gave. nan where a model gave it.
    """

    images: int = 0
    peaks: int = 0
    scores: float = 0.0
    boxes: float = 0.0  # input pixels
    labels: int = 0  # peaks whose box the other gives, but for another action
    absent: int = 0  # peaks whose box the other does not give

    @property
    def close(self) -> bool:
        """False for nan too."""
        return self.scores <= SCORE_TOLERANCE and self.boxes <= BOX_TOLERANCE and self.labels == self.absent == 0

    def __str__(self) -> str:
        return (
            f"{self.scores:.2g} in scores ({SCORE_TOLERANCE:g} allowed), {self.boxes:.2g} pixels in boxes "
            f"({BOX_TOLERANCE:g} allowed), {self.labels} of {self.peaks} labels (none allowed)"
            + (f", {self.absent} of {self.peaks} peaks absent" if self.absent else "")
        )


def parity(pairs: Iterable[tuple[Outputs, Outputs]]) -> Parity:
    """Compare the outputs of a model and of what was exported from it; batches of any size."""
    found = Parity()
    for expected, got in pairs:
        for i in range(len(expected["scores"])):
            found = _joined(found, _of_image(_row(expected, i), _row(got, i)))
    return found


def _row(outputs: Outputs, image: int) -> Outputs:
    return {name: value[image] for name, value in outputs.items()}


def _joined(one: Parity, other: Parity) -> Parity:
    return Parity(
        one.images + other.images,
        one.peaks + other.peaks,
        float(np.maximum(one.scores, other.scores)),  # which keeps nan
        float(np.maximum(one.boxes, other.boxes)),
        one.labels + other.labels,
        one.absent + other.absent,
    )


def _of_image(expected: Outputs, got: Outputs) -> Parity:
    """Peaks of nearly equal scores may come in another order, and the last few may not come at all."""
    scores = float(np.abs(expected["scores"] - got["scores"]).max())
    certain = expected["scores"] > expected["scores"][-1] + 2 * SCORE_TOLERANCE
    boxes, labels = expected["boxes"][certain], expected["labels"][certain]
    distances = np.abs(boxes[:, None] - got["boxes"][None]).max(axis=2)  # (N, K)
    other = labels[:, None] != got["labels"][None]
    nearest, of_others = (np.where(left, np.inf, distances).min(axis=1, initial=np.inf) for left in (other, ~other))
    mistaken = (nearest > BOX_TOLERANCE) & (of_others <= BOX_TOLERANCE)
    absent = np.isinf(nearest) & ~mistaken
    farthest = nearest[~mistaken & ~absent].max(initial=0.0)
    return Parity(1, len(boxes), scores, float(farthest), int(mistaken.sum()), int(absent.sum()))
