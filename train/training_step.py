"""One step of training: the network, the moving average of its weights, and AdamW.

A step depends on the run's state, its batch and the number of samples seen, on nothing else: dropout is drawn from
the seed and that number, so that a resumed run continues exactly as it would have.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge.manifest import LITE, Manifest
from train import checkpoint as checkpoints
from train import clip_training, norm_statistics, processes, resumed_settings, run_losses, starting_weights
from train.batches import network_inputs
from train.checkpoint import Checkpoint, CheckpointError
from train.networks import architectures, memory_classifier, second_look
from train.networks.imagenet_weights import is_motion, load_imagenet
from train.networks.lite import LiteDetector
from train.precision import autocast
from train.train_settings import EARLIER_DEFAULTS, TrainingPrecision, TrainSettings

NORM_SAMPLES, NORM_BATCH = 96, 16  # from which statistics of batch norms are estimated
LEARNT_APART = (memory_classifier.PREFIX, second_look.PREFIX)
OF_MEMORY = "memory."  # the layers that take a memory's maps
NAMING_LAYERS = ("heatmap.3.", "heatmap.2.")  # with one channel for each label: of `lite`, of the others


class TrainingError(Exception):
    """Training that cannot start or continue."""


@dataclass(eq=False)
class TrainingRun:
    """What changes while training."""

    network: nn.Module
    average: nn.Module  # moving average of the weights
    optimizer: torch.optim.Optimizer
    samples: int = 0
    best: float = -1.0  # frame-mAP@0.5 of the best validation so far, percent
    worse: int = 0  # validations since then
    precision: TrainingPrecision = "float32"  # of the layers that may be computed in less; weights are always float32
    new_heads: bool = True  # its last layers began with nothing, so that boxes of any priors can be learnt


def start(
    settings: TrainSettings, manifest: Manifest, device: torch.device, resumed: Checkpoint | None = None
) -> TrainingRun:
    """A new run, with the weights of the run that is `resumed`, else those that the settings name.

    Raises BackboneError, CheckpointError.
    """
    torch.manual_seed(settings.seed)
    saved = resumed or (starting_weights.load(Path(settings.weights)) if settings.weights else None)
    clips = clip_training.sees_clips(settings)
    if clips:
        network, average = (clip_training.untrained(manifest, settings.clips) for _ in range(2))
    else:
        network, average = (_untrained(manifest, dropout, saved) for dropout in (settings.dropout, 0.0))
    if saved:
        load_trained(network, saved, manifest)
    elif isinstance(network, LiteDetector):
        load_imagenet(network.backbone, manifest.mean, manifest.std)
    elif clips:
        clip_training.load_pretrained(network, manifest, settings.clips)
    layout = torch.preserve_format if clips else torch.channels_last  # which cubes do not have
    network, average = (one.to(device, memory_format=layout) for one in (network, average))  # type: ignore[call-overload]
    average.load_state_dict(network.state_dict())
    groups = _groups(network, settings)
    optimizer = clip_training.optimizer(groups, settings) if clips else torch.optim.AdamW(groups)
    wrapped = nn.parallel.DistributedDataParallel(network) if processes.count() > 1 else network
    return TrainingRun(
        wrapped, average.eval(), optimizer, new_heads=saved is None or saved.manifest.labels != manifest.labels
    )


def _untrained(manifest: Manifest, dropout: float, saved: Checkpoint | None) -> nn.Module:
    """The network that the manifest names; its heads are as wide as those of `saved`, whose weights it will take."""
    width = checkpoints.head_width(saved.weights) if saved else None
    return architectures.network(
        manifest.architecture, len(manifest.labels), manifest.channels, dropout, width, manifest.memory
    )


def load_trained(network: nn.Module, saved: Checkpoint, manifest: Manifest) -> None:
    """Fill `network` in place from a checkpoint; of the layer that names labels only the channels of common ones.

    What takes a memory's maps stays as it is where the checkpoint has none; its classifier and its second look are left
    out, for what they were learnt on changes. Raises CheckpointError where it is of another network or kind of input;
    its size may differ.
    """
    for name in ("architecture", "motion", "mean", "std", "clip"):
        theirs, ours = getattr(saved.manifest, name), getattr(manifest, name)
        if theirs != ours:
            raise CheckpointError(
                f"{saved.file}: was trained with {name} {theirs}, this run has {ours}; leave that option out"
            )
    if saved.manifest.memory and saved.manifest.memory.as_trained() != manifest.memory:
        raise CheckpointError(
            f"{saved.file}: was trained with another memory; give --memory the weights that it was trained with"
        )
    own = network.state_dict()
    clip_training.require_parts(own, saved)
    weights = {name: value for name, value in own.items() if name.startswith(OF_MEMORY)}
    theirs = checkpoints.detector(saved).state_dict()
    weights |= {name: value for name, value in theirs.items() if not name.startswith(LEARNT_APART)}
    if saved.manifest.labels != manifest.labels:
        common = common_labels(saved.manifest.labels, manifest.labels)
        for name in (name for name in weights if name.startswith(NAMING_LAYERS)):
            weights[name] = own[name].index_copy(0, common[1], weights[name][common[0]])
        new = clip_training.naming_layers(network)
        weights |= {name: value for name, value in own.items() if new and name.startswith(new)}
    network.load_state_dict(weights)


def settle_norms(run: TrainingRun, batches: Iterable[Mapping[str, Tensor]]) -> None:
    """Estimate the statistics of batch norms that an export had folded away; the network answers as before."""
    network = unwrapped(run.network)
    norm_statistics.estimate(network, map(network_inputs, batches))
    run.average.load_state_dict(network.state_dict())


def common_labels(theirs: Sequence[str], ours: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The places of the labels that both have: among theirs, and among ours."""
    places = [(theirs.index(label), place) for place, label in enumerate(ours) if label in theirs]
    one, other = torch.tensor(places, dtype=torch.int64).reshape(-1, 2).T
    return one, other


@dataclass(frozen=True, eq=False)
class LossTerms:
    """The loss terms of one step. A GPU may still be computing them: it is waited for when they are read."""

    names: tuple[str, ...]
    numbers: Tensor  # in the CPU's memory
    samples: int  # seen before the step
    ready: torch.cuda.Event | None = None  # None: they are there

    def read(self) -> dict[str, float]:
        """By name. Raises TrainingError where one is not finite."""
        if self.ready is not None:
            self.ready.synchronize()
        return finite(dict(zip(self.names, self.numbers.tolist(), strict=True)), self.samples)


def step(run: TrainingRun, batch: Mapping[str, Tensor], settings: TrainSettings) -> LossTerms:
    """Learn from one batch. Raises TrainingError where a loss is not finite, on a GPU when the terms are read."""
    for group in run.optimizer.param_groups:
        group["lr"] = group["share"] * learning_rate(run.samples, settings)
    torch.manual_seed(_seed(settings.seed, run.samples, processes.rank()))
    run.network.train()
    if clip_training.sees_clips(settings):
        clip_training.freeze(unwrapped(run.network), settings, run.samples)
    inputs = network_inputs(batch)
    with autocast(inputs[0].device, run.precision):
        answer = run.network(*inputs)
    terms = run_losses.losses_of(answer, batch, settings)
    stacked = torch.stack(list(terms.values()))
    found = _read_later(tuple(terms), stacked.detach(), run.samples)
    run.optimizer.zero_grad(set_to_none=True)
    stacked.sum().backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip)
    run.optimizer.step()
    run.samples += settings.batch * processes.count()
    _follow(run.average, run.network, min(settings.average, run.samples / (run.samples + 10 * settings.batch)))
    return found


def _read_later(names: tuple[str, ...], numbers: Tensor, samples: int) -> LossTerms:
    """On a CPU the terms are there, and checked before the weights change. Raises TrainingError."""
    if numbers.device.type != "cuda":
        found = LossTerms(names, numbers, samples)
        found.read()
        return found
    copied = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
    copied.copy_(numbers, non_blocking=True)
    ready = torch.cuda.Event()
    ready.record()
    return LossTerms(names, copied, samples, ready)


def finite(terms: Mapping[str, float], samples: int) -> dict[str, float]:
    """The terms as they are; TrainingError where one is not finite."""
    broken = [f"{name} loss ({value})" for name, value in terms.items() if not math.isfinite(value)]
    if broken:
        raise TrainingError(
            f"the {' and the '.join(broken)} is not finite after {samples} samples; "
            "lower --learning-rate, or check the data for damaged frames and boxes"
        )
    return dict(terms)


def learning_rate(samples: int, settings: TrainSettings) -> float:
    """Linear warm-up, then a cosine down to 0 at the end of the run."""
    share = samples / settings.samples
    if share < settings.warmup:
        return settings.learning_rate * (share + 1e-3) / settings.warmup
    fallen = min((share - settings.warmup) / (1 - settings.warmup), 1)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * fallen))


def progress(run: TrainingRun) -> dict[str, Any]:
    """What `resume` needs beside the averaged weights."""
    return {
        "samples": run.samples,
        "best": run.best,
        "worse": run.worse,
        "network": unwrapped(run.network).state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }


def resume(run: TrainingRun, saved: Checkpoint, settings: TrainSettings, labels: Sequence[str]) -> None:
    """Put `run` where the checkpoint left off. Raises CheckpointError where it is of another run.

    `labels`: of the data now. Its progress holds the channels by their places alone.
    """
    if not saved.progress:
        raise CheckpointError(f"{saved.file}: holds no progress; start a new run without --resume")
    if changed := resumed_settings.changed({**EARLIER_DEFAULTS, **saved.settings}, settings):
        raise CheckpointError(
            f"{saved.file}: --resume with another {', '.join(changed)} than before; leave these options out"
        )
    if saved.manifest.labels != tuple(labels):
        raise CheckpointError(
            f"{saved.file}: its actions are {', '.join(saved.manifest.labels)}, and those of the data "
            f"{', '.join(labels)} now; name them as they were, or start a new run with --weights {saved.file}"
        )
    try:
        unwrapped(run.network).load_state_dict(saved.progress["network"])
        run.average.load_state_dict(dict(saved.weights))
        run.optimizer.load_state_dict(saved.progress["optimizer"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{saved.file}: its progress is of another network ({error}); start a new run") from error
    run.samples = saved.progress["samples"]
    run.best = saved.progress["best"]
    run.worse = saved.progress.get("worse", 0)  # which earlier versions did not count


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the network's."""
    source = unwrapped(network).state_dict()
    floating = {True: ([], []), False: ([], [])}  # type: dict[bool, tuple[list[Tensor], list[Tensor]]]
    for name, value in average.state_dict().items():
        ours, theirs = floating[value.is_floating_point()]
        ours.append(value)
        theirs.append(source[name])
    torch._foreach_lerp_(*floating[True], 1 - decay)
    torch._foreach_copy_(*floating[False])


def unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, where it is wrapped for several processes."""
    inner: nn.Module = network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
    return inner


def _groups(network: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """Parameters by learning rate (pretrained or not) and by weight decay (matrices only)."""
    groups = []
    for pretrained in (True, False):
        for matrix in (True, False):
            chosen = [
                p
                for name, p in network.named_parameters()
                if _is_pretrained(name, settings) == pretrained and (p.ndim > 1) == matrix
            ]
            share = settings.backbone_rate if pretrained else 1.0
            groups.append({"params": chosen, "share": share, "weight_decay": settings.weight_decay * matrix})
    return groups


def _is_pretrained(name: str, settings: TrainSettings) -> bool:
    """Only `lite` has ImageNet's weights here; all others have what a checkpoint taught them, or nothing."""
    taught = bool(settings.weights) or settings.architecture == LITE
    prefix, _, rest = name.partition(".")
    return taught and prefix == "backbone" and not is_motion(rest)
