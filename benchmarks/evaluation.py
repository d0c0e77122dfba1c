"""Measures the time and memory that scoring all test videos of UCF101-24 from saved files takes.

    python -m benchmarks.evaluation shared/data/ucf24/pyannot.pkl [--protocol plain] [--boxes 30] [--seed 0]

Detections are the ground truth, jittered and partly of wrong classes, filled up with false positives to `--boxes` a
frame; tubes are the true ones, jittered and cut, and twenty false ones a video. Both are written as `korsal-evaluate
detect` and `link` write them, then a process of its own reads and scores them: frame-mAP at 0.5, video-mAP at all
eleven overlaps, errors, confusion.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from train.box_tables import Tube
from train.datasets import loader
from train.datasets.annotation_records import DataSet, VideoAnnotation, at
from train.evaluation import detection_file, scoring, tube_file
from train.evaluation.detection_file import SavedDetections
from train.evaluation.protocols import PROTOCOLS
from train.evaluation.scoring import ScoreOptions
from train.evaluation.tube_file import SavedTube, SavedTubes

WIDTH, HEIGHT = 320, 240
FALSE_TUBES = 20  # a video


def main() -> None:
    """Make the files, have a fresh process score them, print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of UCF101-24, or pyannot.pkl alone")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="plain")
    parser.add_argument("--boxes", type=int, default=30, help="detections a frame")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=Path, help="score the files in this folder; made there if missing")
    parser.add_argument("--score", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.score:
        _score(options.data, options.files, options.protocol)
        return
    with tempfile.TemporaryDirectory() as temporary:
        files = options.files or Path(temporary)
        if not (files / "detections.npz").exists():
            _make(loader.load(options.data), files, options.boxes, options.seed)
        words = [str(options.data), "--protocol", options.protocol, "--files", str(files), "--score"]
        subprocess.run([sys.executable, "-m", "benchmarks.evaluation", *words], check=True)


def _score(data: Path, files: Path, protocol: str) -> None:
    begin, processor = time.perf_counter(), time.process_time()
    options = ScoreOptions(data, (files / "detections.npz",), (files / "tubes.npz",), PROTOCOLS[protocol])
    (one,) = scoring.score(options)
    wall, cpu = time.perf_counter() - begin, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    video = ", ".join(f"{key}: {100 * value:.2f}" for key, value in one.report.video_map.items())
    print(f"{one.videos} videos, protocol {protocol}: frame-mAP {100 * one.report.frame_map:.2f}, video-mAP {video}")
    print(f"{wall:.1f} s, {cpu:.1f} s of processor time, {peak:.2f} GiB at most")


def _make(data: DataSet, files: Path, boxes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    names = tuple(video.name for video in data.test)
    frames = sum(video.frames for video in data.test)
    found = [_detected(random, video, boxes, len(data.labels)) for video in data.test]
    counts = np.array([video.frames for video in data.test], dtype=np.int64)
    placed, labels, scores = (np.concatenate([one[place] for one in found]) for place in range(3))
    dense = np.zeros((len(labels), len(data.labels)), np.float32)
    dense[np.arange(len(labels)), labels] = scores
    saved = SavedDetections(
        names,
        data.labels,
        counts,
        np.tile(np.array([[WIDTH, HEIGHT]]), (len(names), 1)),
        np.repeat(np.arange(len(names)), counts * boxes),
        np.concatenate([np.repeat(np.arange(count), boxes) for count in counts]),
        placed,
        scores,
        labels,
        dense,
    )
    detection_file.save(saved, files / "detections.npz")
    tubes = [tube for place, video in enumerate(data.test) for tube in _linked(random, place, video, len(data.labels))]
    tube_file.save(SavedTubes(names, data.labels, tuple(tubes)), files / "tubes.npz")
    print(f"{len(names)} videos, {frames} frames, {len(scores)} detections, {len(tubes)} tubes")


def _detected(
    random: np.random.Generator, video: VideoAnnotation, boxes: int, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (frames * boxes, 4), labels and scores of one video, `boxes` for each frame."""
    corners = random.uniform(0, 200, (video.frames, boxes, 2))
    found = np.concatenate([corners, corners + random.uniform(15, 120, (video.frames, boxes, 2))], axis=2)
    labels = random.integers(0, classes, (video.frames, boxes))
    scores = random.random((video.frames, boxes)) ** 3
    for frame in range(video.frames):
        true, names = at(video, frame)
        count = min(len(true), boxes // 3)
        for copy in range(3):  # each person three times
            place = slice(copy * count, copy * count + count)
            sides = np.tile(true[:count, 2:] - true[:count, :2], 2)
            found[frame, place] = true[:count] + random.normal(0, 0.08, (count, 4)) * sides
            right = random.random(count) < 0.8
            labels[frame, place] = np.where(right, names[:count], labels[frame, place])
            scores[frame, place] = random.random(count)
    low, high = np.minimum(found[..., :2], found[..., 2:]), np.maximum(found[..., :2], found[..., 2:])
    kept = np.clip(np.concatenate([low, high], axis=2), 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    return kept.reshape(-1, 4), labels.ravel(), scores.ravel().astype(np.float32)


def _linked(random: np.random.Generator, place: int, video: VideoAnnotation, classes: int) -> list[SavedTube]:
    found = []
    for tube in video.tubes:
        sides = np.tile(tube.boxes[:, 2:] - tube.boxes[:, :2], 2)
        boxes = (tube.boxes + random.normal(0, 0.06, (1, 4)) * sides).astype(np.float32)
        begin, end = random.integers(0, len(boxes) // 4 + 1), len(boxes) - random.integers(0, len(boxes) // 4 + 1)
        cut = boxes[begin:end]
        found.append(Tube(place, tube.label, float(random.random()), tube.first_frame + int(begin), cut))
    for _ in range(FALSE_TUBES):
        first, length = int(random.integers(0, video.frames)), int(random.integers(8, 80))
        corner = random.uniform(0, 200, 2)
        box = np.concatenate([corner, corner + random.uniform(20, 100, 2)]).astype(np.float32)
        boxes = np.tile(box, (min(length, video.frames - first), 1))
        found.append(Tube(place, int(random.integers(classes)), float(random.random()) / 2, first, boxes))
    return [SavedTube(tube, np.full(len(tube.boxes), tube.score, np.float32)) for tube in found if len(tube.boxes)]


if __name__ == "__main__":
    main()
