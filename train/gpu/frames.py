"""Decodes the frames of packed videos once, into the memory of the device that trains. Shell."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from edge.terminal import progress
from train.datasets.packed_video import PackedVideo, in_threads
from train.gpu.pixels import FrameMemory

SHARE = 0.7  # of the memory that is free: what is left is the network's
GIGABYTE = 1e9


class FrameMemoryError(Exception):
    """Frames that cannot be kept in the device's memory; the message says why."""


@dataclass(frozen=True, eq=False)
class FrameNumbers:
    """Where each frame of each video lies in a `FrameMemory`."""

    first: Mapping[str, int]  # the number of each video's first held frame
    held: Mapping[str, NDArray[np.int64]]

    def of(self, video: str, frame: int) -> int:
        """The number of a frame that is held."""
        return self.first[video] + int(np.searchsorted(self.held[video], frame))


@dataclass(frozen=True, eq=False)
class ResidentFrames:
    """All frames of some videos on one device."""

    memory: FrameMemory
    numbers: FrameNumbers

    @property
    def bytes(self) -> int:
        """What the pixels take."""
        return self.memory.pixels.numel()


def load(packed: Mapping[str, PackedVideo], device: torch.device) -> ResidentFrames:
    """Decode all videos, several at a time. Raises FrameMemoryError where they do not fit, FrameError."""
    counts = np.array([len(video.held) for video in packed.values()], np.int64)
    sizes = np.array([video.size[::-1] for video in packed.values()], np.int64).reshape(-1, 2)
    areas = sizes.prod(axis=1)
    _require_room(3 * int(counts @ areas), int(counts.sum()), device)
    starts = np.concatenate([[0], np.cumsum(np.repeat(areas, counts))])
    firsts = np.concatenate([[0], np.cumsum(counts)])
    numbers = FrameNumbers(
        {name: int(first) for name, first in zip(packed, firsts[:-1], strict=True)},
        {name: video.held for name, video in packed.items()},
    )
    memory = FrameMemory(
        torch.empty((int(starts[-1]), 3), dtype=torch.uint8, device=device),
        torch.from_numpy(starts[:-1]).to(device),
        torch.from_numpy(np.repeat(sizes, counts, axis=0)).to(device),
    )
    places = [slice(int(starts[first]), int(starts[end])) for first, end in pairwise(firsts)]
    _fill(memory, packed, places)
    return ResidentFrames(memory, numbers)


def free_bytes(device: torch.device) -> int:
    """What `device` has left."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def _require_room(needed: int, frames: int, device: torch.device) -> None:
    free = free_bytes(device)
    if needed > SHARE * free:
        raise FrameMemoryError(
            f"{frames} decoded frames take {needed / GIGABYTE:.1f} GB, and of the {free / GIGABYTE:.1f} GB that are "
            f"free there {SHARE:.0%} may be used"
        )


def _fill(memory: FrameMemory, packed: Mapping[str, PackedVideo], places: list[slice]) -> None:
    """Each thread decodes a video and copies it over."""

    def decode(video: PackedVideo, place: slice) -> None:
        memory.pixels[place] = torch.from_numpy(_decoded(video)).to(memory.pixels.device)

    copied = in_threads(decode, list(packed.values()), places)
    for _ in progress.track(copied, "decoding into memory", "video", len(packed)):
        pass


def _decoded(video: PackedVideo) -> NDArray[np.uint8]:
    """The pixels of all its frames, (P, 3)."""
    width, height = video.size
    pixels = np.empty((len(video.held), height, width, 3), np.uint8)
    for row, number in enumerate(video.held):
        frame = video[int(number)]
        if frame.shape != pixels.shape[1:]:
            raise FrameMemoryError(f"{video.path}: frame {number} has another size than the first one")
        pixels[row] = frame
    return pixels.reshape(-1, 3)
