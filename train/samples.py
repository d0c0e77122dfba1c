"""Training samples: which frame, its motion map and its targets. Shell over videos.

Sample number n of a seed is always the same, so that a run can be resumed and shared among processes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from edge import detector, motion_map
from edge.manifest import Manifest
from train import augment
from train.augment import Augmentation, AugmentSettings
from train.datasets.annotation_records import VideoAnnotation, VideoFrame, at
from train.datasets.frame_kinds import counted, idle, known_frames
from train.datasets.packed_video import PackedVideo
from train.memory_features import NO_MEMORY, MemoryVideos
from train.targets import Targets, targets

Group = list[VideoAnnotation]  # of one data set, and of one class or without any action


class FrameSampler:
    """Draws annotated frames of data sets: a class by weight, a video of it, a frame, the last two uniformly.

    A class weighs one, and as much more as the share of its frames that hold no action: *when* is
    what is hard to learn, and only those frames teach it. Videos without any action count as one more class.
    `shares`: how much each data set weighs, instead of as much as its classes; none: by classes.
    """

    def __init__(self, parts: Sequence[Sequence[VideoAnnotation]], classes: int, shares: Sequence[float] = ()) -> None:
        """`parts`: the videos of each data set; classes of several are then drawn from as one."""
        grouped = [_groups(part, classes) for part in parts]
        weights = np.array(_own_weights(grouped, shares) if shares else _pooled_weights(grouped))
        self.groups: list[Group] = [group for groups in grouped for group in groups]
        self.probability = (weights / weights.sum()).ravel()
        self.shares: list[float] = (weights.sum(axis=1) / weights.sum()).tolist()  # of each data set

    def __call__(self, random: np.random.Generator) -> VideoFrame:
        """One draw."""
        group = self.groups[int(random.choice(len(self.groups), p=self.probability))]
        video = group[int(random.integers(len(group)))]
        frames = known_frames(video)
        return VideoFrame(video, int(frames[int(random.integers(len(frames)))]))


def _groups(videos: Sequence[VideoAnnotation], classes: int) -> list[Group]:
    """The videos with annotated frames, by class; those without any action last."""
    shown = [video for video in videos if len(known_frames(video))]
    by_class = [[v for v in shown if v.tubes and v.tubes[0].label == c] for c in range(classes)]
    return [*by_class, [video for video in shown if not video.tubes]]


def _weights(groups: Sequence[Group]) -> list[float]:
    """Of the groups of `_groups`."""
    return [*(1 + background_share(group) if group else 0.0 for group in groups[:-1]), float(bool(groups[-1]))]


def _pooled_weights(grouped: Sequence[Sequence[Group]]) -> list[list[float]]:
    """Of the groups of each data set: those of one class share its weight by their numbers of videos."""
    pooled = [[video for group in groups for video in group] for groups in zip(*grouped, strict=True)]
    shared = list(zip(_weights(pooled), map(len, pooled), strict=True))
    return [
        [weight * (len(group) / max(count, 1)) for group, (weight, count) in zip(groups, shared, strict=True)]
        for groups in grouped
    ]


def _own_weights(grouped: Sequence[Sequence[Group]], shares: Sequence[float]) -> list[list[float]]:
    """Of the groups of each data set, whose sum is its share."""
    found = []
    for groups, share in zip(grouped, shares, strict=True):
        weights = _weights(groups)
        found.append([share * weight / sum(weights) for weight in weights])
    return found


def decoded(videos: Iterable[VideoAnnotation], packed: Mapping[str, PackedVideo]) -> tuple[VideoAnnotation, ...]:
    """The videos without the frames that could not be decoded or lie beyond the end."""
    return tuple(_decoded(video, packed[video.name]) for video in videos)


def _decoded(annotation: VideoAnnotation, packed: PackedVideo) -> VideoAnnotation:
    video = counted(annotation, len(packed))
    known = known_frames(video)
    shown = known[np.isin(known, packed.held)]
    return video if len(shown) == len(known) else replace(video, annotated_frames=shown)


def every_nth(videos: Iterable[VideoAnnotation], stride: int, starts: int = 1) -> list[VideoFrame]:
    """Of each video every so many of the annotated frames, from the first of them, or in turns from the first few."""
    found = []
    for number, video in enumerate(videos):
        known = known_frames(video)
        first = number % max(min(starts, len(known)), 1)
        found += [VideoFrame(video, int(frame)) for frame in known[first::stride]]
    return found


def background_share(videos: Sequence[VideoAnnotation]) -> float:
    """Share of the annotated frames of `videos` that have no box."""
    total = sum(len(known_frames(video)) for video in videos)
    return 1 - (total - sum(int(idle(video, video.frames).sum()) for video in videos)) / total


@dataclass(frozen=True, eq=False)
class SampleDraw:
    """All that is drawn for one sample: what is left is to compute pixels and targets from it.

    `before`: the frame that the motion map compares with, None where there is none. `boxes` (N, 4) float32 are x1 y1
    x2 y2 in input pixels, `labels` (N,). `remembers`: whether the network gets the memory's maps, if it takes any.
    """

    choice: VideoFrame
    before: int | None
    augmentation: Augmentation
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    remembers: bool = True


class Samples(Protocol):
    """Numbered samples; a number is drawn in one way, for ever."""

    packed: Mapping[str, PackedVideo]
    manifest: Manifest
    memory: MemoryVideos

    def __len__(self) -> int: ...

    def draw(self, number: int) -> SampleDraw:
        """What is drawn for that sample."""

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        """Its network input and targets, computed on the CPU."""


class TrainingSet(Dataset[dict[str, NDArray[Any]]]):
    """Sample number → network input and targets. The same number gives the same sample, for ever."""

    def __init__(
        self,
        parts: Sequence[Sequence[VideoAnnotation]],
        packed: Mapping[str, PackedVideo],
        manifest: Manifest,
        settings: AugmentSettings,
        seed: int,
        samples: int,
        other_gaps: Sequence[int] = (),
        shares: Sequence[float] = (),
        memory: MemoryVideos = NO_MEMORY,
        forgotten: float = 0.0,
    ) -> None:
        """As of `FrameSampler`; of `other_gaps`, frames, and the manifest's own gap one is drawn for each sample.

        A share `forgotten` of the samples has zeros for the memory's maps, as there are when a stream begins.
        """
        self.choose = FrameSampler(parts, len(manifest.labels), shares)
        self.packed = packed
        self.manifest = manifest
        self.gaps = (manifest.motion.gap, *other_gaps)
        self.settings = settings
        self.seed = seed
        self.samples = samples
        self.memory = memory
        self.forgotten = forgotten

    def __len__(self) -> int:
        return self.samples

    def draw(self, number: int) -> SampleDraw:
        """What is drawn for that sample."""
        random = np.random.default_rng((self.seed, number))
        choice = self.choose(random)
        gap = self.gaps[int(random.integers(len(self.gaps)))] if len(self.gaps) > 1 else self.gaps[0]
        drawn = draw(choice, self.packed[choice.video.name], self.manifest.input_size, gap, self.settings, random)
        return replace(drawn, remembers=random.random() >= self.forgotten) if self.memory else drawn

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        return _computed(self, number)


class ChosenFrames(Dataset[dict[str, NDArray[Any]]]):
    """Chosen frames, unaugmented: for validation while training. What is made of one, a subclass says."""

    def __init__(
        self,
        choices: Sequence[VideoFrame],
        packed: Mapping[str, PackedVideo],
        manifest: Manifest,
        memory: MemoryVideos = NO_MEMORY,
    ) -> None:
        self.choices = choices
        self.packed = packed
        self.manifest = manifest
        self.memory = memory

    def __len__(self) -> int:
        return len(self.choices)


class ValidationFrames(ChosenFrames):
    """The same for networks that see a frame and its motion map."""

    def draw(self, number: int) -> SampleDraw:
        """That frame as it is."""
        choice, manifest = self.choices[number], self.manifest
        packed, random = self.packed[choice.video.name], np.random.default_rng(number)
        return draw(choice, packed, manifest.input_size, manifest.motion.gap, augment.NO_AUGMENTATION, random)

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        return _computed(self, number)


def draw(
    choice: VideoFrame,
    packed: PackedVideo,
    input_size: tuple[int, int],
    gap: int,
    settings: AugmentSettings,
    random: np.random.Generator,
) -> SampleDraw:
    """Draw the augmentation of one frame; `gap`: frames that its motion map looks back."""
    drawn = augment.draw(settings, packed.size, input_size, random)
    boxes, labels = augment.move(drawn, *at(choice.video, choice.frame), input_size)
    return SampleDraw(choice, packed.before(choice.frame, gap), drawn, boxes, labels)


def _computed(samples: Samples, number: int) -> dict[str, NDArray[Any]]:
    drawn = samples.draw(number)
    computed = compute(drawn, samples.packed[drawn.choice.video.name], samples.manifest)
    return {**computed, **memory_inputs(samples, drawn)}


def memory_inputs(samples: Samples, drawn: SampleDraw) -> dict[str, NDArray[np.float32]]:
    """MEMORY_INPUTS of a sample by name, where there is a memory. Raises FrameError."""
    if not samples.memory:
        return {}
    choice, size = drawn.choice, samples.manifest.input_size
    return samples.memory[choice.video.name].inputs(choice.frame, drawn.remembers, drawn.augmentation, size)


def compute(drawn: SampleDraw, packed: PackedVideo, manifest: Manifest) -> dict[str, NDArray[Any]]:
    """Network input `image` (C, h, w) float32 and the arrays of `Targets` by name."""
    frame = _network_frame(drawn.augmentation, packed[drawn.choice.frame], manifest)
    cue = _motion(drawn, frame, packed, manifest)
    known = drawn.choice.video.annotated_labels
    goal = targets(drawn.boxes, drawn.labels, len(manifest.labels), grid(manifest), manifest.stride, known)
    return {"image": detector.network_input(frame, cue)[0], **arrays(goal)}


def grid(manifest: Manifest) -> tuple[int, int]:
    """(h, w) of the targets, cells."""
    return manifest.height // manifest.stride, manifest.width // manifest.stride


def arrays(goal: Targets) -> dict[str, NDArray[np.float32]]:
    """Targets by name, for batching."""
    return dict(vars(goal))


def _network_frame(drawn: Augmentation, image: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.float32]:
    return detector.standardise(augment.apply(drawn, image, manifest.input_size), manifest)


def _motion(
    drawn: SampleDraw, frame: NDArray[np.float32], packed: PackedVideo, manifest: Manifest
) -> NDArray[np.float32] | None:
    """The motion map as the pipeline computes it: against the frame `gap` back, the oldest there is, or zeros."""
    if manifest.motion.kind == "none":
        return None
    current = motion_map.prepare(frame)
    if drawn.before is None:
        previous = motion_map.blank(*frame.shape[:2])
    else:
        previous = motion_map.prepare(_network_frame(drawn.augmentation, packed[drawn.before], manifest))
    return motion_map.compare(previous, current, manifest.motion)[0]
