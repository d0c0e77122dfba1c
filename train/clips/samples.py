"""Training samples of a key frame and its clip. Shell over videos.

Sample number n of a seed is always the same, so that a run can be resumed and shared among processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from edge import detector, letterbox
from edge.clip import CLIP, ClipInput, live_places
from edge.manifest import INPUT, Manifest
from train import augment
from train.augment import Augmentation, AugmentSettings
from train.clips import key_frames
from train.datasets.annotation_records import VideoAnnotation, VideoFrame, at
from train.datasets.packed_video import PackedVideo
from train.memory_features import NO_MEMORY, MemoryFeatures, MemoryVideos
from train.samples import ChosenFrames, FrameSampler
from train.targets import looked_for

MOST_BOXES = 64  # of one frame; of more the largest count
AUGMENTATION = AugmentSettings(  # Zhuo et al. 2024: flip, zoom from 0.5 to 1.5, shift, colours from 0.7 to 1.3
    zoom_in=1.5,
    zoom_out=2.0,
    stretch=1.0,
    shift=0.2,
    brightness=0.0,
    contrast=0.3,
    saturation=0.3,
    hue=0.0,
    grey=0.0,
    erase=0.0,
)


@dataclass(frozen=True, eq=False)
class ClipDraw:
    """All that is drawn for one sample: the frames of its clip, oldest first, and one augmentation for all of them."""

    choice: VideoFrame
    clip: tuple[int, ...]
    augmentation: Augmentation
    remembers: bool = True  # whether the network gets the memory's maps, if it takes any


class ClipTrainingSet(Dataset[dict[str, NDArray[Any]]]):
    """Sample number → key frame, clip and true boxes. The same number gives the same sample, for ever.

    `anywhere`: the key frame may be any of its clip; else it is the last.
    """

    def __init__(
        self,
        choose: FrameSampler,
        packed: Mapping[str, PackedVideo],
        manifest: Manifest,
        settings: AugmentSettings,
        seed: int,
        samples: int,
        clip: ClipInput,
        anywhere: bool = True,
        memory: MemoryVideos = NO_MEMORY,
        forgotten: float = 0.0,
    ) -> None:
        """`forgotten`: the share of the samples that have zeros for the memory's maps."""
        self.choose = choose
        self.packed = packed
        self.manifest = manifest
        self.settings = settings
        self.seed = seed
        self.samples = samples
        self.clip = clip
        self.anywhere = anywhere
        self.memory = memory
        self.forgotten = forgotten

    def __len__(self) -> int:
        return self.samples

    def draw(self, number: int) -> ClipDraw:
        """What is drawn for that sample."""
        random = np.random.default_rng((self.seed, number))
        choice = self.choose(random)
        packed = self.packed[choice.video.name]
        drawn = augment.draw(self.settings, packed.size, self.manifest.input_size, random)
        place = int(np.searchsorted(packed.held, choice.frame))
        places = key_frames.drawn(place, len(packed.held), self.clip, self.anywhere, random)
        remembers = not self.memory or bool(random.random() >= self.forgotten)
        return ClipDraw(choice, tuple(packed.held[places].tolist()), drawn, remembers)

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        drawn = self.draw(number)
        name = drawn.choice.video.name
        return computed(drawn, self.packed[name], self.manifest, self.memory.get(name))


class ClipValidationFrames(ChosenFrames):
    """Chosen frames, unaugmented, with what a stream of their video would have seen until then.

    Each is the last of its clip; where a clip serves several frames, as far past its end as every n-th frame has one.
    """

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        choice, manifest = self.choices[number], self.manifest
        packed, random = self.packed[choice.video.name], np.random.default_rng(number)
        clip = manifest.clip or ClipInput(1)
        place = int(np.searchsorted(packed.held, choice.frame))
        places = live_places(place - place % clip.every, clip)
        drawn = augment.draw(augment.NO_AUGMENTATION, packed.size, manifest.input_size, random)
        frames = tuple(packed.held[list(places)].tolist())
        return computed(ClipDraw(choice, frames, drawn), packed, manifest, self.memory.get(choice.video.name))


def computed(
    drawn: ClipDraw, packed: PackedVideo, manifest: Manifest, memory: MemoryFeatures | None
) -> dict[str, NDArray[Any]]:
    """INPUT (3, h, w) and CLIP (3, L, h, w), float32, and what was annotated; with a `memory` MEMORY_INPUTS for CLIP.

    `boxes` (MOST_BOXES, 4), x1 y1 x2 y2 in input pixels, `labels` (MOST_BOXES,), −1 where there is no box, and
    `annotated` (classes,).
    """
    clip = drawn.clip if memory is None else ()
    frames = {index: _planes(drawn.augmentation, packed[index], manifest) for index in {*clip, drawn.choice.frame}}
    known, labels = augment.move(drawn.augmentation, *at(drawn.choice.video, drawn.choice.frame), manifest.input_size)
    boxes, numbers = np.zeros((MOST_BOXES, 4), np.float32), np.full(MOST_BOXES, -1, np.int64)
    chosen = np.argsort(-(known[:, 2:] - known[:, :2]).prod(axis=1), kind="stable")[:MOST_BOXES]
    boxes[: len(chosen)], numbers[: len(chosen)] = known[chosen], labels[chosen]
    seen = (
        {CLIP: np.stack([frames[index] for index in clip], axis=1)}
        if memory is None
        else memory.inputs(drawn.clip[-1], drawn.remembers, drawn.augmentation, manifest.input_size)
    )
    return {
        INPUT: frames[drawn.choice.frame],
        **seen,
        "boxes": boxes,
        "labels": numbers,
        "annotated": looked_for(len(manifest.labels), drawn.choice.video.annotated_labels),
    }


def sizes(
    videos: Sequence[VideoAnnotation], packed: Mapping[str, PackedVideo], manifest: Manifest
) -> NDArray[np.float32]:
    """(N, 2) widths and heights of all boxes of the videos, in input pixels."""
    found = [np.zeros((0, 2), np.float32)]
    for video in videos:
        matrix = letterbox.affine(packed[video.name].size, manifest.input_size)
        for tube in video.tubes:
            corners = letterbox.transform(tube.boxes.astype(np.float32), matrix)
            found.append(corners[:, 2:] - corners[:, :2])
    together: NDArray[np.float32] = np.concatenate(found)
    real = np.asarray((together > 0).all(axis=1))
    return np.asarray(together[real], np.float32)


def _planes(drawn: Augmentation, image: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.float32]:
    """(3, h, w) of one frame."""
    frame = detector.standardise(augment.apply(drawn, image, manifest.input_size), manifest)
    planes: NDArray[np.float32] = detector.network_input(frame, None)[0]
    return planes
