"""A streaming network's maps of training videos, computed once and kept beside their frames. Shell.

They are of whole frames as they are: an augmentation moves where they lie, not what the network saw.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge.files import write_atomically
from edge.memory_network import FEATURES, PLACEMENT, TAP, MemoryNetwork
from edge.memory_placement import placement
from edge.streaming_memory import picture
from edge.terminal import progress
from train import memory_weights, processes
from train.augment import Augmentation
from train.datasets.packed_video import REMEDY, FrameError, PackedVideo
from train.networks import movinet
from train.networks.movinet import MoViNet

INTERVAL = 4  # frames: near the five a second that MoViNet was trained at
FORMAT = "1"  # part of the file's name
CLIP = 16  # frames that go through the network at once


@dataclass(frozen=True)
class MemoryFeatures:
    """The maps of one video, in a file of rows in float16, one for each frame that the network saw.

    `size`: (width, height) of the video's frames, pixels.
    """

    path: Path
    memory: MemoryNetwork
    size: tuple[int, int]

    def inputs(
        self, frame: int, remembers: bool, augmentation: Augmentation, input_size: tuple[int, int]
    ) -> dict[str, NDArray[np.float32]]:
        """MEMORY_INPUTS of an augmented frame by name, without the batch; the maps are zeros unless it `remembers`.

        They are those of the newest frame that the network saw until then. Raises FrameError.
        """
        row = self._row(frame // self.memory.interval) if remembers else np.zeros(_numbers(self.memory), np.float16)
        features, tap = np.split(row.astype(np.float32), [int(np.prod(self.memory.features))])
        return {
            FEATURES: features.reshape(self.memory.features),
            TAP: tap.reshape(self.memory.tap),
            PLACEMENT: placement(augmentation.matrix, self.size, input_size),
        }

    def last_map(self, frame: int) -> NDArray[np.float32]:
        """FEATURES (C, h, w) of the newest frame that the network saw until then. Raises FrameError."""
        row = self._row(frame // self.memory.interval)[: int(np.prod(self.memory.features))]
        return row.astype(np.float32).reshape(self.memory.features)

    def _row(self, number: int) -> NDArray[np.float16]:
        numbers = _numbers(self.memory)
        try:
            row = np.fromfile(self.path, np.float16, numbers, offset=2 * numbers * number)
        except OSError as error:
            raise FrameError(f"{self.path}: cannot be read ({error}); run it again, it is created again") from error
        if len(row) != numbers:
            raise FrameError(f"{self.path}: is cut short; {REMEDY}")
        return row


MemoryVideos = Mapping[str, MemoryFeatures]  # by name; without any, samples have no MEMORY_INPUTS
NO_MEMORY: MemoryVideos = MappingProxyType({})


def of_file(
    weights: str, packed: Mapping[str, PackedVideo], device: torch.device
) -> tuple[MemoryNetwork | None, MemoryVideos]:
    """What a detector takes of the network with these weights, and the maps of all videos; "": nothing.

    Raises MovinetError, FrameError.
    """
    if not weights:
        return None, NO_MEMORY
    network = memory_weights.load(Path(weights))
    memory = described(network)
    return memory, open_features(packed, network.to(device), memory)


def _numbers(memory: MemoryNetwork) -> int:
    """In one row: the last map, then the tap."""
    return int(np.prod(memory.features) + np.prod(memory.tap))


def described(network: MoViNet, interval: int = INTERVAL, size: int = movinet.SIZE) -> MemoryNetwork:
    """What a detector takes of a network that sees every so many frames, stretched to `size` pixels."""
    return movinet.memory_network(digest(network.state_dict()), interval, size)


def digest(weights: Mapping[str, Tensor]) -> str:
    """A hash of weights, whatever file they come from."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        found.update(name.encode() + b"\0" + value.detach().cpu().numpy().tobytes())
    return found.hexdigest()


def open_features(
    packed: Mapping[str, PackedVideo], network: MoViNet, memory: MemoryNetwork
) -> dict[str, MemoryFeatures]:
    """The maps of all videos by name; what is not there yet is computed first, with a progress bar.

    The first process computes, on the device of `network`; all open. Raises FrameError.
    """
    places = {name: _place(video, memory) for name, video in packed.items()}
    if processes.rank() == 0:
        missing = {path: packed[name] for name, path in places.items() if not _whole(path, packed[name], memory)}
        for path, video in progress.track(missing.items(), "watching", "video", len(missing)):
            _write(path, b"".join(row.tobytes() for row in rows(network, video, memory)))
    processes.wait_for_all()
    return {name: MemoryFeatures(path, memory, packed[name].size) for name, path in places.items()}


def _place(video: PackedVideo, memory: MemoryNetwork) -> Path:
    """Beside the packed frames, whose name says of which file they are; other weights or intervals are another file."""
    source = "\0".join([FORMAT, memory.weights, str(memory.interval), str(memory.size)])
    key = hashlib.sha256(source.encode()).hexdigest()[:16]
    return video.path.with_name(f"{video.path.stem}.{key}.memory")


def _whole(path: Path, video: PackedVideo, memory: MemoryNetwork) -> bool:
    """Whether there is a file with a row for each of the frames."""
    steps = -(-len(video) // memory.interval)
    return path.exists() and path.stat().st_size == 2 * steps * _numbers(memory)


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise FrameError(
            f"{path}: cannot be written ({error.strerror}); free space on the disk or choose another --cache"
        ) from error


def rows(network: MoViNet, video: PackedVideo, memory: MemoryNetwork) -> Iterator[NDArray[np.float16]]:
    """Of every `interval`-th frame both maps, flat; of one that could not be decoded those before it, else zeros."""
    steps = range(0, len(video), memory.interval)
    seen = [step for step in steps if np.isin(step, video.held)]
    found = zip(seen, _watched(network, video, seen, memory.size), strict=True)
    following = next(found, None)
    last = np.zeros(_numbers(memory), np.float16)
    for step in steps:
        if following is not None and following[0] == step:
            last, following = following[1], next(found, None)
        yield last


@torch.inference_mode()
def _watched(network: MoViNet, video: PackedVideo, frames: Sequence[int], size: int) -> Iterator[NDArray[np.float16]]:
    """Both maps of these frames, flat, as a stream of them gives."""
    state = network.memory(1, size, size)
    for start in range(0, len(frames), CLIP):
        images = [picture(video[frame], size) for frame in frames[start : start + CLIP]]
        features, tap, state = network.maps(torch.from_numpy(np.stack(images))[None].to(state[0].device), state)
        for both in zip(features[0], tap[0], strict=True):
            yield np.concatenate([one.cpu().numpy().ravel() for one in both]).astype(np.float16)
