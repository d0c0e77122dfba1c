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
from convert.frame_answers import Stream
from edge import detector, motion_map
from edge.graph_inference import has_motion
from edge.inference import Engine, Outputs
from edge.manifest import FITTED, FRAME, INPUT, MOTION, PREVIOUS, SHIFT, Manifest, memory_shapes
from edge.memory_network import MemoryInputs
from edge.motion_map import SHIFTS, MotionSettings
from edge.ssim import MARGIN

TOLERANCE = 1e-3  # of pixels, normalised, and of the map
EQUAL = 1e-5  # mean SSIM within which two shifts are equal but for float32's rounding
SEED = 0

Image = NDArray[np.uint8]
Normalised = NDArray[np.float32]  # (h, w, 3), normalised; or a motion map


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

    def as_text(self) -> str:
        """What was found, about a file."""
        return f"preprocessing inside, as the daemon's: differs by {self}"

    def __str__(self) -> str:
        return (
            f"{self.pixels:.2g} in pixels and {self.maps:.2g} in motion maps ({TOLERANCE:g} allowed), "
            f"another shift in {self.shifts} of {self.frames} frames"
            + (f", a worse one in {self.worse} (none allowed)" if self.shifts else "")
        )


def compare(grafted: Engine, pairs: Iterable[FramePair]) -> tuple[GraftParity, list[tuple[Outputs, Outputs]]]:
    """How far the model's own preparation is from the daemon's, and its inputs and outputs for each frame.

    `grafted` runs its own preprocessing. The first of each returned pair is what its network was given: INPUT,
    and MEMORY_INPUTS.
    """
    manifest, found, seen = grafted.manifest, GraftParity(), list[tuple[Outputs, Outputs]]()
    for pair in pairs:
        fitted = None if pair.previous is None else _run(grafted, pair.previous, None, pair.beside)[FITTED]
        outputs = _run(grafted, pair.image, fitted, pair.beside)
        found = _joined(found, _of_frame(outputs, pair.image, pair.previous, manifest))
        given = [outputs[FITTED], *([outputs[MOTION]] if has_motion(manifest) else [])]
        seen.append(({INPUT: np.concatenate(given, axis=1), **pair.beside}, outputs))
    return found, seen


def compare_maps(grafted: Engine, pairs: Iterable[FramePair]) -> GraftParity:
    """As `compare`, of motion maps alone, which every engine that prepares frames itself can be asked for.

    Its shift is taken to be the one whose map by the daemon is nearest.
    """
    manifest, found = grafted.manifest, GraftParity()
    for pair in pairs:
        (result,) = Stream(grafted, pair)()
        got = result.motion()
        if got is None:
            raise ValueError(f"{manifest.name}: has no motion map to compare")
        found = _joined(found, _of_map(got, *_normalised(pair.image, pair.previous, manifest), manifest.motion))
    return found


def made_up(manifest: Manifest) -> list[FramePair]:
    """Noise of other sizes than the input's: alone, moved by a pixel, and nearly dark; so are a memory's maps."""
    height, width = manifest.height * 3 // 2 + 1, manifest.width + 7
    random = np.random.default_rng(SEED)
    noise = random.integers(0, 256, (height, width, 3), np.uint8)
    memory = {name: random.random(shape, np.float32) for name, shape in memory_shapes(manifest, 1).items()}
    frames = [(noise, None), (np.roll(noise, 2, axis=1), noise), (noise // 64, noise // 32)]
    return [FramePair(image, previous, memory) for image, previous in frames]


def _run(grafted: Engine, image: Image, fitted: NDArray[Any] | None, memory: MemoryInputs) -> Outputs:
    inputs: dict[str, NDArray[Any]] = {FRAME: image[None], **memory}
    if has_motion(manifest := grafted.manifest):
        blank = np.zeros((1, 3, manifest.height, manifest.width), np.float32)
        inputs[PREVIOUS] = blank if fitted is None else fitted
    return grafted.infer(inputs)


def _of_frame(outputs: Outputs, image: Image, previous: Image | None, manifest: Manifest) -> GraftParity:
    current = detector.normalise(image, manifest)
    pixels = _distance(outputs[FITTED][0].transpose(1, 2, 0), current)
    if not has_motion(manifest):
        return GraftParity(1, pixels)
    before, _ = _normalised(image, previous, manifest)
    got, chosen = outputs[MOTION][0].transpose(1, 2, 0), int(outputs[SHIFT][0])
    return replace(_of_map(got, before, current, manifest.motion, chosen), pixels=pixels)


def _normalised(image: Image, previous: Image | None, manifest: Manifest) -> tuple[Normalised, Normalised]:
    """The previous frame, zeros where there is none, and the current one, for the motion map."""
    current = detector.normalise(image, manifest)
    return np.zeros_like(current) if previous is None else detector.normalise(previous, manifest), current


def _of_map(
    got: NDArray[Any], before: Normalised, current: Normalised, motion: MotionSettings, chosen: int | None = None
) -> GraftParity:
    """One frame's map (h, w, 3) against the daemon's; `chosen`: its shift where that is known."""
    expected, shift = motion_map.motion_map(before, current, motion)
    away = _distance(got, expected)
    if chosen == shift or (chosen is None and away <= TOLERANCE):
        return GraftParity(1, 0.0, away)
    if not (motion.shifts and motion.kind in ("ssim", "dsim")):
        wrong = int(chosen is not None)
        return GraftParity(1, 0.0, away, wrong, wrong)
    if chosen is None:
        others = {index: _distance(got, _map_of(before, current, index, motion)) for index in range(len(SHIFTS))}
        chosen = min(others, key=others.__getitem__)
    if not 0 <= chosen < len(SHIFTS):
        return GraftParity(1, 0.0, away, 1, 1)
    worse = not shortfall(before, current, chosen, shift) <= EQUAL
    away = _distance(got, _map_of(before, current, chosen, motion))
    return GraftParity(1, 0.0, away, int(chosen != shift), int(worse))


def _map_of(before: Normalised, current: Normalised, shift: int, motion: MotionSettings) -> Normalised:
    """The daemon's map of that shift."""
    return motion_map.motion_map(before, _moved(current, shift), replace(motion, shifts=False))[0]


def shortfall(before: NDArray[np.float32], current: NDArray[np.float32], chosen: int, best: int) -> float:
    """How much less mean SSIM the chosen of SHIFTS has than the best; frames (h, w, 3) normalised."""
    chosen_score, best_score = (_score(before, _moved(current, shift)) for shift in (chosen, best))
    return best_score - chosen_score


def _moved(frame: NDArray[np.float32], shift: int) -> NDArray[np.float32]:
    """A frame (h, w, 3) moved by one of SHIFTS, borders mirrored as the motion map does it."""
    (dy, dx), (height, width) = SHIFTS[shift], frame.shape[:2]
    mirrored = cv2.copyMakeBorder(frame, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    return np.asarray(mirrored[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width], np.float32)


def _score(before: NDArray[np.float32], moved: NDArray[np.float32]) -> float:
    """The mean SSIM by which shifts are chosen."""
    similarity, _ = motion_map.motion_map(before, moved, MotionSettings("ssim", shifts=False))
    return float(similarity[MARGIN:-MARGIN, MARGIN:-MARGIN].mean(dtype=np.float64))


def _distance(got: NDArray[Any], expected: Normalised) -> float:
    return float(np.abs(got - expected).max())


def _joined(one: GraftParity, other: GraftParity) -> GraftParity:
    return GraftParity(
        one.frames + other.frames,
        float(np.maximum(one.pixels, other.pixels)),  # which keeps nan
        float(np.maximum(one.maps, other.maps)),
        one.shifts + other.shifts,
        one.worse + other.worse,
    )
