"""Batches of samples on the device that trains, computed by processes of the CPU. Shell over torch's DataLoader."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from edge.clip import CLIP
from edge.manifest import INPUT
from edge.memory_network import MEMORY_INPUTS
from train import processes
from train.datasets.packed_video import FrameError


class BatchError(Exception):
    """Batches that cannot be made."""


class Batches(Protocol):
    """Makes batches of numbered samples."""

    def __call__(self, samples: Any, numbers: Sequence[int], size: int) -> Iterator[Mapping[str, Tensor]]:
        """Batches of `size` on the device, the last one may be smaller: `image` (B, C, h, w) and `Targets` by name.

        With a memory MEMORY_INPUTS too. `samples`: `Samples`, or numbered ones that only the CPU computes.
        """


def network_inputs(batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """What a network takes of a batch, in the order in which it does."""
    image = batch[INPUT].contiguous(memory_format=torch.channels_last)
    return image, *(batch[name] for name in (CLIP, *MEMORY_INPUTS) if name in batch)


@dataclass(frozen=True)
class HostBatches:
    """Computes samples with `workers` processes, none: in this one, and copies them to `device`."""

    device: torch.device
    workers: int

    def __call__(self, samples: Any, numbers: Sequence[int], size: int) -> Iterator[Mapping[str, Tensor]]:
        """As `Batches` says. Raises FrameError, BatchError."""
        for batch in loaded(samples, numbers, size, self.workers):
            yield {name: value.to(self.device) for name, value in batch.items()}


def loaded(
    items: Any,
    numbers: Sequence[int],
    size: int,
    workers: int,
    collate: Callable[[list[Any]], Any] | None = None,
    pinned: bool = False,
) -> Iterator[Any]:
    """Batches of the items of these numbers; an error in a worker becomes one sentence, without its stack trace.

    `pinned`: in memory that a GPU copies from while the CPU goes on. Raises FrameError, BatchError.
    """
    batches = DataLoader(
        Subset[Any](items, numbers),
        size,
        num_workers=workers,
        worker_init_fn=processes.init_worker,
        collate_fn=collate,
        pin_memory=pinned,
    )
    try:
        yield from batches
    except FrameError as error:
        traceback.clear_frames(error.__traceback__)  # a frame of torch's holds the error and the processes, in a cycle
        raise FrameError(str(error).strip().rsplit("FrameError: ", 1)[-1]) from error
    except RuntimeError as error:
        if "exited unexpectedly" not in str(error):
            raise
        traceback.clear_frames(error.__traceback__)
        raise BatchError(
            "a process that prepares samples died, perhaps for lack of memory; continue with --resume --workers 0"
        ) from error
