"""How far one model's answers are from another's: peaks matched by place and label, events by time and place. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.boxes import iou
from edge.events import Event

MIN_SCORE = 0.1  # of a peak that matters: weaker ones begin no tube
MIN_IOU = 0.5  # IoU of two boxes that mean the same person
MAX_SECONDS_APART = 0.5  # seconds between two beginnings of the same event
COMPARED_OUTPUTS = ("boxes", "scores", "class_scores")

Outputs = Mapping[str, NDArray[np.generic]]


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
    invented: int


def agreement(pairs: Iterable[tuple[Outputs, Outputs]]) -> Agreement:
    """Compare the outputs of an exact and another model, frame by frame; batches of one."""
    gaps: dict[str, list[NDArray[np.float64]]] = {name: [] for name in COMPARED_OUTPUTS}
    peaks = lost = invented = 0
    for exact, other in pairs:
        rows, columns = _matched(exact, other)
        peaks += _loud(exact)
        lost += _loud(exact) - len(rows)
        invented += max(_loud(other) - len(rows), 0)
        for name in COMPARED_OUTPUTS:
            gap = np.abs(exact[name][0][rows].astype(np.float64) - other[name][0][columns].astype(np.float64))
            gaps[name].append(gap.ravel())
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in gaps.items()}
    differences = (Difference(name, float(gap.max(initial=0)), _mean(gap)) for name, gap in joined.items())
    return Agreement(tuple(differences), peaks, lost, invented)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _loud(outputs: Outputs) -> int:
    return int(np.count_nonzero(outputs["scores"][0] >= MIN_SCORE))


def _matched(exact: Outputs, other: Outputs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Peaks of the exact model that matter, and the other's peaks of the same label that overlap them most."""
    loud = _loud(exact)
    overlap = iou(exact["boxes"][0][:loud].astype(np.float32), other["boxes"][0].astype(np.float32))
    overlap[exact["labels"][0][:loud, None] != other["labels"][0][None]] = 0
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
