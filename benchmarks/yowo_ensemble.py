"""Detections of two models as those of one: what they agree on is what counts, before anything is linked.

    python -m benchmarks.yowo_ensemble ONE.npz OTHER.npz -o BOTH.npz

Files are those of `korsal-evaluate detect`, of the same videos and actions. Boxes of one action that overlap by half
are one, with the mean of both scores; what only one of them has found counts half.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import boxes as box_ops
from train.evaluation import detection_file
from train.evaluation.detection_file import SavedDetections

SAME = 0.5  # IoU from which on two boxes are one

Rows = NDArray[np.int64]


def mixed(one: SavedDetections, other: SavedDetections) -> SavedDetections:
    """Both, in the order of videos and frames. ValueError where they are of other videos or actions."""
    if (one.video_names, one.label_names) != (other.video_names, other.label_names):
        raise ValueError("are of other videos or actions; detect in the same ones")
    assert one.class_scores is not None
    assert other.class_scores is not None
    pairs = [np.zeros((2, 0), np.int64), *_pairs(one, other)]
    first, second = np.concatenate(pairs, axis=1)
    left = [np.setdiff1d(np.arange(len(x.scores)), used) for x, used in ((one, first), (other, second))]
    weight = (one.scores[first] / np.maximum(one.scores[first] + other.scores[second], 1e-9))[:, None]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name)[first], getattr(one, name)[left[0]], getattr(other, name)[left[1]]])
        for name in ("video", "frames", "labels")
    }
    joined = weight * one.boxes[first] + (1 - weight) * other.boxes[second]
    columns["boxes"] = np.concatenate([joined, one.boxes[left[0]], other.boxes[left[1]]]).astype(np.float32)
    means = (one.class_scores[first] + other.class_scores[second]) / 2
    alone = [x.class_scores[rows] / 2 for x, rows in zip((one, other), left, strict=True) if x.class_scores is not None]
    columns["class_scores"] = np.concatenate([means, *alone]).astype(np.float32)
    columns["scores"] = columns["class_scores"][np.arange(len(columns["labels"])), columns["labels"]]
    order = np.lexsort((-columns["scores"], columns["frames"], columns["video"]))
    return replace(one, **{name: value[order] for name, value in columns.items()})


def _pairs(one: SavedDetections, other: SavedDetections) -> Iterator[Rows]:
    """(2, N) rows that are of one box, place by place; the strongest of `one` chooses first."""
    theirs = _places(other)
    for place, rows in _places(one).items():
        there = theirs.get(place)
        if there is None:
            continue
        overlaps = box_ops.iou(one.boxes[rows], other.boxes[there])
        for row in np.argsort(-one.scores[rows], kind="stable"):
            best = int(overlaps[row].argmax())
            if overlaps[row, best] >= SAME:
                yield np.array([[rows[row]], [there[best]]], np.int64)
                overlaps[:, best] = 0


def _places(found: SavedDetections) -> dict[tuple[int, int, int], Rows]:
    """Rows by video, frame and action."""
    keys = np.stack([found.video, found.frames, found.labels], axis=1)
    known, inverse = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse.ravel(), minlength=len(known)))[:-1])
    named = [(int(video), int(frame), int(label)) for video, frame, label in known]
    return dict(zip(named, parts, strict=True)) if named else {}


def main() -> None:
    """Write what both have found."""
    parser = argparse.ArgumentParser(description="Mixes the detections of two models.")
    parser.add_argument("files", type=Path, nargs=2, help="of korsal-evaluate detect")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz file to write")
    options = parser.parse_args()
    both = mixed(*(detection_file.load(path, dense=True) for path in options.files))
    detection_file.save(both, options.output)
    print(f"{options.output}: {len(both.scores)} boxes; score it with korsal-evaluate link and score")


if __name__ == "__main__":
    main()
