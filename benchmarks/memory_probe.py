"""What MoViNet's frozen features tell of actions, learnt by a small network on training videos, tried on held-out ones.

python -m benchmarks.memory_probe DATA FOLDER [--features whole person] [--hidden 128] [--seeds 0 1 2] [--videos], with
what `benchmarks.memory_features` wrote to FOLDER. Prints, by class, the average precision over the frames of the
validation videos of "this action is on now"; with --videos the share of videos whose class is found, each fifth of the
groups of J-HMDB (clips of one film) held out in turn.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from train.datasets.annotation_records import VideoAnnotation, at
from train.datasets.loader import load
from train.datasets.split_lists import group_of, held_out

EVALUATED = 4  # frames whose number it divides
PARTS = 5  # of the groups
BATCH, EPOCHS, RATE = 256, 30, 1e-3
VIDEO_BATCH, VIDEO_EPOCHS = 64, 60


@dataclass(frozen=True, eq=False)
class Examples:
    """Features (n, C) and, of each, whether each action is on, (n, labels), its frame and its video's class."""

    features: NDArray[np.float32]
    on: NDArray[np.float32]
    frames: NDArray[np.int64]
    classes: NDArray[np.int64]


def main() -> None:
    """Print one line per seed, and their mean."""
    parser = argparse.ArgumentParser(description="Learns from MoViNet's features whether an action is on.")
    parser.add_argument("data", type=Path, help="UCF101-24 or J-HMDB-21")
    parser.add_argument("folder", type=Path, help="what benchmarks.memory_features wrote")
    parser.add_argument("--features", nargs="+", choices=("whole", "person"), default=("whole", "person"))
    parser.add_argument("--hidden", type=int, default=128, help="units of the hidden layer; 0: none")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--videos", action="store_true", help="classify videos, named as in J-HMDB")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load(options.data)
    examples = {video.name: _examples(options, video, len(data.labels)) for video in data.train}
    if options.videos:
        shares = [_video_accuracy(data.train, examples, options.hidden, seed) for seed in options.seeds]
        print(f"videos of the right class: {np.mean(shares):.1f} % ({', '.join(f'{share:.1f}' for share in shares)})")
        return
    print(" ".join(f"{name:>14}" for name in (*data.labels, "mean")))
    training, validation = (joined([examples[video.name] for video in part]) for part in held_out(data.train))
    rows = [_frame_precision(training, validation, options.hidden, seed) for seed in options.seeds]
    for row in (*rows, np.mean(rows, axis=0)):
        print(" ".join(f"{100 * value:14.1f}" for value in (*row, np.mean(row))))


def _examples(options: argparse.Namespace, video: VideoAnnotation, labels: int) -> Examples:
    """The annotated frames of a video."""
    with np.load(options.folder / f"{video.name}.npz") as found:
        known = found["frames"] < video.frames
        frames, features = found["frames"][known], np.hstack([found[part][known] for part in options.features])
    on = np.zeros((len(frames), labels), np.float32)
    for row, frame in enumerate(frames.tolist()):
        on[row, at(video, frame)[1]] = 1
    return Examples(features.astype(np.float32), on, frames, np.full(len(frames), video.tubes[0].label))


def joined(parts: Sequence[Examples]) -> Examples:
    """All of several videos' examples."""
    columns = ((one.features, one.on, one.frames, one.classes) for one in parts)
    return Examples(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def average_precision(scores: NDArray[np.float32], on: NDArray[np.float32]) -> float:
    """The mean, over the frames where the action is on, of the precision down to their score; nan where none is."""
    hits = on[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum()) if hits.sum() else float("nan")


def _frame_precision(training: Examples, validation: Examples, hidden: int, seed: int) -> list[float]:
    """Of each action, over the frames of all validation videos."""
    chosen = validation.frames % EVALUATED == 0
    target = torch.from_numpy(training.on)
    scores = learnt(training.features, target, validation.features[chosen], hidden, seed, BATCH, EPOCHS)
    on = validation.on[chosen]
    return [average_precision(scores[:, label], on[:, label]) for label in range(on.shape[1])]


def _video_accuracy(videos: Sequence[VideoAnnotation], examples: dict[str, Examples], hidden: int, seed: int) -> float:
    """Percent of the videos, each judged by what was learnt from other groups."""
    groups = sorted({group_of(video.name) for video in videos})
    part = np.array([groups.index(group_of(video.name)) % PARTS for video in videos])
    features = np.stack([examples[video.name].features.mean(axis=0) for video in videos])
    classes = np.array([video.tubes[0].label for video in videos])
    right = 0
    for held in range(PARTS):
        target = torch.from_numpy(classes[part != held])
        unseen = part == held
        scores = learnt(features[~unseen], target, features[unseen], hidden, seed, VIDEO_BATCH, VIDEO_EPOCHS)
        right += int((scores.argmax(axis=1) == classes[unseen]).sum())
    return 100 * right / len(videos)


def learnt(
    features: NDArray[np.float32],
    target: Tensor,
    unseen: NDArray[np.float32],
    hidden: int,
    seed: int,
    batch: int,
    epochs: int,
) -> NDArray[np.float32]:
    """The scores of unseen examples; `target` is a class each, or several that are on or off."""
    torch.manual_seed(seed)
    mean, std = features.mean(axis=0), features.std(axis=0) + 1e-3
    known, asked = (torch.from_numpy((one - mean) / std) for one in (features, unseen))
    outputs = target.shape[1] if target.ndim > 1 else int(target.max()) + 1
    network = _network(known.shape[1], hidden, outputs)
    loss = F.binary_cross_entropy_with_logits if target.ndim > 1 else F.cross_entropy
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    steps = epochs * (len(known) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
    for _ in range(epochs):
        for chosen in torch.randperm(len(known))[: len(known) // batch * batch].split(batch):
            optimizer.zero_grad()
            loss(network(known[chosen]), target[chosen]).backward()
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        scores: NDArray[np.float32] = network.eval()(asked).numpy()
    return scores


def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    if not hidden:
        return nn.Sequential(nn.Dropout(0.25), nn.Linear(inputs, outputs))
    return nn.Sequential(
        nn.Dropout(0.25), nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, outputs)
    )


if __name__ == "__main__":
    main()
