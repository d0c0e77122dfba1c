"""Times the motion map of a video as a stream against scikit-image's nine-shift search, alternately, in one run.

python benchmarks/motion.py [VIDEO] [--frames N] [--size WxH ...] [--processor-time]

Without VIDEO: a moving synthetic texture. Then the cost of each kind of motion map, in turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from edge.motion_map import SHIFTS, MotionSettings, Prepared, compare, prepare

Image = NDArray[Any]
MEAN = np.array([0.40789654, 0.44719302, 0.47026115], np.float32)
STD = np.array([0.28863828, 0.27408164, 0.27809835], np.float32)


def reference(previous: Image, current: Image) -> tuple[Image, int]:
    """The map and shift as KORSAL computes them: `cv2.filter2D` and scikit-image for each of nine shifts."""
    results = []
    for dy, dx in SHIFTS:
        kernel = np.zeros((3, 3), np.float32)
        kernel[1 + dy, 1 + dx] = 1
        shifted = cv2.filter2D(current, -1, kernel)
        data_range = shifted.max() - shifted.min()
        results.append(
            structural_similarity(  # type: ignore[no-untyped-call]
                previous, shifted, channel_axis=-1, data_range=data_range, full=True
            )
        )
    shift = max(range(len(results)), key=lambda index: results[index][0])
    return results[shift][1], shift


def video_frames(path: Path, width: int, height: int, count: int) -> Iterator[Image]:
    """The first frames of a video, stretched to the size and normalised."""
    capture = cv2.VideoCapture(str(path))
    for _ in range(count):
        read, image = capture.read()
        if not read:
            break
        yield (cv2.resize(image, (width, height)).astype(np.float32) / 255 - MEAN) / STD
    capture.release()


def synthetic_frames(width: int, height: int, count: int) -> Iterator[Image]:
    """A texture under a camera that drifts by one pixel each frame, with noise."""
    random = np.random.default_rng(0)
    texture = cv2.GaussianBlur(random.random((height + count, width + count, 3), np.float32), (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 1, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    for index in range(count):
        window = texture[index : index + height, index // 2 : index // 2 + width]
        noisy = window + 0.02 * random.standard_normal(window.shape, np.float32)
        yield (np.clip(noisy, 0, 1) - MEAN) / STD


def measure(frames: list[Image], clock: Callable[[], float]) -> tuple[list[float], list[float], float, int]:
    """Milliseconds of the reference and of ours for each pair, largest difference of the maps, and equal shifts."""
    settings, spare = MotionSettings(), None
    previous = prepare(frames[0])
    compare(previous, previous, settings)
    slow, fast, difference, equal = [], [], 0.0, 0
    for before, frame in pairwise(frames):
        start = clock()
        expected, shift = reference(before, frame)
        middle = clock()
        current = prepare(frame, spare)
        similarity, found = compare(previous, current, settings)
        end = clock()
        slow.append((middle - start) * 1000)
        fast.append((end - middle) * 1000)
        difference = max(difference, float(np.abs(similarity - expected).max()))
        equal += found == shift
        previous, spare = current, previous
    return slow, fast, difference, equal


KINDS = {
    "ssim": MotionSettings(),
    "ssim, no shifts": MotionSettings(shifts=False),
    "dsim": MotionSettings("dsim"),
    "flow": MotionSettings("flow"),
    "previous": MotionSettings("previous"),
}


def measure_kinds(frames: list[Image], clock: Callable[[], float]) -> dict[str, float]:
    """Median milliseconds per frame for each of KINDS, every frame going through all of them in turn."""
    taken: dict[str, list[float]] = {name: [] for name in KINDS}
    past: dict[str, tuple[Prepared, Prepared | None]] = {name: (prepare(frames[0]), None) for name in KINDS}
    for frame in frames[1:]:
        for name, settings in KINDS.items():
            previous, spare = past[name]
            start = clock()
            current = prepare(frame, spare)
            compare(previous, current, settings)
            taken[name].append((clock() - start) * 1000)
            past[name] = (current, previous)
    return {name: float(np.median(times)) for name, times in taken.items()}


def main() -> None:
    """Print one line per size, then one per kind and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", nargs="+", default=["256x256", "256x192"], metavar="WxH")
    parser.add_argument("--processor-time", action="store_true", help="instead of wall-clock time, for a busy machine")
    arguments = parser.parse_args()
    kinds: dict[str, dict[str, float]] = {}
    print("size      scikit-image ms   ours ms   p95 ms   ratio   same shift   largest difference")
    for size in arguments.size:
        width, height = (int(side) for side in size.split("x"))
        source = video_frames(arguments.video, width, height, arguments.frames) if arguments.video else None
        frames = list(source or synthetic_frames(width, height, arguments.frames))
        if len(frames) < 2:
            parser.error(f"{arguments.video} has fewer than two frames: give a video that OpenCV can read")
        clock = time.thread_time if arguments.processor_time else time.perf_counter
        slow, fast, difference, equal = measure(frames, clock)
        kinds[size] = measure_kinds(frames, clock)
        reference_ms, ours = float(np.median(slow)), float(np.median(fast))
        print(
            f"{size:9} {reference_ms:15.1f} {ours:9.2f} {np.percentile(fast, 95):8.2f} {reference_ms / ours:7.1f}"
            f"   {equal:4} of {len(fast):<4} {difference:12.1e}"
        )
    print("kind            " + "".join(f"{size:>10} ms" for size in kinds))
    for name in KINDS:
        print(f"{name:16}" + "".join(f"{found[name]:13.2f}" for found in kinds.values()))


if __name__ == "__main__":
    main()
