"""Real frames for calibration, as the daemon shows them, with motion maps, memories, clips. Shell over video files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.watched_video import Beside, BesideInputs, watched
from edge import detector
from edge.cameras.video_file import decodable_frames, read_file
from edge.inference import Past, motion_step
from edge.manifest import INPUT, Manifest
from edge.motion_gap import recall
from edge.sources import VIDEO_SUFFIXES, redact
from edge.terminal import progress

MIN_FRAMES = 16  # frames; fewer do not show what values a network meets
DEFAULT_FRAMES = 128  # frames

Input = Mapping[str, NDArray[np.float32]]  # what a network takes of one frame or more, (B, ...) each, by name


@dataclass(frozen=True, eq=False)
class FramePair:
    """A frame (H, W, 3) BGR, and the one of its size that came a gap before, None where nothing did.

    `beside`: what the network reads beside that frame, once the video up to it has been seen.
    """

    image: NDArray[np.uint8]
    previous: NDArray[np.uint8] | None = None
    beside: BesideInputs = field(default_factory=dict)


class CalibrationError(Exception):
    """Calibration videos are missing, unreadable, or too short."""


def videos(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The videos among `paths` and in the folders among them, at any depth, by name. Raises CalibrationError."""
    if not paths:
        raise CalibrationError("--calibrate is missing; give it videos of what the cameras see, or folders of them")
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
        elif path.exists():
            found.append(path)
        else:
            shown = redact(str(path))
            raise CalibrationError(f"--calibrate {shown}: no such file or folder; give videos of what the cameras see")
    if not found:
        names = ", ".join(map(str, paths))
        raise CalibrationError(f"--calibrate {names}: holds no video ({' '.join(VIDEO_SUFFIXES)}); give some")
    return tuple(found)


def inputs(
    files: Sequence[Path], manifest: Manifest, count: int = DEFAULT_FRAMES, beside: Beside = None
) -> Iterator[Input]:
    """`frame_pairs` as network inputs."""
    return (network_input(pair, manifest) for pair in frame_pairs(files, manifest, count, beside))


def fitted_pairs(
    files: Sequence[Path], manifest: Manifest, count: int = DEFAULT_FRAMES, beside: Beside = None
) -> Iterator[FramePair]:
    """`frame_pairs` fitted to the network's input, so that many can be kept."""
    for pair in frame_pairs(files, manifest, count, beside):
        previous = None if pair.previous is None else detector.fit(pair.previous, manifest)
        yield replace(pair, image=detector.fit(pair.image, manifest), previous=previous)


def frame_pairs(
    files: Sequence[Path], manifest: Manifest, count: int = DEFAULT_FRAMES, beside: Beside = None
) -> Iterator[FramePair]:
    """`count` frames, evenly over the videos and over the time of each, with those they are compared with.

    `beside`, which a manifest with a memory or with clips needs, sees each video from its beginning. Fewer where the
    videos hold fewer frames. Raises CalibrationError below MIN_FRAMES, CaptureError, EngineError.
    """
    chosen = [files[i * len(files) // min(count, len(files))] for i in range(min(count, len(files)))]
    given = 0
    for i, file in enumerate(chosen):
        share = (i + 1) * count // len(chosen) - i * count // len(chosen)
        for pair in progress.track(_pairs(file, share, manifest, beside), f"frames of {file.name}", "frame", share):
            given += 1
            yield pair
    if given < MIN_FRAMES:
        raise CalibrationError(
            f"--calibrate: {given} frames in {len(files)} videos; give {MIN_FRAMES} at least, {DEFAULT_FRAMES} are good"
        )


def _pairs(file: Path, count: int, manifest: Manifest, beside: Beside) -> Iterator[FramePair]:
    """Of one video, or all if there are fewer, as the pipeline would compare them."""
    there = decodable_frames(file)
    wanted = {there[(2 * i + 1) * len(there) // (2 * count)] for i in range(count)}
    past: tuple[tuple[float, NDArray[np.uint8]], ...] = ()
    for frame, seen in watched(read_file(file, "calibration"), manifest, beside):
        known = recall(past, frame.monotonic_time, manifest.gap)
        if frame.index in wanted:
            before = known.previous
            alike = before is not None and before.shape == frame.image.shape
            yield FramePair(frame.image, before if alike else None, seen())
        past = (*known.kept, (frame.monotonic_time, frame.image))


def network_input(pair: FramePair, manifest: Manifest) -> Input:
    """What the network gets for a frame and the one that came a gap before, or where nothing came before."""
    past: Past = ()
    if pair.previous is not None:
        _, past = motion_step((), 0.0, detector.normalise(pair.previous, manifest), manifest.motion, manifest.gap)
    normalised = detector.normalise(pair.image, manifest)
    motion_map, _ = motion_step(past, manifest.gap.seconds, normalised, manifest.motion, manifest.gap)
    return {INPUT: detector.network_input(normalised, motion_map), **pair.beside}
