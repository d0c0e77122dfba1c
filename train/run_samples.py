"""What a run learns from, what it is validated on, and what its model will say of itself."""

import math
from collections.abc import Mapping, Sequence

from edge.manifest import Manifest
from edge.memory_network import MemoryNetwork
from train import clip_training
from train.clips.samples import ClipTrainingSet, ClipValidationFrames
from train.clips.settings import NMS_IOU
from train.datasets.annotation_records import VideoAnnotation, VideoFrame
from train.datasets.frame_kinds import known_frames
from train.datasets.packed_video import PackedVideo
from train.memory_features import MemoryVideos
from train.networks.yowo.names import TRAINED
from train.samples import TrainingSet, ValidationFrames, every_nth
from train.train_settings import TrainSettings
from train.training_data import TrainingData
from train.validation import ValidationPart

LEAST_VALIDATED = 256  # frames of a data set, if it holds out as many: the best of six scores on 37 frames is chance's


def learned(
    parts: Sequence[Sequence[VideoAnnotation]],
    packed: Mapping[str, PackedVideo],
    manifest: Manifest,
    settings: TrainSettings,
    memory: MemoryVideos,
) -> TrainingSet | ClipTrainingSet:
    """The samples to learn from, of the videos of each data set; `memory`: their maps, where they are taken."""
    if clip_training.sees_clips(settings):
        return clip_training.training_set(parts, packed, manifest, settings, memory)
    return TrainingSet(
        parts,
        packed,
        manifest,
        settings.augment,
        settings.seed,
        settings.samples,
        settings.other_gaps,
        settings.shares,
        memory,
        settings.memory_dropout,
    )


def validated(
    data: TrainingData, stride: int, packed: Mapping[str, PackedVideo], manifest: Manifest, memory: MemoryVideos
) -> tuple[ValidationPart, ...]:
    """Every `stride`-th frame, more where these are few, of what each data set holds out that names any action.

    Where one map of a clip or of a memory serves several frames, frames are taken whose maps are of any age.
    """

    def frames(choices: Sequence[VideoFrame]) -> ValidationFrames | ClipValidationFrames:
        if manifest.architecture in TRAINED:
            return ClipValidationFrames(choices, packed, manifest, memory)
        return ValidationFrames(choices, packed, manifest, memory)

    return tuple(
        ValidationPart(part.title, part.labels, frames(_spread(part.validation, stride, _served(manifest))))
        for part in data.parts
        if part.labels
    )


def _served(manifest: Manifest) -> int:
    """How many frames one map of what has been seen before serves."""
    if manifest.clip is not None:
        return manifest.clip.every
    return 1 if manifest.memory is None else manifest.memory.interval


def _spread(videos: Sequence[VideoAnnotation], stride: int, served: int) -> list[VideoFrame]:
    """Every `stride`-th frame, or so many more that they are about LEAST_VALIDATED.

    Of `served` frames with one map every 16th, say, would always be the one that it was made for. So the step has no
    divisor in common with them, and videos, which may be short, begin with one frame after the other.
    """
    frames = sum(len(known_frames(video)) for video in videos)
    step = max(1, min(stride, frames // LEAST_VALIDATED))
    while math.gcd(step, served) > 1:
        step += 1
    return every_nth(videos, step, min(step, served))


def manifest_of(settings: TrainSettings, data: TrainingData, memory: MemoryNetwork | None) -> Manifest:
    """Of the model that will come of the run; `memory`: the one whose maps it takes."""
    clips = settings.architecture in TRAINED
    return Manifest(
        name=f"korsal-{settings.architecture}",
        architecture=settings.architecture,
        labels=data.labels,
        height=settings.height,
        width=settings.width,
        motion=settings.motion,
        rate=data.rate,
        training={"data": data.title, "videos": len(data.files), "samples": settings.samples},
        clip=settings.clips.clip if clips and memory is None else None,
        nms_iou=NMS_IOU if clips else 1.0,
        memory=memory,
    )
