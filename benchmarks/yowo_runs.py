"""The trainings of the experiments on `yowo_lite`: what is left away in each, and what is kept of one that has ended.

A run that was interrupted goes on from its last.pt; of one that has ended best.pt, log.csv and curves.png stay.
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train import checkpoint as checkpoints
from train.networks.yowo.names import YOWO_LITE
from train.train import main as train

CURVE = 6  # validations in a run
LEARNING_RATE = "0.002"  # with AdamW: in so few steps SGD hardly begins


@dataclass(frozen=True)
class Budget:
    """What all runs share. `memory`: MoViNet's weights."""

    data: Path
    out: Path
    cache: Path
    memory: Path
    samples: int
    height: int
    width: int
    batch: int
    workers: int
    learning_rate: str = LEARNING_RATE


@dataclass(frozen=True)
class Run:
    """A training: what tables call it, and its options of korsal-train."""

    name: str
    title: str
    words: tuple[str, ...] = ()
    architecture: str = YOWO_LITE
    memory: bool = True  # in the clip's place


_NO_SQUEEZE = ("--no-squeeze",)
_NO_DROP = ("--drop-block", "0", *_NO_SQUEEZE)
_ONE_SCALE = ("--scales", "1", *_NO_DROP)
WHOLE = Run("whole", "+ squeeze-and-excitation: `yowo_lite`")
ABLATION = (
    Run("last_frame", "one scale, the key frame last", ("--no-key-anywhere", *_ONE_SCALE)),
    Run("key_anywhere", "+ key frame anywhere", _ONE_SCALE),
    Run("fusion", "+ secondary fusion, three scales", _NO_DROP),
    Run("drop_block", "+ DropBlock", _NO_SQUEEZE),
    WHOLE,
)
PLAIN = Run(  # learns fastest of these, so that what follows is of it
    "plain",
    "cross-entropy, three scales, neither DropBlock nor squeeze-and-excitation",
    ("--loss", "cross_entropy", *_NO_DROP),
)
RULES = (
    Run("cross_entropy", "plain cross-entropy instead of focal loss", ("--loss", "cross_entropy")),
    Run("yolov3_matching", "YOLOv3's matching instead of its own", ("--matching", "yolov3")),
    PLAIN,
)
CLIPS = Run(  # of as many frames a second as the memory sees
    "clips",
    "`yowo_lite` by cross-entropy, a clip of 8 frames anew",
    (*PLAIN.words, "--frames", "8", "--frame-step", "4", "--clip-every", "8"),
    memory=False,
)
LITE = Run("lite", "KORSAL's `lite`, motion map", architecture="lite", memory=False)
LITE_MEMORY = Run("lite_memory", "KORSAL's `lite`, motion map and memory", architecture="lite")
BESIDE = (LITE, LITE_MEMORY, CLIPS)  # one seed each, the longest last
OTHER_DATA = Run("other_data", "`yowo_lite` by cross-entropy, on the other data", PLAIN.words)


def folder_of(run: Run, seed: int, budget: Budget) -> Path:
    """Where its files are."""
    return budget.out / f"{run.name}-seed{seed}"


def words_of(run: Run, seed: int, budget: Budget) -> list[str]:
    """The command line of korsal-train; resumed where it was begun."""
    folder = folder_of(run, seed, budget)
    places = ["--out", folder, "--cache", budget.cache, "--workers", budget.workers]
    if (folder / "last.pt").exists():
        return [str(word) for word in [budget.data, *places, "--resume", "-q"]]
    size = ["--height", budget.height, "--width", budget.width, "--batch", budget.batch, "--seed", seed]
    long = ["--samples", budget.samples, "--validate-every", max(budget.samples // CURVE, 1)]
    seen = ["--memory", budget.memory] if run.memory else []
    how: list[Any] = []
    if run.architecture == YOWO_LITE:
        how = ["--arch", YOWO_LITE, "--optimizer", "adamw", "--learning-rate", budget.learning_rate]
        how += [] if run.memory else ["--clip-weights", budget.memory, "--release-3d", "1"]
    return [str(word) for word in [budget.data, *how, *seen, *size, *long, *run.words, *places, "-q"]]


def trained(run: Run, seed: int, budget: Budget) -> dict[str, Any]:
    """Train it, or go on with that; SystemExit where it fails or is stopped.

    Its figures: frame-mAP at 0.5 of the best validation, percent; `curve`, that of each by samples; and processor
    milliseconds a sample, validations included, of what was trained by this call.
    """
    folder = folder_of(run, seed, budget)
    before, begun = _seen(folder / "last.pt"), _processor_seconds()
    if train(words_of(run, seed, budget)):
        raise SystemExit(f"{folder}: stopped or failed, see above; the same command goes on")
    seen, used = _seen(folder / "last.pt") - before, _processor_seconds() - begun
    curve = [*_curve(folder / "log.csv")]
    price = 1000 * used / seen if seen else None
    return {"frame_map": max(score for _, score in curve), "curve": curve, "ms_a_sample": price}


def tidy(run: Run, seed: int, budget: Budget) -> None:
    """Remove what only going on with a run needs, four fifths of its files, once its result is kept."""
    (folder_of(run, seed, budget) / "last.pt").unlink(missing_ok=True)


def _seen(last: Path) -> int:
    return int(checkpoints.load(last).progress["samples"]) if last.exists() else 0


def _curve(log: Path) -> Iterator[tuple[int, float]]:
    with log.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["frame_map_50"]:
                yield int(row["samples"]), float(row["frame_map_50"])


def _processor_seconds() -> float:
    return sum(os.times()[:4])
