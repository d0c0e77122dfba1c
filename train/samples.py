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
from train.targets import Targets, targets


class FrameSampler:
    """Draws annotated frames: a class by weight, a video of it, a frame, the last two uniformly.

    A class weighs one, and as much more as the share of its frames that hold no action: *when* is
    what is hard to learn, and only those frames teach it. Videos without any action count as one more class.
    """

    def __init__(self, videos: Sequence[VideoAnnotation], classes: int) -> None:
        shown = [video for video in videos if len(known_frames(video))]
        by_class = [[v for v in shown if v.tubes and v.tubes[0].label == c] for c in range(classes)]
        background = [video for video in shown if not video.tubes]
        self.by_class = [*by_class, background] if background else by_class
        weights = np.array(
            [1 + background_share(group) if group else 0.0 for group in by_class] + [1.0] * bool(background)
        )
        self.probability = weights / weights.sum()

    def __call__(self, random: np.random.Generator) -> VideoFrame:
        """One draw."""
        group = self.by_class[int(random.choice(len(self.by_class), p=self.probability))]
        video = group[int(random.integers(len(group)))]
        frames = known_frames(video)
        return VideoFrame(video, int(frames[int(random.integers(len(frames)))]))


def decoded(videos: Iterable[VideoAnnotation], packed: Mapping[str, PackedVideo]) -> tuple[VideoAnnotation, ...]:
    """The videos without the frames that could not be decoded or lie beyond the end."""
    return tuple(_decoded(video, packed[video.name]) for video in videos)


def _decoded(annotation: VideoAnnotation, packed: PackedVideo) -> VideoAnnotation:
    video = counted(annotation, len(packed))
    known = known_frames(video)
    shown = known[np.isin(known, packed.held)]
    return video if len(shown) == len(known) else replace(video, annotated_frames=shown)


def every_nth(videos: Iterable[VideoAnnotation], stride: int) -> list[VideoFrame]:
    """Of each video every so many of the annotated frames."""
    return [VideoFrame(video, int(frame)) for video in videos for frame in known_frames(video)[::stride]]


def background_share(videos: Sequence[VideoAnnotation]) -> float:
    """Share of the annotated frames of `videos` that have no box."""
    total = sum(len(known_frames(video)) for video in videos)
    return 1 - (total - sum(int(idle(video, video.frames).sum()) for video in videos)) / total


@dataclass(frozen=True, eq=False)
class SampleDraw:
    """All that is drawn for one sample: what is left is to compute pixels and targets from it.

    `before`: the frame that the motion map compares with, None where there is none. `boxes` (N, 4) float32 are x1 y1
    x2 y2 in input pixels, `labels` (N,).
    """

    choice: VideoFrame
    before: int | None
    augmentation: Augmentation
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


class Samples(Protocol):
    """Numbered samples; a number is drawn in one way, for ever."""

    packed: Mapping[str, PackedVideo]
    manifest: Manifest

    def __len__(self) -> int: ...

    def draw(self, number: int) -> SampleDraw:
        """What is drawn for that sample."""

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        """Its network input and targets, computed on the CPU."""


class TrainingSet(Dataset[dict[str, NDArray[Any]]]):
    """Sample number → network input and targets. The same number gives the same sample, for ever."""

    def __init__(
        self,
        videos: Sequence[VideoAnnotation],
        packed: Mapping[str, PackedVideo],
        manifest: Manifest,
        settings: AugmentSettings,
        seed: int,
        samples: int,
        other_gaps: Sequence[int] = (),
    ) -> None:
        """`other_gaps`: frames; one of these and of the manifest's own gap is drawn for each sample."""
        self.choose = FrameSampler(videos, len(manifest.labels))
        self.packed = packed
        self.manifest = manifest
        self.gaps = (manifest.motion.gap, *other_gaps)
        self.settings = settings
        self.seed = seed
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def draw(self, number: int) -> SampleDraw:
        """What is drawn for that sample."""
        random = np.random.default_rng((self.seed, number))
        choice = self.choose(random)
        gap = self.gaps[int(random.integers(len(self.gaps)))] if len(self.gaps) > 1 else self.gaps[0]
        return draw(choice, self.packed[choice.video.name], self.manifest.input_size, gap, self.settings, random)

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        return _computed(self, number)


class ValidationFrames(Dataset[dict[str, NDArray[Any]]]):
    """Chosen frames, unaugmented: for validation while training."""

    def __init__(self, choices: Sequence[VideoFrame], packed: Mapping[str, PackedVideo], manifest: Manifest) -> None:
        self.choices = choices
        self.packed = packed
        self.manifest = manifest

    def __len__(self) -> int:
        return len(self.choices)

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
    return compute(drawn, samples.packed[drawn.choice.video.name], samples.manifest)


def compute(drawn: SampleDraw, packed: PackedVideo, manifest: Manifest) -> dict[str, NDArray[Any]]:
    """Network input `image` (C, h, w) float32 and the arrays of `Targets` by name."""
    frame = _network_frame(drawn.augmentation, packed[drawn.choice.frame], manifest)
    cue = _motion(drawn, frame, packed, manifest)
    goal = targets(drawn.boxes, drawn.labels, len(manifest.labels), grid(manifest), manifest.stride)
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
