"""Preprocessing and motion map inside a model against the daemon's own, frame by frame.

Another shift than the daemon's is right where their scores are equal but for rounding; the map must be that of the
shift.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.calibration import FramePair
from edge import detector, motion_map
from edge.graph_inference import has_motion
from edge.inference import Engine, Outputs
from edge.manifest import FITTED, FRAME, INPUT, MOTION, PREVIOUS, SHIFT, Manifest
from edge.motion_map import SHIFTS, MotionSettings
from edge.ssim import MARGIN

TOLERANCE = 1e-3  # of pixels, normalised, and of the map
EQUAL = 1e-5  # mean SSIM within which two shifts are equal but for float32's rounding
SEED = 0

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class GraftParity:
    """The largest differences over many frames; a map is compared with the daemon's of the shift that it has."""

    frames: int = 0
    pixels: float = 0.0  # normalised; a grey level is about 0.014
    maps: float = 0.0
    shifts: int = 0  # frames with another shift
    worse: int = 0  # of these, whose shift scores less

    @property
    def within_tolerance(self) -> bool:
        """False for nan too."""
        return self.pixels <= TOLERANCE and self.maps <= TOLERANCE and self.worse == 0

    def __str__(self) -> str:
        return (
            f"{self.pixels:.2g} in pixels and {self.maps:.2g} in motion maps ({TOLERANCE:g} allowed), "
            f"another shift in {self.shifts} of {self.frames} frames"
            + (f", a worse one in {self.worse} (none allowed)" if self.shifts else "")
        )


def compare(grafted: Engine, pairs: Iterable[FramePair]) -> tuple[GraftParity, list[tuple[Outputs, Outputs]]]:
    """How far the model's own preparation is from the daemon's, and its inputs and outputs for each frame.

    `grafted` runs its own preprocessing. The first of each returned pair is {INPUT: what its network was given}.
    """
    manifest, found, seen = grafted.manifest, GraftParity(), list[tuple[Outputs, Outputs]]()
    for image, previous in pairs:
        fitted = None if previous is None else _run(grafted, previous, None)[FITTED]
        outputs = _run(grafted, image, fitted)
        found = _joined(found, _of_frame(outputs, image, previous, manifest))
        given = [outputs[FITTED], *([outputs[MOTION]] if has_motion(manifest) else [])]
        seen.append(({INPUT: np.concatenate(given, axis=1)}, outputs))
    return found, seen


def made_up(manifest: Manifest) -> list[FramePair]:
    """Noise of other sizes than the input's: alone, moved by a pixel, and nearly dark."""
    height, width = manifest.height * 3 // 2 + 1, manifest.width + 7
    noise = np.random.default_rng(SEED).integers(0, 256, (height, width, 3), np.uint8)
    return [(noise, None), (np.roll(noise, 2, axis=1), noise), (noise // 64, noise // 32)]


def _run(grafted: Engine, image: Image, fitted: NDArray[Any] | None) -> Outputs:
    inputs: dict[str, NDArray[Any]] = {FRAME: image[None]}
    if has_motion(manifest := grafted.manifest):
        blank = np.zeros((1, 3, manifest.height, manifest.width), np.float32)
        inputs[PREVIOUS] = blank if fitted is None else fitted
    return grafted.infer(inputs)


def _of_frame(outputs: Outputs, image: Image, previous: Image | None, manifest: Manifest) -> GraftParity:
    current = detector.normalise(image, manifest)
    pixels = _largest(outputs[FITTED], current)
    if not has_motion(manifest):
        return GraftParity(1, pixels)
    before = np.zeros_like(current) if previous is None else detector.normalise(previous, manifest)
    expected, shift = motion_map.motion_map(before, current, manifest.motion)
    chosen = int(outputs[SHIFT][0])
    if chosen == shift:
        return GraftParity(1, pixels, _largest(outputs[MOTION], expected))
    if not manifest.motion.shifts or manifest.motion.kind == "previous" or not 0 <= chosen < len(SHIFTS):
        return GraftParity(1, pixels, 0.0, 1, 1)
    ours, theirs = _moved(current, shift), _moved(current, chosen)
    worse = not _score(before, theirs) >= _score(before, ours) - EQUAL
    expected, _ = motion_map.motion_map(before, theirs, replace(manifest.motion, shifts=False))
    return GraftParity(1, pixels, _largest(outputs[MOTION], expected), 1, int(worse))


def _moved(frame: NDArray[np.float32], shift: int) -> NDArray[np.float32]:
    """A frame (h, w, 3) moved by one of SHIFTS, borders mirrored as the motion map does it."""
    (dy, dx), (height, width) = SHIFTS[shift], frame.shape[:2]
    mirrored = cv2.copyMakeBorder(frame, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    return np.asarray(mirrored[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width], np.float32)


def _score(before: NDArray[np.float32], moved: NDArray[np.float32]) -> float:
    """The mean SSIM by which shifts are chosen."""
    similarity, _ = motion_map.motion_map(before, moved, MotionSettings("ssim", shifts=False))
    return float(similarity[MARGIN:-MARGIN, MARGIN:-MARGIN].mean(dtype=np.float64))


def _largest(got: NDArray[Any], expected: NDArray[np.float32]) -> float:
    return float(np.abs(got[0].transpose(1, 2, 0) - expected).max())


def _joined(one: GraftParity, other: GraftParity) -> GraftParity:
    return GraftParity(
        one.frames + other.frames,
        float(np.maximum(one.pixels, other.pixels)),  # which keeps nan
        float(np.maximum(one.maps, other.maps)),
        one.shifts + other.shifts,
        one.worse + other.worse,
    )
