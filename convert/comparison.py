"""How far the answers of two models are apart. Pure.

`parity` is strict: an exported model must answer as the original does. `agreement` and `unmatched` are for a model of
another precision: peaks are matched by place and label, events by time and place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.boxes import clip, iou
from edge.events import Event
from edge.inference import Outputs

MIN_SCORE = 0.1  # of a peak that matters: weaker ones begin no tube
MIN_IOU = 0.5  # IoU of two boxes that mean the same person
MAX_SECONDS_APART = 0.5  # seconds between two beginnings of the same event
COMPARED_OUTPUTS = ("boxes", "scores", "class_scores")
SCORE_TOLERANCE = 1e-3  # of an export
BOX_TOLERANCE = 0.1  # of an export, input pixels


@dataclass(frozen=True)
class Difference:
    """Of one output over all peaks that both models gave: pixels of the input for boxes, else 0..1."""

    output: str
    largest: float
    mean: float


@dataclass(frozen=True)
class Agreement:
    """Of many frames: how the outputs differ, and how many peaks of the first have no counterpart, and the others."""

    differences: tuple[Difference, ...]
    peaks: int
    lost: int
    extra: int


def agreement(pairs: Iterable[tuple[Outputs, Outputs]]) -> Agreement:
    """Compare the outputs of an exact and another model, frame by frame; batches of one."""
    gaps: dict[str, list[NDArray[np.float64]]] = {name: [] for name in COMPARED_OUTPUTS}
    peaks = lost = extra = 0
    for exact, other in pairs:
        rows, columns = _matched(exact, other)
        peaks += _above_minimum(exact)
        lost += _above_minimum(exact) - len(rows)
        extra += max(_above_minimum(other) - len(rows), 0)
        for name in COMPARED_OUTPUTS:
            gap = np.abs(exact[name][0][rows].astype(np.float64) - other[name][0][columns].astype(np.float64))
            gaps[name].append(gap.ravel())
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in gaps.items()}
    differences = (Difference(name, float(gap.max(initial=0)), _mean(gap)) for name, gap in joined.items())
    return Agreement(tuple(differences), peaks, lost, extra)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _above_minimum(outputs: Outputs) -> int:
    return int(np.count_nonzero(outputs["scores"][0] >= MIN_SCORE))


def _matched(exact: Outputs, other: Outputs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Peaks of the exact model that matter, and the other's peaks of the same label that overlap them most."""
    count = _above_minimum(exact)
    overlap = iou(exact["boxes"][0][:count].astype(np.float32), other["boxes"][0].astype(np.float32))
    overlap[exact["labels"][0][:count, None] != other["labels"][0][None]] = 0
    best = overlap.argmax(axis=1)
    rows = np.flatnonzero(overlap.max(axis=1, initial=0) >= MIN_IOU)
    return rows, best[rows]


def unmatched(first: Sequence[Event], second: Sequence[Event]) -> tuple[Event, ...]:
    """The beginnings in `first` that have none in `second`: of the same action, place and time; each counts once."""
    free = [event for event in second if event.type == "new"]
    alone = []
    for event in first:
        if event.type == "new":
            twin = next((other for other in free if _same(event, other)), None)
            if twin is None:
                alone.append(event)
            else:
                free.remove(twin)
    return tuple(alone)


def _same(one: Event, other: Event) -> bool:
    near = abs(one.started_unix - other.started_unix) <= MAX_SECONDS_APART
    return near and one.action == other.action and bool(iou(one.box[None], other.box[None])[0, 0] >= MIN_IOU)


@dataclass(frozen=True)
class Parity:
    """The largest differences over many images, and how many peaks are lost or have another label.

    `scores` are compared in their order; `boxes` are those of peaks that both gave. nan where a model gave it.
    """

    images: int = 0
    peaks: int = 0
    scores: float = 0.0
    boxes: float = 0.0  # input pixels
    labels: int = 0  # peaks whose box the other gives, but for another action
    absent: int = 0  # peaks whose box the other does not give

    @property
    def within_tolerance(self) -> bool:
        """False for nan too."""
        return self.scores <= SCORE_TOLERANCE and self.boxes <= BOX_TOLERANCE and self.labels == self.absent == 0

    def __str__(self) -> str:
        return (
            f"{self.scores:.2g} in scores ({SCORE_TOLERANCE:g} allowed), {self.boxes:.2g} pixels in boxes "
            f"({BOX_TOLERANCE:g} allowed), {self.labels} of {self.peaks} labels (none allowed)"
            + (f", {self.absent} of {self.peaks} peaks absent" if self.absent else "")
        )


def parity(pairs: Iterable[tuple[Outputs, Outputs]], input_size: tuple[int, int]) -> Parity:
    """Compare the outputs of a model and of what was exported from it; batches of any size.

    Boxes are compared inside the input of `input_size` (width, height), pixels, for so they are when they are used: of
    one that is a thousand times as large, rounding alone moves the edges by pixels.
    """
    found = Parity()
    for expected, got in pairs:
        for i in range(len(expected["scores"])):
            found = _joined(found, _of_image(_row(expected, i, input_size), _row(got, i, input_size)))
    return found


def _row(outputs: Outputs, image: int, input_size: tuple[int, int]) -> Outputs:
    row = {name: value[image] for name, value in outputs.items()}
    return {**row, "boxes": clip(row["boxes"], *input_size)}


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
