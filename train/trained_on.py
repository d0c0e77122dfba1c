"""What a checkpoint was trained on: the same data sets, as they were split, and the maps of its memory. Shell."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edge.memory_network import MemoryNetwork
from edge.terminal import progress
from edge.terminal.arguments import path_as_text, whole_number
from train import memory_engine, memory_features, memory_weights, output_paths, train_settings, training_data
from train.checkpoint import Checkpoint, CheckpointError
from train.datasets.packed_video import PackedVideo
from train.memory_features import MemoryVideos
from train.output_paths import OutputPathError
from train.train_settings import LARGEST_SEED, TrainSettings
from train.training_data import TrainingData

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class TrainedOn:
    """`network`: the memory whose maps the detector takes, if it takes any; `memory`: these, of each video."""

    settings: TrainSettings
    data: TrainingData
    packed: Mapping[str, PackedVideo]
    network: MemoryNetwork | None
    memory: MemoryVideos


def load(saved: Checkpoint, cache: Path, data_sets: Sequence[str] = (), answers: bool = False) -> TrainedOn:
    """Of a checkpoint that was read from a file; `answers`: with what the memory's network itself answers.

    `data_sets`: where they lie now, if not where they were. Raises AnnotationError, CaptureError, CheckpointError,
    FrameError, MovinetError, TrainingError.
    """
    settings = settings_of(saved)
    if settings.architecture != saved.manifest.architecture:
        raise CheckpointError(
            f"{saved.title}: was trained as {settings.architecture}, and its manifest says "
            f"{saved.manifest.architecture}; give a checkpoint as korsal-train wrote it"
        )
    settings = replace(settings, data=tuple(data_sets) or settings.data)
    data, remembers = training_data.load(settings), saved.manifest.memory
    weights = memory_engine.weights_path(saved)
    watcher = memory_features.watcher(weights) if remembers is not None else None
    network = watcher.memory if watcher else None
    if data.labels != saved.manifest.labels or network != (remembers.as_trained() if remembers else None):
        changed = "labels" if data.labels != saved.manifest.labels else "weights of its memory"
        raise CheckpointError(
            f"{saved.title}: was trained with other {changed} than {data.title} has now; train it again"
        )
    step = memory_weights.load_step(weights, answers=True) if network is not None and answers else None
    data, packed = training_data.with_frames(data, cache)
    memory = watcher.maps(packed, CPU) if watcher else memory_features.NO_MEMORY
    if network is not None and step is not None:
        network, memory = replace(network, answers=step.answers), memory_features.with_answers(step, memory)
    return TrainedOn(settings, data, packed, network, memory)


def add_options(parser: argparse.ArgumentParser, checkpoint: str) -> None:
    """Add what all commands take that learn something more for a trained detector; `checkpoint`: which ones to give."""
    add = parser.add_argument
    add("checkpoint", type=Path, help=checkpoint)
    add("--data", type=path_as_text, nargs="+", default=(), help="its data sets, where they have moved since")
    add("-o", "--out", type=Path, required=True, help="the checkpoint to write")
    add("--cache", type=Path, default=Path("runs/cache"), help="of the run: decoded frames and maps; %(default)s")
    add("--seed", type=whole_number(0, LARGEST_SEED), default=0, help="of what is drawn while it learns; %(default)s")
    progress.add_option(parser)


def check_output(checkpoint: Path, out: Path) -> None:
    """Before the work: OutputPathError where no checkpoint can be written, or in the place of the one that was given.

    That one is what a run is resumed with, or begun again with.
    """
    output_paths.check(out, "-o", ".pt")
    if out.exists() and checkpoint.exists() and out.samefile(checkpoint):
        raise OutputPathError(f"{out}: is the checkpoint to add to, which stays as it is; give -o another name")


def settings_of(saved: Checkpoint) -> TrainSettings:
    """How it was trained. Raises CheckpointError."""
    try:
        return train_settings.from_saved(saved.settings)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{saved.title}: does not say how it was trained ({error}); train it again") from error
