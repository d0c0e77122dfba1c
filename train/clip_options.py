"""The options of `korsal-train` for networks that see a clip."""

import argparse
from dataclasses import fields, replace
from typing import Any, get_args

from edge.terminal.arguments import path_as_text
from train import memory_engine
from train.checkpoint import Checkpoint, CheckpointError
from train.clips import settings as clip_settings
from train.clips.samples import AUGMENTATION
from train.clips.settings import USUAL, ClipTraining, LossKind, MatchingRule, Optimizer
from train.networks.yowo.clip_networks import parts_of
from train.networks.yowo.names import NOT_TRAINED, TRAINED, YOWO
from train.train_settings import TrainSettings

SIDE = 224  # pixels of `yowo`'s input, either way
NOT_FOR_CLIPS = {  # options of other networks, by where they stand, and what is there in their place
    "backbone_rate": (
        "--backbone-rate",
        "has --release-2d and --release-3d instead, which say how long its branches stay",
    ),
    "gap": ("--gap", "has no motion map"),
    "shifts": ("--shifts", "has no motion map"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """All of them begin a group of their own; None where they are not given."""
    group = parser.add_argument_group(f"networks that see a clip ({', '.join(TRAINED)})")
    add = group.add_argument
    add("--frames", type=int, help=f"of a clip; default: {USUAL.frames}")
    add("--frame-step", dest="step", type=int, help=f"frames of the video from one to the next; default: {USUAL.step}")
    add("--clip-every", dest="every", type=int, help=f"frames that one clip's map serves; default: {USUAL.every}")
    add("--key-anywhere", dest="anywhere", action=argparse.BooleanOptionalAction, help="in its clip, not only last")
    add("--scales", type=int, help=f"to predict on; 1: no secondary fusion; default: {USUAL.scales}")
    add("--drop-block", type=float, help=f"share of cells dropped while training; default: {USUAL.drop_block}")
    add("--squeeze", action=argparse.BooleanOptionalAction, help="squeeze-and-excitation; default: with it")
    add("--loss", choices=get_args(LossKind), help=f"of confidence and actions; default: {USUAL.loss}")
    add("--matching", choices=get_args(MatchingRule), help=f"which priors answer; default: {USUAL.matching}")
    faster = f"adamw takes a learning rate of about 0.002; default: {USUAL.optimizer}"
    add("--optimizer", choices=get_args(Optimizer), help=faster)
    add("--momentum", type=float, help=f"of SGD; default: {USUAL.momentum}")
    movinet = "MoViNet's weights, or a model's memory-….onnx, for the 3-D branch of yowo_lite"
    add("--clip-weights", metavar="FILE", type=path_as_text, help=movinet)
    for branch, share in (("3d", USUAL.release_3d), ("2d", USUAL.release_2d)):
        told = f"share of the run that leaves a pretrained {branch[0]}-D branch as it is; default: {share:.2f}"
        add(f"--release-{branch}", type=float, help=told)


def given(options: argparse.Namespace, basis: ClipTraining) -> ClipTraining:
    """As the options say, else as `basis`."""
    places = {one.name: one.name for one in fields(ClipTraining)} | {"weights": "clip_weights"}
    said: dict[str, Any] = {
        name: value for name, place in places.items() if (value := getattr(options, place)) is not None
    }
    return replace(basis, **said)


def unread(options: argparse.Namespace, architecture: str) -> list[str]:
    """A sentence for each option that is given and would change nothing, as the network sees a clip."""
    if architecture not in TRAINED:
        return []
    return [
        f"{option}: {architecture} {instead}; leave it out"
        for name, (option, instead) in NOT_FOR_CLIPS.items()
        if getattr(options, name) is not None
    ]


def of_weights(basis: TrainSettings, saved: Checkpoint) -> TrainSettings:
    """Where a run begins that starts from the weights of such a network. Raises CheckpointError."""
    theirs = saved.manifest
    if theirs.architecture not in TRAINED:
        raise CheckpointError(f"{saved.title}: {NOT_TRAINED}")
    parts, clip = parts_of(saved.weights), theirs.clip or USUAL.clip
    seen = replace(USUAL, frames=clip.frames, step=clip.step, every=clip.every)
    return replace(
        usual(basis, theirs.architecture),
        height=theirs.height,
        width=theirs.width,
        clips=replace(seen, scales=parts.scales, squeeze=parts.squeeze),
        memory=str(memory_engine.weights_path(saved)) if theirs.memory else "",
    )


def usual(basis: TrainSettings, architecture: str) -> TrainSettings:
    """Where a run of such a network begins: as the paper trains, without a motion map."""
    height, width = (SIDE, SIDE) if architecture == YOWO else (basis.height, basis.width)
    return replace(
        basis,
        height=height,
        width=width,
        architecture=architecture,
        motion=replace(basis.motion, kind="none"),
        learning_rate=clip_settings.LEARNING_RATE,
        weight_decay=clip_settings.WEIGHT_DECAY,
        augment=AUGMENTATION,
    )
