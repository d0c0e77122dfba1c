"""Which frames of a video hold an action, are annotated empty, or are not annotated."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from train.datasets import annotated_frames
from train.datasets.annotation_records import VideoAnnotation


def known_frames(annotation: VideoAnnotation) -> NDArray[np.int64]:
    """The numbers of the annotated frames, rising."""
    return annotated_frames.within(annotation.annotated_frames, annotation.frames)


def idle(annotation: VideoAnnotation, frames: int) -> NDArray[np.bool_]:
    """(frames,): which of the first `frames` are annotated and hold no action of any class."""
    shown = annotated_frames.mask(annotation.annotated_frames, frames)
    for tube in annotation.tubes:
        shown[tube.first_frame : tube.end_frame] = False
    return shown


@dataclass(frozen=True)
class FrameKinds:
    """How many frames of videos hold an action, are annotated empty, and are not annotated."""

    with_action: int = 0
    empty: int = 0
    not_annotated: int = 0

    def __add__(self, other: "FrameKinds") -> "FrameKinds":
        return FrameKinds(
            self.with_action + other.with_action, self.empty + other.empty, self.not_annotated + other.not_annotated
        )


def frame_kinds(annotation: VideoAnnotation, frames: int) -> FrameKinds:
    """Of one video, whose file has so many frames, 0 where unknown."""
    whole = counted(annotation, frames)
    known, background = len(known_frames(whole)), int(idle(whole, whole.frames).sum())
    return FrameKinds(known - background, background, max(frames, whole.frames) - known)


def not_annotated(videos: Iterable[VideoAnnotation]) -> int:
    """How many frames are not annotated, as far as is known without the video files."""
    return sum(frame_kinds(video, 0).not_annotated for video in videos)


def counted(annotation: VideoAnnotation, frames: int) -> VideoAnnotation:
    """With the number of frames of its file, where the annotation has no number and holds for all of them."""
    return (
        annotation
        if annotation.frames or annotation.annotated_frames is not None
        else replace(annotation, frames=frames)
    )
