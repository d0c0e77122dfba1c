"""`korsal-train second-look`: tighter boxes for a trained detector, by a second look at each. Shell."""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from edge.cameras.video_file import CaptureError
from edge.manifest import LITE, Manifest
from edge.terminal import progress
from edge.terminal.arguments import Parser, whole_number
from train import checkpoint as checkpoints
from train import run_samples, second_look_training, trained_on
from train.batches import BatchError, loaded
from train.checkpoint import Checkpoint, CheckpointError
from train.datasets.annotation_records import AnnotationError
from train.datasets.packed_video import FrameError
from train.networks.lite import LiteDetector
from train.networks.movinet_weights import MovinetError
from train.networks.second_look import PREFIX, SecondLook
from train.output_paths import OutputPathError
from train.samples import TrainingSet, ValidationFrames
from train.second_look_training import BATCH, BoxedSamples
from train.trained_on import TrainedOn
from train.training_step import TrainingError

ERRORS = (
    AnnotationError,
    BatchError,
    CaptureError,
    CheckpointError,
    FrameError,
    MovinetError,
    OutputPathError,
    TrainingError,
)
SAMPLES = 12_000
CLOSE = 0.75


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    options = parser().parse_args(arguments)
    progress.enable(not options.no_progress)
    try:
        trained_on.check_output(options.checkpoint, options.out)
        saved = checkpoints.load(options.checkpoint)
        network = learnt(saved, options.cache, options.samples, options.seed, options.data)
        checkpoints.save(replace(saved, weights=network.state_dict(), progress={}), options.out)
    except ERRORS as error:
        print(f"korsal-train: {error}", file=sys.stderr)
        return 1
    print(f"{progress.file_summary(options.out)}: learnt from {options.samples} samples")
    print(progress.next_step("korsal-convert", "export", options.out, "-o", options.out.with_suffix(".onnx")))
    return 0


def learnt(saved: Checkpoint, cache: Path, samples: int, seed: int, data_sets: Sequence[str] = ()) -> LiteDetector:
    """The detector of a checkpoint with a second look, learnt from the data that it was trained on. Raises ERRORS.

    Says by how much boxes in the videos that are held out are tighter.
    """
    if saved.manifest.architecture != LITE:
        raise CheckpointError(f"{saved.title}: only --arch {LITE} has a second look at its boxes")
    memory = saved.manifest.memory
    weights = {name: value for name, value in saved.weights.items() if not name.startswith(PREFIX)}
    network = checkpoints.detector(replace(saved, weights=weights))  # it refuses before minutes of decoding
    assert isinstance(network, LiteDetector)
    trained = trained_on.load(saved, cache, data_sets, answers=memory is not None and bool(memory.answers))
    look = _learnt(network, _samples(trained, saved.manifest, samples, seed), seed)
    stride, packed = trained.settings.validation_stride, trained.packed
    for part in run_samples.validated(trained.data, stride, packed, saved.manifest, trained.memory):
        assert isinstance(part.frames, ValidationFrames)
        before, after = second_look_training.tightness(network, look, part.frames)
        if len(before):
            progress.print_line(f"{part.title}: boxes {_tight(after)}, before {_tight(before)}")
    network.second_look = look
    return network


def _samples(trained: TrainedOn, manifest: Manifest, count: int, seed: int) -> BoxedSamples:
    """As many of each data set that annotates actions, for each draws its boxes in its own way."""
    parts = trained.data.parts
    alike = tuple(float(bool(part.labels)) for part in parts) if len(parts) > 1 else ()
    settings = replace(trained.settings, samples=count, seed=seed, shares=alike)
    videos = [part.training for part in parts]
    learned = run_samples.learned(videos, trained.packed, manifest, settings, trained.memory)
    assert isinstance(learned, TrainingSet)
    return BoxedSamples(learned)


def _tight(overlaps: Tensor) -> str:
    mean, close = overlaps.mean(), (overlaps > CLOSE).float().mean()
    return f"overlap the true ones by {100 * mean:.1f} %, {100 * close:.1f} % of them by more than {CLOSE:g}"


def _learnt(network: LiteDetector, samples: BoxedSamples, seed: int) -> SecondLook:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        look = SecondLook(network.looked_at, len(samples.samples.manifest.labels))
        count = math.ceil(len(samples) / BATCH)
        batches = loaded(samples, range(len(samples)), BATCH, 0)
        second_look_training.learn(network, look, progress.track(batches, "learning", "step", count), count)
    return look


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = Parser(
        prog="korsal-train second-look",
        description="Learn a second look at the boxes of a trained detector, which makes them tighter; nothing else "
        "changes. The data are those that it was trained on.",
    )
    trained_on.add_options(made, "best.pt of a run, or what korsal-train classifier wrote")
    made.add_argument("--samples", type=whole_number(1), default=SAMPLES, help="frames to learn from; %(default)s")
    return made
