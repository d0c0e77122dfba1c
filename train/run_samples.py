"""What a run learns from, what it is validated on, and what its model will say of itself."""

from collections.abc import Mapping, Sequence

from edge.manifest import Manifest
from train import clip_training
from train.clips.samples import ClipTrainingSet, ClipValidationFrames
from train.clips.settings import NMS_IOU
from train.datasets.annotation_records import VideoAnnotation
from train.datasets.packed_video import PackedVideo
from train.networks.yowo.names import TRAINED
from train.samples import TrainingSet, ValidationFrames, every_nth
from train.train_settings import TrainSettings
from train.training_data import TrainingData
from train.validation import ValidationPart


def learned(
    parts: Sequence[Sequence[VideoAnnotation]],
    packed: Mapping[str, PackedVideo],
    manifest: Manifest,
    settings: TrainSettings,
) -> TrainingSet | ClipTrainingSet:
    """The samples to learn from, of the videos of each data set."""
    if manifest.clip is not None:
        return clip_training.training_set(parts, packed, manifest, settings)
    return TrainingSet(
        parts, packed, manifest, settings.augment, settings.seed, settings.samples, settings.other_gaps, settings.shares
    )


def validated(
    data: TrainingData, stride: int, packed: Mapping[str, PackedVideo], manifest: Manifest
) -> tuple[ValidationPart, ...]:
    """Every so many frames of what each data set holds out, of those that name any action."""
    frames = ValidationFrames if manifest.clip is None else ClipValidationFrames
    return tuple(
        ValidationPart(part.title, part.labels, frames(every_nth(part.validation, stride), packed, manifest))
        for part in data.parts
        if part.labels
    )


def manifest_of(settings: TrainSettings, data: TrainingData) -> Manifest:
    """Of the model that will come of the run."""
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
        clip=settings.clips.clip if clips else None,
        nms_iou=NMS_IOU if clips else 1.0,
    )
