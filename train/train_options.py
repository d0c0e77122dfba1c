"""The options of `korsal-train`, and their values: as given, else those of the weights or of the resumed run."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from edge.manifest import LITE
from edge.motion_map import KINDS
from edge.terminal import progress
from edge.terminal.arguments import Parser, number, path_as_text, whole_number, with_commas
from train import checkpoint as checkpoints
from train import clip_options, clip_training, memory_engine, starting_weights, train_settings
from train.checkpoint import CheckpointError
from train.clips.settings import ClipTraining
from train.gpu.choice import SamplesOn
from train.networks.architectures import ARCHITECTURES
from train.networks.yowo.clip_networks import CLIP_NETWORKS
from train.networks.yowo.names import TRAINED
from train.processes import DeviceChoice
from train.train_settings import CENTERNET_LOSSES, LossWeights, RequestedPrecision, TrainSettings
from train.training_step import TrainingError

TAKEN = (  # data and precision are never those of another run
    *("fold", "weights", "architecture", "height", "width", "samples", "batch", "learning_rate", "validate_every"),
    *("backbone_rate", "patience", "seed", "all_groups", "shares", "memory", "memory_dropout", "one_class"),
)
OF_MOTION = ("kind", "shifts")


def settings(options: argparse.Namespace) -> TrainSettings:
    """What to train. Raises TrainingError, CheckpointError."""
    basis = replace(_basis(options), data=tuple(options.data), precision=options.precision)
    if options.architecture in TRAINED and basis.architecture != options.architecture:
        basis = clip_options.usual(basis, options.architecture)
    elif options.architecture is not None and options.architecture not in TRAINED:
        basis = replace(basis, clips=ClipTraining())  # those of weights are no options that were given
    given: dict[str, Any] = _given(options, TAKEN)
    if "architecture" in given:
        given["losses"] = LossWeights() if options.architecture == LITE else CENTERNET_LOSSES
    if options.box_loss is not None:
        given["losses"] = replace(given.get("losses", basis.losses), box=options.box_loss)
    try:
        first, *others = options.gap or (basis.motion.gap, *basis.other_gaps)
        motion = replace(basis.motion, gap=first, **_given(options, OF_MOTION))
        given["other_gaps"] = tuple(replace(motion, gap=gap).gap for gap in others)
        found = replace(basis, motion=motion, clips=clip_options.given(options, basis.clips), **given)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    if unread := clip_options.unread(options, found.architecture):
        raise TrainingError("; ".join(unread))
    return found


def _basis(options: argparse.Namespace) -> TrainSettings:
    """The settings where no option is given."""
    if options.resume:
        file = options.out / "last.pt"
        try:
            return train_settings.from_saved(checkpoints.load(file).settings)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{file}: does not say how it was trained ({error}); start a new run") from error
    usual = TrainSettings(tuple(options.data))
    if not options.weights:
        return usual
    saved = starting_weights.load(Path(options.weights))
    theirs = saved.manifest
    if theirs.architecture in CLIP_NETWORKS:
        return clip_options.of_weights(usual, saved)
    losses = LossWeights() if theirs.architecture == LITE else CENTERNET_LOSSES
    return replace(
        usual,
        architecture=theirs.architecture,
        losses=losses,
        motion=theirs.motion,
        height=theirs.height,
        width=theirs.width,
        memory=str(memory_engine.weights_path(saved)) if theirs.memory else "",
    )


def _given(options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        prog="korsal-train",
        description="Train a detector on a data set; `korsal-train check DATA` reports what is wrong with one. "
        "Without options: network and motion map of the shipped model. "
        "Several GPUs: torchrun --nproc-per-node N -m train.train …",
        epilog="Where a default is (*), --weights brings that of the weights along, and --resume that of the run.",
    )
    usual, add = TrainSettings(()), parser.add_argument
    add("data", type=path_as_text, nargs="+", help="folders of data sets: annotations, lists, videos/")
    add("--fold", type=with_commas(whole_number(1)), help="their splits, where they have several, like 1,2; default: 1")
    share = "how many samples are of each data set, in proportion, like 1,2; default: by their classes"
    add("--share", dest="shares", type=with_commas(number), help=share)
    add("--out", type=Path, default=Path("runs/train"), help="for last.pt, best.pt, log.csv, curves.png; %(default)s")
    add("--cache", type=Path, default=Path("runs/cache"), help="for decoded frames, about 4 MB a video; %(default)s")
    _add_input(parser, usual)
    add(
        "--weights",
        type=path_as_text,
        help="start from this .pt or exported FP32 .onnx: to continue at another size, or to learn other actions",
    )
    everything = "learn from the validation videos too, once all else is chosen"
    add("--all-groups", action="store_true", default=None, help=everything)
    one = (
        "learn one class of that name from the boxes of all actions: somebody who does something, as propose looks for"
    )
    add("--one-class", metavar="NAME", help=one)
    add("--resume", action="store_true", help="continue from last.pt in --out, with its options")
    _add_learning(parser, usual)
    _add_machine(parser)
    clip_options.add_options(parser)
    progress.add_option(parser)
    return parser


def _add_learning(parser: argparse.ArgumentParser, usual: TrainSettings) -> None:
    """How long it learns, and how fast."""
    add = parser.add_argument
    add("--samples", type=int, help=f"frames to learn from, in all; default: {usual.samples}")
    add("--batch", type=int, help=f"frames in one step, per process; default: {usual.batch}")
    add("--learning-rate", type=float, help=f"of neck and heads; default: {usual.learning_rate}")
    of_backbone = f"of the backbone, as a share of it; 0: stays as it is; default: {usual.backbone_rate}"
    add("--backbone-rate", type=number, help=of_backbone)
    add("--box-loss", type=float, help=f"weight of the GIoU of whole boxes, with --arch {LITE}; default: 0")
    add("--validate-every", type=int, help=f"samples; default: {usual.validate_every}")
    add("--patience", type=int, help="end after so many validations without a better score; default: none")
    add("--seed", type=int, help=f"of the choice and augmentation of frames; default: {usual.seed}")
    add(
        "--precision",
        choices=get_args(RequestedPrecision),
        default="auto",
        help="auto: whichever is quicker on this machine",
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    """What computes it."""
    add = parser.add_argument
    add("--device", choices=get_args(DeviceChoice), default="auto", help="default: a GPU where there is one")
    where = "where samples are computed; auto: on the GPU where all frames, decoded, fit into its memory"
    add("--samples-on", choices=get_args(SamplesOn), default="auto", help=where)
    add("--workers", type=int, default=1, help="processes that prepare samples; default: 1")


def _add_input(parser: argparse.ArgumentParser, usual: TrainSettings) -> None:
    """What the network is and sees."""
    add, motion = parser.add_argument, usual.motion
    add("--arch", dest="architecture", choices=(*ARCHITECTURES, *TRAINED), help=f"the network; default: {LITE} (*)")
    add("--motion", dest="kind", choices=KINDS, help=f"the motion map; default: {motion.kind} (*)")
    add("--shifts", action=argparse.BooleanOptionalAction, help="the search of nine shifts of it; default: with it (*)")
    gap = f"how many frames back the previous frame lies; of several one is drawn each time; default: {motion.gap} (*)"
    add("--gap", type=int, nargs="+", help=gap)
    memory = "MoViNet's weights, or a model's memory-….onnx: the network takes its maps too, computed once (*)"
    add("--memory", type=path_as_text, metavar="FILE", help=memory)
    forgotten = f"share of the samples that go without these maps; default: {usual.memory_dropout}"
    add("--memory-dropout", type=float, help=forgotten)
    add("--height", type=int, help=f"of the network's input, a multiple of 32; default: {usual.height} (*)")
    add("--width", type=int, help=f"likewise; default: {usual.width} (*)")


def faults(settings: TrainSettings, workers: int, samples_on: SamplesOn) -> Iterator[str]:
    """Of options that are no settings."""
    if workers < 0:
        yield f"--workers {workers}: give 0 or more"
    if samples_on == "device" and clip_training.sees_clips(settings):
        yield "--samples-on device: clips are computed on the CPU; leave it out"
