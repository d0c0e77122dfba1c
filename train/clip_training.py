"""How a run of a network that sees a clip differs from others: what it begins with, what is frozen, what is minimised.

Shell over torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edge.manifest import Manifest
from train import memory_weights
from train.checkpoint import Checkpoint, CheckpointError
from train.clips.losses import PriorLossSettings, prior_losses
from train.clips.priors import found_priors
from train.clips.samples import ClipTrainingSet, sizes
from train.clips.settings import ClipTraining
from train.datasets.annotation_records import VideoAnnotation
from train.datasets.packed_video import PackedVideo
from train.memory_features import MemoryVideos
from train.networks.imagenet_weights import load_imagenet
from train.networks.yowo.clip_networks import CLIP_NETWORKS, parts_of
from train.networks.yowo.decoder import PriorMaps
from train.networks.yowo.fusion import Parts
from train.networks.yowo.lite import YowoLite
from train.networks.yowo.names import TRAINED, YOWO_LITE
from train.networks.yowo.network import Yowo
from train.samples import FrameSampler
from train.train_settings import TrainSettings

BRANCHES = ("backbone_2d", "backbone_3d")
TERMS = ("box", "confidence", "classes")  # of the loss


def sees_clips(settings: TrainSettings) -> bool:
    """Whether the settings are for one of the networks here, which see a clip, or a memory's maps in its place."""
    return settings.architecture in TRAINED


def untrained(manifest: Manifest, training: ClipTraining) -> nn.Module:
    """The network that the manifest names, with the parts that the settings name."""
    parts = Parts(training.scales, training.drop_block, training.squeeze)
    return CLIP_NETWORKS[manifest.architecture](len(manifest.labels), parts, manifest.memory)


def load_pretrained(network: nn.Module, manifest: Manifest, training: ClipTraining) -> None:
    """Fill what ImageNet and Kinetics taught, in place; of `yowo` nothing. Raises BackboneError, MovinetError."""
    if isinstance(network, YowoLite):
        load_imagenet(network.backbone_2d, manifest.mean, manifest.std)
        if training.weights and network.backbone_3d is not None:
            network.backbone_3d.load_state_dict(memory_weights.load(Path(training.weights)).state_dict())


def require_parts(own: Mapping[str, Tensor], saved: Checkpoint) -> None:
    """Raises CheckpointError where one that a run begins with has other parts than `own`, of a network here."""
    if saved.manifest.architecture not in TRAINED:
        return
    theirs, ours = (parts_of(weights) for weights in (saved.weights, own))
    if theirs != ours:
        raise CheckpointError(
            f"{saved.title}: was trained with {_options_of(theirs)}, this run has {_options_of(ours)}; "
            "leave these options out"
        )


def _options_of(parts: Parts) -> str:
    return f"--scales {parts.scales} {'--squeeze' if parts.squeeze else '--no-squeeze'}"


def naming_layers(network: nn.Module) -> tuple[str, ...]:
    """How the parameters begin that have a number for each label, of the networks here; () for others."""
    if not isinstance(network, (Yowo, YowoLite)):
        return ()
    heads = network.get_submodule("fusion.heads")
    return tuple(f"fusion.heads.{i}.{len(list(head.children())) - 1}." for i, head in heads.named_children())


def frozen(settings: TrainSettings, samples: int) -> tuple[str, ...]:
    """The branches that stay as they were pretrained, once so many samples were seen."""
    lite = settings.architecture == YOWO_LITE
    taught = {"backbone_2d": lite, "backbone_3d": lite and bool(settings.clips.weights)}
    release = {"backbone_2d": settings.clips.release_2d, "backbone_3d": settings.clips.release_3d}
    return tuple(
        name for name in BRANCHES if (taught[name] or settings.weights) and samples < release[name] * settings.samples
    )


def freeze(network: nn.Module, settings: TrainSettings, samples: int) -> None:
    """Let the frozen branches be, their batch norms too, and all others learn."""
    still = frozen(settings, samples)
    for name in [name for name, _ in network.named_children() if name in BRANCHES]:
        branch = network.get_submodule(name)
        branch.requires_grad_(name not in still)
        if name in still:
            branch.eval()


def losses(answer: PriorMaps, batch: Mapping[str, Tensor], settings: TrainSettings) -> dict[str, Tensor]:
    """Weighted terms by name; see `prior_losses`."""
    kind = PriorLossSettings(kind=settings.clips.loss, matching=settings.clips.matching)
    return prior_losses(answer, batch, kind)


def optimizer(groups: Sequence[dict[str, object]], settings: TrainSettings) -> torch.optim.Optimizer:
    """As the paper trains, or AdamW."""
    if settings.clips.optimizer == "adamw":
        return torch.optim.AdamW([*groups], lr=settings.learning_rate)
    return torch.optim.SGD([*groups], lr=settings.learning_rate, momentum=settings.clips.momentum)


def set_priors(
    networks: Sequence[nn.Module],
    videos: Sequence[VideoAnnotation],
    packed: Mapping[str, PackedVideo],
    manifest: Manifest,
) -> str:
    """Give the networks the usual sizes of the videos' boxes; a sentence on them."""
    known = sizes(videos, packed, manifest)
    if not len(known):
        return "priors: YOLOv3's, for no box has an area"
    shape = networks[0].get_buffer("priors").shape
    found = found_priors(known, int(np.prod(shape[:2])))
    for network in networks:
        network.get_buffer("priors").copy_(torch.from_numpy(found).float().reshape(shape))
    listed = ", ".join(f"{width:.0f} × {height:.0f}" for width, height in found)
    return f"priors, by k-means over {len(known)} boxes: {listed} pixels"


def training_set(
    parts: Sequence[Sequence[VideoAnnotation]],
    packed: Mapping[str, PackedVideo],
    manifest: Manifest,
    settings: TrainSettings,
    memory: MemoryVideos,
) -> ClipTrainingSet:
    """The samples of a run; with a `memory` its maps are those of the clip's end."""
    return ClipTrainingSet(
        FrameSampler(parts, len(manifest.labels), settings.shares),
        packed,
        manifest,
        settings.augment,
        settings.seed,
        settings.samples,
        settings.clips.clip,
        settings.clips.anywhere,
        memory,
        settings.memory_dropout,
    )
