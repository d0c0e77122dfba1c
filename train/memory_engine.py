"""A checkpoint with the memory whose maps it takes, both in torch. Shell."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from edge.inference import Engine, Infer, StreamingMemory
from edge.manifest import INPUT
from edge.memory_network import MemoryNetwork, next_part_names, part_names
from train import checkpoint as checkpoints
from train import memory_features, memory_weights
from train.checkpoint import Checkpoint, CheckpointError
from train.networks.memory_step import MemoryStep
from train.networks.movinet_weights import MovinetError

MANY = 1 << 16  # pictures at once: what limits them is the machine's memory


def engine(checkpoint: Checkpoint) -> Engine:
    """The checkpoint by torch, with the memory that it takes, if any. Raises CheckpointError."""
    plain = checkpoints.engine(checkpoint)
    return plain if checkpoint.manifest.memory is None else replace(plain, memory=memory(checkpoint))


def memory(checkpoint: Checkpoint) -> StreamingMemory | None:
    """The memory alone; None for a checkpoint that takes none. Raises CheckpointError."""
    manifest = checkpoint.manifest
    if manifest.memory is None:
        return None
    found, path = step(checkpoint, manifest.memory)
    described = with_parts(manifest.memory, found)
    return StreamingMemory(_infer(found, len(described.parts)), described, manifest.rate, path, "torch", MANY)


def step(checkpoint: Checkpoint, wanted: MemoryNetwork) -> tuple[MemoryStep, Path]:
    """The network whose maps a checkpoint takes, for pictures as they come, and its file.

    That is the one beside the checkpoint of the name that training knew, or the one that it took it from. Raises
    CheckpointError where both are gone, or it holds another.
    """
    path = weights_path(checkpoint)
    try:
        found = memory_weights.load_step(path, bool(wanted.answers))
    except MovinetError as error:
        raise CheckpointError(f"{checkpoint.title}: needs the memory it was trained with, and {error}") from error
    if memory_features.digest(found.network.state_dict()) != wanted.weights:
        raise CheckpointError(
            f"{checkpoint.title}: was trained with another memory than {path} holds; put its own there"
        )
    return found, path


def weights_path(checkpoint: Checkpoint) -> Path:
    """Where the memory's weights lie: beside the checkpoint under the name that training knew, or where it had them."""
    known = Path(str(checkpoint.settings.get("memory", "")))
    beside = checkpoint.file.with_name(known.name) if checkpoint.file and known.name else known
    return known if known.exists() and not beside.exists() else beside


def with_parts(network: MemoryNetwork, step: MemoryStep) -> MemoryNetwork:
    """The same, with the shapes of the parts of its memory, which checkpoints do not name."""
    shapes = step.part_shapes(1, network.size, network.size)
    return replace(network, parts=tuple(shape[1:] for shape in shapes))


def _infer(step: MemoryStep, parts: int) -> Infer:
    """As that of `StreamingMemory`."""
    before, names = part_names(parts), (*step.names, *next_part_names(parts))

    @torch.inference_mode()
    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        outputs = step(*(torch.from_numpy(inputs[name]) for name in (INPUT, *before)))
        return {name: value.numpy() for name, value in zip(names, outputs, strict=True)}

    return infer
