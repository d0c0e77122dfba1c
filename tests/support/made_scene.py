"""A made scene: six videos of four classes, the last without ground truth, with all that protocols quarrel about."""

import numpy as np
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, Tube, in_video, joined
from train.evaluation.report import SplitResult

VIDEOS, CLASSES, FRAMES = 6, 4, 30
WIDTH, HEIGHT = 320, 240


def made_scene(seed: int) -> SplitResult:
    """Jittered truth: misplaced, misnamed, mistimed, doubled and overlapping boxes and tubes; no equal scores."""
    random = np.random.default_rng(seed)
    found: list[FrameBoxes] = []
    truth: list[FrameBoxes] = []
    tubes: list[Tube] = []
    true: list[Tube] = []
    for video in range(VIDEOS):
        label = video % (CLASSES - 1)  # one class a video, as UCF101-24 has it
        for _ in range(2):
            first = int(random.integers(8))
            length = int(random.integers(12, FRAMES - first))
            corner, side = random.integers(0, 180, 2), random.integers(30, 60, 2)
            walk = corner + np.arange(length)[:, None] * random.integers(0, 3, 2)
            boxes = np.hstack([walk, walk + side]).astype(np.float32)
            true.append(Tube(video, label, 1.0, first, boxes))
            truth.append(rows(video, first, boxes, label, np.ones(length)))
            for _ in range(3):
                named = label if random.random() < 0.8 else int(random.integers(CLASSES))
                seen = inside(boxes + random.normal(0, 2.5, (1, 4)) + random.normal(0, 1.5, (length, 4)))
                cut = slice(int(random.integers(0, 3)), length - int(random.integers(0, 3)))
                tubes.append(Tube(video, named, float(np.float32(random.random())), first + cut.start, seen[cut]))
                shown = random.random(length) < 0.8
                table = rows(video, first, seen, named, random.random(length))
                found.append(table.where(shown))
        corners = random.uniform(0, 200, (25, 2))
        noise = inside(np.hstack([corners, corners + random.uniform(20, 80, (25, 2))]))
        scattered = rows(video, 0, noise, 0, random.random(25))
        frames, labels = random.integers(0, FRAMES, 25), random.integers(0, CLASSES, 25)
        found.append(FrameBoxes(in_video(np.int64(video), frames), labels, scattered.boxes, scattered.scores))
        tubes.append(Tube(video, int(random.integers(CLASSES)), float(np.float32(random.random())), 2, noise[:1]))
    return SplitResult(joined(found), None, joined(truth), tuple(tubes), tuple(true))


def rows(video: int, first: int, boxes: NDArray[np.float32], label: int, scores: NDArray[np.floating]) -> FrameBoxes:
    frames = in_video(np.int64(video), np.arange(first, first + len(boxes)))
    return FrameBoxes(frames, np.full(len(boxes), label, np.int64), boxes, scores.astype(np.float32))


def inside(boxes: NDArray[np.floating]) -> NDArray[np.float32]:
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:]) + 1
    return np.clip(np.hstack([low, high]), 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
