"""Batches computed on the device that trains: processes of the CPU only draw what happens to each sample. Shell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch
from torch import Tensor

from edge.manifest import Manifest
from edge.memory_network import MEMORY_INPUTS
from train import batches
from train.datasets.packed_video import PackedVideo
from train.gpu import frames, pixels, targets
from train.gpu.frames import FrameMemoryError, FrameNumbers, ResidentFrames
from train.gpu.motion import KINDS_HERE, MotionMaps
from train.gpu.pixels import FrameMemory, Moves
from train.gpu.targets import BatchBoxes
from train.samples import SampleDraw, Samples, grid, memory_inputs
from train.targets import looked_for, place


@dataclass(frozen=True, eq=False)
class GpuBatches:
    """Computes samples where `resident` lies; `workers` processes draw them, none: this one."""

    resident: ResidentFrames
    workers: int

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        return self.resident.memory.pixels.device

    def __call__(self, samples: Samples, numbers: Sequence[int], size: int) -> Iterator[Mapping[str, Tensor]]:
        """As `train.batches.Batches` says. Raises BatchError."""
        maps = MotionMaps(samples.manifest, self.device)
        collate = partial(_collated, self.resident.numbers, samples)
        pinned = self.device.type == "cuda"
        for batch in batches.loaded(_Draws(samples), numbers, size, self.workers, collate, pinned):
            drawn = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
            yield _computed(drawn, self.resident.memory, samples.manifest, maps)


def resident(packed: Mapping[str, PackedVideo], manifest: Manifest, device: torch.device, workers: int) -> GpuBatches:
    """Decode all frames into the memory of `device`. Raises FrameMemoryError where that is of no use, FrameError."""
    if manifest.motion.kind not in KINDS_HERE:
        raise FrameMemoryError(f"motion {manifest.motion.kind} is computed on the CPU alone")
    return GpuBatches(frames.load(packed, device), workers)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Samples of which nothing is computed yet."""

    samples: Samples

    def __getitem__(self, number: int) -> SampleDraw:
        return self.samples.draw(number)

    def __len__(self) -> int:
        return len(self.samples)


def _collated(numbers: FrameNumbers, samples: Samples, drawn: Sequence[SampleDraw]) -> dict[str, Tensor]:
    """What is drawn for a batch, as small tensors on the CPU; a memory's maps are read there too."""
    manifest = samples.manifest
    videos = [one.choice.video.name for one in drawn]
    after = [numbers.of(video, one.choice.frame) for video, one in zip(videos, drawn, strict=True)]
    before = [0 if one.before is None else numbers.of(v, one.before) for v, one in zip(videos, drawn, strict=True)]
    moves = [pixels.move_of(one.augmentation, manifest.input_size) for one in drawn]
    maps = [memory_inputs(samples, one) for one in drawn]
    boxes = [place(one.boxes, one.labels, grid(manifest), manifest.stride) for one in drawn]
    arrays = {
        "after": np.array(after),
        "before": np.array(before),
        "annotated": np.stack([looked_for(len(manifest.labels), one.choice.video.annotated_labels) for one in drawn]),
        "known": np.array([one.before is not None for one in drawn]),
        **{name: np.stack([move[name] for move in moves]) for name in moves[0]},
        **{name: np.stack([one[name] for one in maps]) for name in maps[0]},
        **targets.stacked(boxes),
    }
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


@torch.no_grad()
def _computed(
    drawn: Mapping[str, Tensor], memory: FrameMemory, manifest: Manifest, maps: MotionMaps
) -> dict[str, Tensor]:
    """Network input and targets of a batch."""
    boxes = BatchBoxes(**{one.name: drawn[one.name] for one in fields(BatchBoxes)})
    goal = targets.drawn(boxes, len(manifest.labels), grid(manifest))
    known = {name: drawn[name] for name in (*MEMORY_INPUTS, "annotated") if name in drawn}
    return {"image": _image(drawn, memory, maps), **goal, **known}


def _image(drawn: Mapping[str, Tensor], memory: FrameMemory, maps: MotionMaps) -> Tensor:
    """(B, C, h, w) float32: both frames are moved at once."""
    moves = Moves(**{one.name: drawn[one.name] for one in fields(Moves)})
    if maps.motion.kind == "none":
        return maps.normalised(pixels.moved(memory, drawn["after"], moves))
    twice = Moves(*(torch.cat([values, values]) for values in vars(moves).values()))
    levels = pixels.moved(memory, torch.cat([drawn["before"], drawn["after"]]), twice)
    before, after = levels.chunk(2)
    return torch.cat([maps.normalised(after), maps.maps(before, drawn["known"], after)], 1)
