"""`korsal-train classifier`: what a trained detector's memory alone tells of the action, learnt and added. Shell."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from edge.cameras.video_file import CaptureError
from edge.manifest import LITE
from edge.terminal import progress
from edge.terminal.arguments import Parser, number
from train import checkpoint as checkpoints
from train import (
    classifier_examples,
    classifier_training,
    run_samples,
    trained_on,
    validation,
)
from train.batches import HostBatches
from train.checkpoint import Checkpoint, CheckpointError
from train.classifier_examples import ActionGroup, ClassifierExamples
from train.datasets.annotation_records import AnnotationError
from train.datasets.packed_video import FrameError
from train.networks import second_look
from train.networks.lite import LiteDetector
from train.networks.memory_classifier import PREFIX, MemoryClassifier
from train.networks.movinet_weights import MovinetError
from train.output_paths import OutputPathError
from train.training_step import TrainingError
from train.validation import PartScore, ValidationPart

ERRORS = (AnnotationError, CaptureError, CheckpointError, FrameError, MovinetError, OutputPathError, TrainingError)
GAINS = (0.0, 0.5, 1.0)  # of which one is chosen; what lies between scores alike
USUAL_GAIN = 0.5  # where nothing is held out to choose by
LARGEST_GAIN = 10.0  # beyond it one probability decides alone


@dataclass(frozen=True, eq=False)
class ClassifierRun:
    """A detector, what its classifier learns from, and what is held out."""

    saved: Checkpoint
    groups: tuple[ActionGroup, ...]
    examples: ClassifierExamples
    validation: tuple[ValidationPart, ...]


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    options = parser().parse_args(arguments)
    progress.enable(not options.no_progress)
    try:
        trained_on.check_output(options.checkpoint, options.out)
        given = _gain_of(options.gain_of, checkpoints.load(options.checkpoint)) if options.gain_of else None
        run = prepare(options.checkpoint, options.cache, options.seed, options.data)
        network, classifier = _learnt(run, options.seed)
        if given is not None:
            classifier.gain.copy_(given)
        elif options.gain is not None or not any(len(part.frames) for part in run.validation):
            classifier.gain.fill_(USUAL_GAIN if options.gain is None else options.gain)
        else:
            choose_gains(network, classifier, run)
        checkpoints.save(replace(run.saved, weights=network.state_dict(), progress={}), options.out)
    except ERRORS as error:
        print(f"korsal-train: {error}", file=sys.stderr)
        return 1
    print(f"{progress.file_summary(options.out)}: learnt from {len(run.examples)} examples")
    print(progress.next_step("korsal-convert", "export", options.out, "-o", options.out.with_suffix(".onnx")))
    return 0


def prepare(checkpoint: Path, cache: Path, seed: int, data_sets: Sequence[str] = ()) -> ClassifierRun:
    """Everything up to learning: the data that the checkpoint was trained on, as it was split. Raises ERRORS.

    `data_sets`: where they lie now, if not where they were.
    """
    saved = checkpoints.load(checkpoint)
    if saved.manifest.architecture != LITE or saved.manifest.memory is None:
        raise CheckpointError(f"{checkpoint}: only --arch {LITE} trained with --memory has a classifier of it")
    if any(name.startswith(second_look.PREFIX) for name in saved.weights):
        raise CheckpointError(
            f"{checkpoint}: has a second look, which reads the classifier's scores; give the checkpoint before it, "
            "and learn it anew"
        )
    weights = {name: value for name, value in saved.weights.items() if not name.startswith(PREFIX)}
    checkpoints.detector(replace(saved, weights=weights))  # it refuses before minutes of decoding
    before = trained_on.load(saved, cache, data_sets, answers=True)
    data, memory = before.data, before.memory
    manifest = replace(saved.manifest, memory=before.network)
    videos, count = [video for part in data.parts for video in part.training], len(data.labels)
    groups = classifier_examples.groups_of([part.labels for part in data.parts], videos, count)
    found = classifier_examples.examples(videos, groups, count, memory, seed)
    scored = run_samples.validated(data, before.settings.validation_stride, before.packed, manifest, memory)
    return ClassifierRun(replace(saved, manifest=manifest, weights=weights), groups, found, scored)


def _learnt(run: ClassifierRun, seed: int) -> tuple[LiteDetector, MemoryClassifier]:
    """The detector with its new classifier, whose gain is 0 yet."""
    network, memory = checkpoints.detector(run.saved), run.saved.manifest.memory
    assert isinstance(network, LiteDetector)
    assert memory is not None
    places = classifier_examples.places_of(run.groups, len(run.saved.manifest.labels))
    network.classifier = MemoryClassifier(memory, places, [group.outputs for group in run.groups])
    classifier_training.learn(network.classifier, run.examples, seed)
    return network, network.classifier


def _gain_of(path: Path, saved: Checkpoint) -> torch.Tensor:
    """The gains of another detector's classifier. Raises CheckpointError."""
    other = checkpoints.load(path)
    gain = other.weights.get(f"{PREFIX}gain")
    if not isinstance(gain, torch.Tensor) or other.manifest.labels != saved.manifest.labels:
        raise CheckpointError(f"{path}: has no classifier of these actions; give what korsal-train classifier wrote")
    if gain.shape != (len(saved.manifest.labels),) or not bool(((gain >= 0) & (gain <= LARGEST_GAIN)).all()):
        raise CheckpointError(f"{path}: its gains are not from 0 to {LARGEST_GAIN:g}, one for each action; give --gain")
    return gain


def _gain(text: str) -> float:
    """The type of --gain."""
    value = number(text)
    if not 0 <= value <= LARGEST_GAIN:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 0 to {LARGEST_GAIN:g}, like {USUAL_GAIN:g}")
    return value


def choose_gains(network: LiteDetector, classifier: MemoryClassifier, run: ClassifierRun) -> None:
    """Give each group the gain with the highest frame-mAP@0.5 on what is held out, the least of several such.

    Groups of which nothing is held out have USUAL_GAIN.
    """
    scores = []
    for gain in GAINS:
        classifier.gain.fill_(gain)
        scores.append(validation.scores(network, run.validation, run.saved.manifest, HostBatches(trained_on.CPU, 0)))
        progress.print_line(f"gain {gain:g}: frame-mAP@0.5 {', '.join(map(str, scores[-1]))}")
    for group in run.groups:
        of_group = [_mean(found, run.validation, group) for found in scores]
        best = GAINS[int(np.argmax(of_group))] if not np.isnan(of_group).all() else USUAL_GAIN
        classifier.gain[list(group.labels)] = best
        names = [run.saved.manifest.labels[label] for label in group.labels]
        progress.print_line(f"chosen for {names[0]}{' and others' if names[1:] else ''}: gain {best:g}")


def _mean(found: Sequence[PartScore], parts: Sequence[ValidationPart], group: ActionGroup) -> float:
    """Of the data sets that annotate actions of the group; nan where none is scored."""
    means = [score.mean for score, part in zip(found, parts, strict=True) if set(part.labels) <= set(group.labels)]
    known = [mean for mean in means if not np.isnan(mean)]
    return sum(known) / len(known) if known else float("nan")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = Parser(
        prog="korsal-train classifier",
        description="Learn what the memory of a trained detector alone tells of the action, and add it to its scores. "
        "The data are those that it was trained on; how much it counts is chosen on the videos that are held out.",
    )
    trained_on.add_options(made, "best.pt of a run with --memory")
    gain = made.add_mutually_exclusive_group()
    gain.add_argument("--gain", type=_gain, help="how much it counts; default: chosen, without videos held out 0.5")
    gain.add_argument("--gain-of", type=Path, metavar="FILE.pt", help="count as much as in this other detector")
    return made
