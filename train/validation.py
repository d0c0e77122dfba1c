"""Frame-mAP on chosen frames while training: the network alone, no tubes. Shell over torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge import letterbox
from edge.detector import MIN_SCORE, suppressed
from edge.manifest import Manifest
from edge.terminal import progress
from train.batches import Batches, network_inputs
from train.box_tables import FrameBoxes
from train.clips.samples import ClipValidationFrames
from train.datasets.annotation_records import at
from train.evaluation import metrics
from train.networks.yowo import clip_networks
from train.samples import ValidationFrames

BATCH = 32

ValidatedFrames = ValidationFrames | ClipValidationFrames


@dataclass(frozen=True, eq=False)
class ValidationPart:
    """Frames of one data set, and the labels that it annotates."""

    title: str
    labels: tuple[int, ...]
    frames: ValidatedFrames


@dataclass(frozen=True)
class PartScore:
    """Frame-AP@0.5, percent, of each label that a data set annotates; nan for one that no frame shows."""

    title: str
    precision: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the labels that are shown, nan where none is."""
        known = [value for value in self.precision if not np.isnan(value)]
        return sum(known) / len(known) if known else float("nan")

    def __str__(self) -> str:
        """For a line of several."""
        return f"{self.title} not scored" if np.isnan(self.mean) else f"{self.title} {self.mean:.1f} %"


def scores(
    network: nn.Module, parts: Sequence[ValidationPart], manifest: Manifest, batches: Batches
) -> tuple[PartScore, ...]:
    """Of each data set."""
    return tuple(
        PartScore(part.title, _of_labels(part, frame_average_precision(network, part.frames, manifest, batches)))
        if len(part.frames)
        else PartScore(part.title, (float("nan"),) * len(part.labels))
        for part in parts
    )


def _of_labels(part: ValidationPart, precision: Sequence[float]) -> tuple[float, ...]:
    return tuple(precision[label] for label in part.labels)


def overall(found: Sequence[PartScore]) -> float:
    """Frame-mAP@0.5, percent: the mean of the data sets' means, 0 where no frame shows an action."""
    known = [part.mean for part in found if not np.isnan(part.mean)]
    return sum(known) / len(known) if known else 0.0


def frame_average_precision(
    network: nn.Module, frames: ValidatedFrames, manifest: Manifest, batches: Batches
) -> list[float]:
    """Frame-AP@0.5 by the `voc` rule for each label, percent; nan for a label that `frames` do not show."""
    predicted = _predict(network, frames, manifest, batches)
    curves = metrics.frame_curves(predicted, _truth(frames, manifest), len(manifest.labels))
    return [100 * metrics.voc_average_precision(curve) for curve in curves]


@torch.inference_mode()
def _predict(network: nn.Module, frames: ValidatedFrames, manifest: Manifest, batches: Batches) -> FrameBoxes:
    decoder = clip_networks.decoder(network, manifest).eval()
    rows: list[tuple[NDArray[Any], ...]] = []
    start = 0
    made = batches(frames, range(len(frames)), BATCH)
    for batch in progress.track(made, f"validating on {len(frames)} frames", "step", -(-len(frames) // BATCH)):
        boxes, scores, labels, _ = (value.cpu().numpy() for value in decoder(*network_inputs(batch)))
        kept = scores >= MIN_SCORE
        if manifest.nms_iou < 1:
            kept = _without_doubles(boxes, scores, labels, kept, manifest.nms_iou)
        number = np.repeat(np.arange(start, start + len(scores)), kept.sum(axis=1))
        rows.append((number, labels[kept], boxes[kept], scores[kept]))
        start += len(scores)
    return FrameBoxes(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _without_doubles(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[np.int64],
    kept: NDArray[np.bool_],
    threshold: float,
) -> NDArray[np.bool_]:
    """(B, K), what is left of `kept` where boxes of one action in one place are one, as when the model runs."""
    left = np.zeros_like(kept)
    for image, mask in enumerate(kept):
        rows = np.flatnonzero(mask)
        left[image, rows[suppressed(boxes[image, rows], scores[image, rows], labels[image, rows], threshold)]] = True
    return left


def _truth(frames: ValidatedFrames, manifest: Manifest) -> FrameBoxes:
    """Ground truth in input pixels, where predictions are too."""
    found = [_boxes(frames, number, manifest) for number in range(len(frames))]
    counts = [len(labels) for _, labels in found]
    boxes = np.concatenate([boxes for boxes, _ in found])
    labels = np.concatenate([labels for _, labels in found])
    return FrameBoxes(np.repeat(np.arange(len(found)), counts), labels, boxes, np.ones(len(labels), np.float32))


def _boxes(frames: ValidatedFrames, number: int, manifest: Manifest) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    choice = frames.choices[number]
    boxes, labels = at(choice.video, choice.frame)
    matrix = letterbox.affine(frames.packed[choice.video.name].size, manifest.input_size)
    return letterbox.transform(boxes, matrix), labels
