"""Checkpoints: weights, the settings they were trained with, and what a resumed training needs. Shell."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge import manifest as manifests
from edge.clip import CLIP, NEWEST_MAP
from edge.clip_branch import ClipBranch
from edge.clip_inference import seeing_clips
from edge.files import replacing, sha256_of
from edge.inference import Engine
from edge.manifest import LITE, OUTPUTS, Manifest, ManifestError, input_shapes
from edge.memory_network import MemoryNetwork, map_shapes
from edge.text import first_line, sanitized
from train.networks import architectures, memory_classifier, second_look
from train.networks.lite import LiteDetector
from train.networks.movinet import memory_network
from train.networks.yowo import clip_networks
from train.networks.yowo.clip_networks import CLIP_NETWORKS
from train.networks.yowo.fusion import KNOWN_SCALES
from train.networks.yowo.names import YOWO_LITE
from train.safe_reading import torch_file
from train.safe_reading.torch_file import TorchFileError

VERSION = 1
MOST_CLIPS = 16  # that go through torch together
_CONTENT = {"manifest": str, "weights": dict, "settings": dict, "progress": dict}


class CheckpointError(Exception):
    """A checkpoint that cannot be read, or of another kind; the message may repeat names that stand in it."""

    def __init__(self, message: str) -> None:
        super().__init__(sanitized(message))


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained detector; `progress` is what `korsal-train --resume` needs, empty in one made for release.

    `file` is what it was read from.
    """

    manifest: Manifest
    weights: Mapping[str, Tensor]
    settings: Mapping[str, Any]  # of the training, for people to read
    progress: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None

    @property
    def title(self) -> str:
        """For messages: the file, or the model's name where there is none."""
        return str(self.file or self.manifest.name)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint`; the file appears whole or not at all. Raises CheckpointError."""
    content = {
        "korsal_edge": VERSION,
        "manifest": manifests.to_json(checkpoint.manifest),
        "weights": dict(checkpoint.weights),
        "settings": dict(checkpoint.settings),
        "progress": dict(checkpoint.progress),
    }
    try:
        with replacing(path) as partial, partial.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: cannot be written ({_refusal(error)}); free space on the disk or choose another --out"
        ) from error


def _refusal(error: BaseException) -> str:
    """Why the disk has refused: torch's own sentence is about its archive, and follows that of the disk."""
    first = error.__context__ if isinstance(error.__context__, OSError) else error
    return (first.strerror or str(first)) if isinstance(first, OSError) else first_line(first)


def load(path: Path) -> Checkpoint:
    """Read what `save` wrote, executing nothing a pickle may carry. Raises CheckpointError."""
    try:
        content = torch_file.load(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file; give a .pt that korsal-train wrote") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); give one of korsal-train") from error
    except TorchFileError as error:
        raise CheckpointError(f"{path}: not a checkpoint ({error}); give one of korsal-train") from error
    if not isinstance(content, dict) or content.get("korsal_edge") != VERSION:
        raise CheckpointError(
            f"{path}: not a checkpoint of korsal-train, version {VERSION}; train again, "
            "or convert one of CenterNet or KORSAL by korsal-convert checkpoint"
        )
    wrong = [name for name, kind in _CONTENT.items() if not isinstance(content.get(name), kind)]
    if wrong:
        raise CheckpointError(f"{path}: a checkpoint without {' and '.join(wrong)}; give one of korsal-train")
    if unnamed := next((name for name in content["weights"] if not isinstance(name, str)), None):
        raise CheckpointError(
            f"{path}: calls one of its weights {unnamed!r}, which is no name; give one of korsal-train"
        )
    try:
        manifest = manifests.from_json(content["manifest"])
        return Checkpoint(manifest, content["weights"], content["settings"], content["progress"], path)
    except ManifestError as error:
        raise CheckpointError(f"{path}: {error}") from error


def detector(checkpoint: Checkpoint) -> nn.Module:
    """The network with its weights, in evaluation mode. Raises CheckpointError where they do not fit."""
    manifest, name = checkpoint.manifest, checkpoint.manifest.architecture
    _require_inputs(checkpoint)
    if name in CLIP_NETWORKS:
        network = _seeing_clips(checkpoint)
    elif name in architectures.ARCHITECTURES:
        width = head_width(checkpoint.weights)
        memory = _memory(checkpoint)
        network = architectures.network(name, len(manifest.labels), manifest.channels, 0.0, width, memory)
        _add_what_was_learnt_apart(network, checkpoint)
    else:
        raise CheckpointError(
            f"{checkpoint.title}: its network is {name}, and known are "
            f"{', '.join([*architectures.ARCHITECTURES, *CLIP_NETWORKS])}; update korsal-edge"
        )
    try:
        network.load_state_dict(dict(checkpoint.weights))
    except (RuntimeError, TypeError) as error:  # the second where something else than tensors lies there
        fault = _misfit(network.state_dict(), checkpoint.weights)
        raise CheckpointError(
            f"{checkpoint.title}: the weights are of another network than its manifest says ({fault}); "
            "give a checkpoint as korsal-train wrote it, or train again"
        ) from error
    _require_priors(network, checkpoint.title)
    _require_finite(network, checkpoint.title)
    return network.eval()


def _require_inputs(checkpoint: Checkpoint) -> None:
    """Raises CheckpointError where the manifest names inputs that its network does not take."""
    manifest, name = checkpoint.manifest, checkpoint.manifest.architecture
    sees_clips = name in CLIP_NETWORKS and manifest.memory is None
    if name not in (*CLIP_NETWORKS, *architectures.ARCHITECTURES):
        return  # for which there is a sentence of its own
    if sees_clips != (manifest.clip is not None):
        fault = f"its network {name} {'sees' if sees_clips else 'sees no'} clips, and its manifest says otherwise"
    elif name in CLIP_NETWORKS and manifest.motion.kind != "none":
        fault = f"its network {name} reads no motion map, and its manifest names {manifest.motion.kind}"
    else:
        return
    raise CheckpointError(f"{checkpoint.title}: {fault}; give a checkpoint as korsal-train wrote it, or train again")


def _seeing_clips(checkpoint: Checkpoint) -> nn.Module:
    """The network that sees clips, or a memory's maps in their place, without its weights. Raises CheckpointError."""
    manifest, parts = checkpoint.manifest, clip_networks.parts_of(checkpoint.weights)
    if parts.scales not in KNOWN_SCALES:
        raise CheckpointError(
            f"{checkpoint.title}: has weights for {parts.scales} scales, and networks here have "
            f"{' or '.join(map(str, KNOWN_SCALES))}; give a checkpoint as korsal-train wrote it, or train again"
        )
    return CLIP_NETWORKS[manifest.architecture](len(manifest.labels), parts, _memory(checkpoint))


def _require_finite(network: nn.Module, title: str) -> None:
    """Raises CheckpointError where a weight is no number, with which nothing that is made of them can be right."""
    broken = next((name for name, value in network.state_dict().items() if not bool(value.isfinite().all())), None)
    if broken is not None:
        raise CheckpointError(f"{title}: the weights are broken ({broken} holds nan or infinity); train again")


def _require_priors(network: nn.Module, title: str) -> None:
    """Raises CheckpointError where the network's priors, if it has any, are no widths and heights."""
    priors = dict(network.named_buffers()).get("priors")
    if priors is not None and not bool((priors.isfinite() & (priors > 0)).all()):
        raise CheckpointError(
            f"{title}: its priors are no widths and heights of boxes; give a checkpoint as korsal-train wrote it, or "
            "train again"
        )


def _add_what_was_learnt_apart(network: nn.Module, checkpoint: Checkpoint) -> None:
    """Give the network the classifier and the second look that its weights are for, if any. Raises CheckpointError."""
    memory = checkpoint.manifest.memory
    if not isinstance(network, LiteDetector):
        return
    classes = len(checkpoint.manifest.labels)
    network.second_look = second_look.of_weights(checkpoint.weights, network.looked_at, classes)
    if memory is None:
        return
    try:
        network.classifier = memory_classifier.of_weights(checkpoint.weights, memory, classes)
    except ValueError as error:
        raise CheckpointError(f"{checkpoint.title}: {error}; give a checkpoint as korsal-train wrote it") from error


def _memory(checkpoint: Checkpoint) -> MemoryNetwork | None:
    """The memory whose maps its network takes. Raises CheckpointError where no network here takes such."""
    memory = checkpoint.manifest.memory
    if memory is None:
        return None
    known = replace(memory_network(memory.weights, memory.interval, memory.size), answers=memory.answers)
    if checkpoint.manifest.architecture not in (LITE, YOWO_LITE) or map_shapes(memory, 1) != map_shapes(known, 1):
        raise CheckpointError(
            f"{checkpoint.title}: takes a memory's maps in a way that is not known here; update korsal-edge"
        )
    return memory


def head_width(weights: Mapping[str, Any]) -> int | None:
    """The width of the heads of that network, None where the weights do not hold it."""
    first = weights.get(architectures.HEAD)
    return len(first) if isinstance(first, Tensor) and first.ndim else None


def engine(checkpoint: Checkpoint) -> Engine:
    """A checkpoint, run by torch through the interface that all engines have; it takes what `input_shapes` names.

    One that sees clips comes with what makes their maps. Raises CheckpointError.
    """
    network = detector(checkpoint)
    manifest = clip_networks.described(network, checkpoint.manifest)
    decoder = clip_networks.exported_decoder(network, manifest).eval()
    names = tuple(input_shapes(manifest, 1, manifest.input_size))

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        with torch.inference_mode():
            outputs = decoder(*(torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in names))
        return {name: value.numpy() for name, value in zip(OUTPUTS, outputs, strict=True)}

    sha256 = sha256_of(checkpoint.file) if checkpoint.file else ""
    engine = Engine(infer, manifest, sha256, f"torch {torch.__version__}")
    return engine if manifest.clip is None else seeing_clips(engine, _branch(network))


def _branch(network: nn.Module) -> ClipBranch:
    """What makes maps of clips, of a network that sees them."""
    clip_map = clip_networks.ClipMap(network).eval()

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        with torch.inference_mode():
            return {NEWEST_MAP: clip_map(torch.from_numpy(inputs[CLIP])).numpy()}

    return ClipBranch(infer, MOST_CLIPS)


def _misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Any]) -> str:
    """The first weight that is missing, too much, or of another shape."""
    for name, tensor in wanted.items():
        if name not in given:
            return f"{name} is missing"
        if (shape := tuple(getattr(given[name], "shape", ()))) != tuple(tensor.shape):
            return f"{name} is {shape} instead of {tuple(tensor.shape)}"
    return next((f"{name} is too much" for name in given if name not in wanted), "one of them is no tensor")
