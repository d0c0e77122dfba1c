"""A streaming network's maps of training videos, computed once and kept beside their frames. Shell.

They are of whole frames as they are: an augmentation moves where they lie, not what the network saw.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge.files import write_atomically
from edge.memory_network import ANSWERS, AVERAGE, FEATURES, PLACEMENT, TAP, MemoryNetwork, map_shapes
from edge.memory_placement import placement
from edge.streaming_memory import picture
from edge.terminal import progress
from train import memory_weights, processes
from train.augment import Augmentation
from train.datasets.packed_video import REMEDY, FrameError, PackedVideo
from train.networks import movinet
from train.networks.memory_step import KEPT, MemoryStep, averages
from train.networks.movinet import MoViNet

INTERVAL = 4  # frames: near the five a second that MoViNet was trained at
FORMAT = "1"  # part of the file's name
CLIP = 16  # frames that go through the network at once


@dataclass(frozen=True)
class MemoryFeatures:
    """The maps of one video, in a file of rows in float16, one for each frame that the network saw.

    `size`: (width, height) of the video's frames, pixels. `averages`: the file of AVERAGE and ANSWERS, the same way,
    where the memory has answers.
    """

    path: Path
    memory: MemoryNetwork
    size: tuple[int, int]
    averages: Path | None = None

    def inputs(
        self, frame: int, remembers: bool, augmentation: Augmentation, input_size: tuple[int, int]
    ) -> dict[str, NDArray[np.float32]]:
        """MEMORY_INPUTS of an augmented frame by name, without the batch; the maps are zeros unless it `remembers`.

        They are those of the newest frame that the network saw until then. Raises FrameError.
        """
        found = {PLACEMENT: placement(augmentation.matrix, self.size, input_size)}
        if remembers:
            return found | self.outputs(frame)
        for _, names in self._files():
            found |= self._zeros(names)
        return found

    def outputs(self, frame: int) -> dict[str, NDArray[np.float32]]:
        """What the network gave at the newest frame that it saw until then, by name, without the batch.

        Raises FrameError.
        """
        rows = [self._row(path, names, frame) for path, names in self._files()]
        return {name: values for row in rows for name, values in row.items()}

    def _files(self) -> Iterator[tuple[Path, tuple[str, ...]]]:
        yield self.path, (FEATURES, TAP)
        if self.averages is not None:
            yield self.averages, (AVERAGE, ANSWERS)

    def _zeros(self, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return {name: np.zeros(shape, np.float32) for name, shape in _shapes(self.memory, names).items()}

    def _row(self, path: Path, names: Sequence[str], frame: int) -> dict[str, NDArray[np.float32]]:
        shapes = _shapes(self.memory, names)
        ends = np.cumsum([np.prod(shape) for shape in shapes.values()])
        start = 2 * int(ends[-1]) * (frame // self.memory.interval)
        try:
            row = np.fromfile(path, np.float16, int(ends[-1]), offset=start)
        except OSError as error:
            raise FrameError(f"{path}: cannot be read ({error}); run it again, it is created again") from error
        if len(row) != ends[-1]:
            raise FrameError(f"{path}: is cut short; {REMEDY}")
        parts = np.split(row.astype(np.float32), ends[:-1])
        return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


MemoryVideos = Mapping[str, MemoryFeatures]  # by name; without any, samples have no MEMORY_INPUTS
NO_MEMORY: MemoryVideos = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Watcher:
    """A network with its weights, and what a detector takes of it."""

    network: MoViNet
    memory: MemoryNetwork

    def maps(self, packed: Mapping[str, PackedVideo], device: torch.device) -> MemoryVideos:
        """The maps of all videos, computed on the device where they are missing. Raises FrameError."""
        return open_features(packed, self.network.to(device), self.memory)


def watcher(weights: Path) -> Watcher:
    """The network with these weights, before it has watched anything. Raises MovinetError."""
    network = memory_weights.load(weights)
    return Watcher(network, described(network))


def with_answers(step: MemoryStep, known: MemoryVideos) -> MemoryVideos:
    """The same videos with the averages of their maps and what the network answers of these, computed where missing.

    Raises FrameError.
    """
    assert step.classifier is not None
    told = digest(step.classifier.state_dict())[:16]
    ending = f".{told}.{KEPT:g}.averages"  # of another classifier, or over other steps, it is another file
    found = {}
    for name, video in progress.track(known.items(), "averaging", "video", len(known)):
        memory = replace(video.memory, answers=step.answers)
        path = video.path.with_suffix(ending)
        if not path.exists() or path.stat().st_size * _numbers(memory, (FEATURES, TAP)) != (
            video.path.stat().st_size * _numbers(memory, (AVERAGE, ANSWERS))
        ):
            _write(path, _averages(step, video).tobytes())
        found[name] = MemoryFeatures(video.path, memory, video.size, path)
    return found


@torch.inference_mode()
def _averages(step: MemoryStep, video: MemoryFeatures) -> NDArray[np.float16]:
    """Rows of AVERAGE and ANSWERS, flat."""
    assert step.classifier is not None
    memory = video.memory
    rows = np.fromfile(video.path, np.float16).reshape(-1, _numbers(memory, (FEATURES, TAP)))
    maps = torch.from_numpy(rows[:, : int(np.prod(memory.features))].astype(np.float32))
    average = averages(maps.reshape(-1, *memory.features))
    answers = step.classifier(average.mean(dim=(2, 3)))
    return torch.cat([average.flatten(1), answers], dim=1).numpy().astype(np.float16)


def _shapes(memory: MemoryNetwork, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Of these maps, without the batch."""
    shapes = map_shapes(memory, 1)
    return {name: shapes[name][1:] for name in names}


def _numbers(memory: MemoryNetwork, names: Sequence[str] = (FEATURES, TAP)) -> int:
    """In one row of them."""
    return sum(int(np.prod(shape)) for shape in _shapes(memory, names).values())


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
