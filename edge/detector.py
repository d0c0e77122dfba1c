"""Fits frames to the network's input, and turns its outputs into detections in the frame. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import boxes as box_ops
from edge import letterbox
from edge.manifest import OUTPUTS, Manifest

ROUNDING = 1e-3  # half and quantised precision may give scores that much above 1


MIN_SCORE = 0.01  # weaker detections are dropped, unless a linker needs them, and count nowhere


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections in one frame, by falling score."""

    boxes: NDArray[np.float32]  # (N, 4), x1 y1 x2 y2, pixels of the source frame, clipped to it
    scores: NDArray[np.float32]  # (N,), 0..1
    labels: NDArray[np.int64]  # (N,), index into the manifest's labels
    class_scores: NDArray[np.float32]  # (N, classes), 0..1, of every action in that box
    invalid: int = 0  # outputs that were dropped: not finite, not scores, or not known actions


def invalid_outputs_message(count: int, consequence: str = "they are dropped") -> str:
    """The message about outputs that no working network returns; `consequence`: what happens to them."""
    return (
        f"the model returned {count} outputs that are not finite, not scores or not known actions; {consequence}: "
        "check it with `korsal-convert check`, or export and quantise it again"
    )


def frame_size(image: NDArray[np.uint8]) -> tuple[int, int]:
    """(width, height) of an (H, W, 3) image, pixels."""
    return image.shape[1], image.shape[0]


def fit(image: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.uint8]:
    """An (H, W, 3) BGR frame letterboxed to the network's input by CenterNet's affine: (h, w, 3) uint8."""
    matrix = letterbox.affine(frame_size(image), manifest.input_size)
    return cv2.warpAffine(image, matrix, manifest.input_size, flags=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def standardise(fitted: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.float32]:
    """An (h, w, 3) uint8 frame of the input size → float32: over 255, minus mean, over std."""
    gain, lift = _gain_and_lift(manifest)
    return cv2.add(cv2.multiply(fitted, gain, dtype=cv2.CV_32F), lift).astype(np.float32, copy=False)


def normalise(image: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.float32]:
    """An (H, W, 3) uint8 BGR frame → (h, w, 3) float32 for motion map and network."""
    return standardise(fit(image, manifest), manifest)


def network_input(frame: NDArray[np.float32], motion: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """The network's input (1, C, h, w) from a normalised (h, w, 3) frame and its motion map, if any."""
    parts = [frame] if motion is None else [frame, motion]
    planes = [plane for part in parts for plane in cv2.split(part)]
    return np.stack(planes)[None].astype(np.float32, copy=False)


def detections(
    outputs: Mapping[str, NDArray[Any]], size: tuple[int, int], manifest: Manifest, minimum_score: float
) -> Detections:
    """Outputs of the network for one frame of `size` (width, height) → detections that score at least `minimum_score`.

    `outputs` has a batch of one: `boxes` (1, K, 4), `scores` (1, K), `labels` (1, K), `class_scores` (1, K, classes).
    Invalid outputs (NaN, infinity, scores outside 0..1, unknown labels) are dropped and counted.
    """
    valid = _valid(outputs, len(manifest.labels))
    boxes, scores, labels, class_scores = (outputs[name][0][valid] for name in OUTPUTS)
    boxes, scores = boxes.astype(np.float32), scores.astype(np.float32)
    inverse = letterbox.invert(letterbox.affine(size, manifest.input_size))
    inside = box_ops.clip(letterbox.transform(boxes, inverse), *size)
    kept = np.flatnonzero((scores >= minimum_score) & (inside[:, 2:] > inside[:, :2]).all(axis=1))
    if manifest.nms_iou < 1:
        kept = kept[suppressed(boxes[kept], scores[kept], labels[kept], manifest.nms_iou)]
    return Detections(
        boxes=inside[kept],
        scores=np.minimum(scores[kept], 1),
        labels=labels[kept].astype(np.int64),
        class_scores=np.minimum(class_scores[kept].astype(np.float32), 1),
        invalid=int((~valid).sum()),
    )


def suppressed(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[Any], threshold: float
) -> NDArray[np.int64]:
    """What `boxes.nms` keeps of (N, 4) boxes where those of each label are by themselves, by falling score.

    It goes before any clipping, which makes boxes at a frame's edge more alike.
    """
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        chosen.append(rows[box_ops.nms(boxes[rows], scores[rows], threshold)])
    together = np.concatenate([np.zeros(0, np.int64), *chosen])
    return together[np.argsort(-scores[together], kind="stable")]


def _valid(outputs: Mapping[str, NDArray[Any]], classes: int) -> NDArray[np.bool_]:
    """(K,) bool: which outputs a working network can return."""
    boxes, scores, labels, class_scores = (outputs[name][0] for name in OUTPUTS)
    are_scores = _is_score(scores) & _is_score(class_scores).all(axis=1)
    return np.asarray(np.isfinite(boxes).all(axis=1) & are_scores & (labels >= 0) & (labels < classes))


def _is_score(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values lie in 0..1, with room for rounding; NaN and infinity do not."""
    return np.asarray((values >= 0) & (values <= 1 + ROUNDING))


def _gain_and_lift(manifest: Manifest) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(pixel / 255 − mean) / std as pixel · gain + lift, each (4,), which OpenCV reads as a value per channel."""
    mean, std = np.array([*manifest.mean, 0.0]), np.array([*manifest.std, 1.0])
    return 1 / (255 * std), -mean / std
