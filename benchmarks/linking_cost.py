"""What one step of a linker costs, and the assignment in it: milliseconds of processor time, the median.

    python -m benchmarks.linking_cost

People walk on, are 40 pixels wide and are detected once a frame, as one of 24 classes; apart from each other, or so
close that boxes of neighbours overlap by up to 0.5. The assignment of tubes to detections is compared with SciPy's.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from edge import linker as linkers
from edge.assignment import assign
from edge.boxes import iou
from edge.default_linker import DefaultLinker, LinkerSettings
from edge.detector import Detections
from edge.korsal_linker import KorsalLinker
from edge.linker import Linker
from edge.motion_gap import REFERENCE_RATE

CLASSES = 24
FRAMES, WARM_UP = 400, 200  # an idle processor is slow at first
REPEATS = 20  # of an assignment, which is too short for the clock


def crowd(people: int, frame: int, stride: float) -> Detections:
    """So many people 40 wide in a square, `stride` pixels apart, somewhat further to the right in each frame."""
    random = np.random.default_rng(frame)
    across = int(np.ceil(np.sqrt(people)))
    place = np.stack(np.divmod(np.arange(people), across)[::-1], axis=1) * stride + np.array([frame / 2, 0])
    corners = place + random.normal(0, 1, (people, 2))
    class_scores = random.uniform(0.01, 0.06, (people, CLASSES)).astype(np.float32)
    class_scores[np.arange(people), np.arange(people) % CLASSES] = random.uniform(0.5, 0.9, people)
    order = np.argsort(-class_scores.max(axis=1))
    boxes = np.hstack([corners, corners + np.array([40, 50])]).astype(np.float32)[order]
    dense = class_scores[order]
    return Detections(boxes, dense.max(axis=1), dense.argmax(axis=1), dense)


def cost(linker: Linker, people: int, stride: float) -> tuple[float, int]:
    """Milliseconds a step, and how many tubes live in the last."""
    state, times = linkers.initial(), []
    for frame in range(FRAMES):
        found = crowd(people, frame, stride)
        begin = time.process_time()
        state, boxes = linker.step(state, found, frame / REFERENCE_RATE)
        times.append(time.process_time() - begin)
    return 1000 * median(times[WARM_UP:]), len(boxes)


def assignment_cost(solve: Callable[[NDArray[np.float32]], object], people: int, stride: float) -> float:
    """Milliseconds to assign the boxes of one frame to those of the frame before, by their overlaps of at least 0.1."""
    times = []
    for frame in range(FRAMES):
        overlaps = iou(crowd(people, frame, stride).boxes, crowd(people, frame + 1, stride).boxes)
        overlaps[overlaps < LinkerSettings.match_iou] = 0
        begin = time.process_time()
        for _ in range(REPEATS):
            solve(overlaps)
        times.append((time.process_time() - begin) / REPEATS)
    return 1000 * median(times[WARM_UP:])


def scipy_assign(gains: NDArray[np.float32]) -> list[tuple[int, int]]:
    """As `assign`, by SciPy, which is too large for a device."""
    rows, columns = linear_sum_assignment(gains, maximize=True)
    kept = gains[rows, columns] > 0
    return list(zip(rows[kept].tolist(), columns[kept].tolist(), strict=True))


def main() -> None:
    """Print the tables."""
    for name, linker in (("default", DefaultLinker(LinkerSettings(max_people=128))), ("korsal", KorsalLinker())):
        for people, stride in ((10, 65.0), (100, 65.0), (100, 16.0)):
            spent, live = cost(linker, people, stride)
            print(f"{name:>8} {live:4d} live tubes {stride:3.0f} pixels apart {spent:7.3f} ms")
    for people, stride in ((10, 65.0), (64, 65.0), (64, 16.0)):
        ours, others = (assignment_cost(solve, people, stride) for solve in (assign, scipy_assign))
        print(f"assignment of {people:2d} people {stride:3.0f} pixels apart {ours:7.3f} ms, SciPy {others:7.3f} ms")


if __name__ == "__main__":
    main()
