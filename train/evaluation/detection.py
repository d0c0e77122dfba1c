"""Shell. A model over the videos of a split: its detections in every frame, to be saved."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.cameras.video_file import probe
from edge.detector import Detections, invalid_outputs_message
from edge.inference import Engine
from edge.manifest import PreprocessingChoice
from edge.pipeline import PipelineSettings
from edge.terminal import progress
from edge.tiles import Tiling
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation.detection_file import SavedDetections
from train.evaluation.model_pool import run_tasks
from train.evaluation.video_pipeline import append_detections, run_video

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DetectionTask:
    """One video to run a model over. `rate`: its frames per second, whatever the file says; None: the file's."""

    annotation: VideoAnnotation
    video: Path
    minimum_score: float
    tiling: Tiling = Tiling()
    rate: float | None = None


@dataclass(frozen=True, eq=False)
class VideoDetections:
    """One video: detections by frame from 0, width and height of its frames, and frames per second; 0: unknown."""

    found: list[Detections]
    size: tuple[int, int]
    rate: float = 0.0


def detect(
    model: Path,
    tasks: Sequence[DetectionTask],
    labels: Sequence[str],
    jobs: int | None,
    preprocessing: PreprocessingChoice = "auto",
) -> SavedDetections:
    """Run the tasks, `jobs` at a time; `labels` are the model's. Raises what `model_pool.run_tasks` raises."""
    results = run_tasks(model, detect_video, tasks, jobs, preprocessing)
    videos = list(progress.track(results, "detecting", "video", len(tasks)))
    if invalid := sum(one.invalid for video in videos for one in video.found):
        log.warning("%s", invalid_outputs_message(invalid))
    return joined([task.annotation.name for task in tasks], labels, videos)


def joined(names: Sequence[str], labels: Sequence[str], videos: Sequence[VideoDetections]) -> SavedDetections:
    """The detections of the named videos as one record; `labels` are the model's."""
    counts = [len(one.scores) for video in videos for one in video.found]
    frames = [frame for video in videos for frame in range(len(video.found))]
    numbers = [number for number, video in enumerate(videos) for _ in video.found]
    every = [one for video in videos for one in video.found]
    return SavedDetections(
        tuple(names),
        tuple(labels),
        np.array([len(video.found) for video in videos], dtype=np.int64),
        np.array([video.size for video in videos], dtype=np.int64).reshape(-1, 2),
        np.repeat(np.array(numbers, np.int64), counts),
        np.repeat(np.array(frames, np.int64), counts),
        _concatenated([one.boxes for one in every], np.zeros((0, 4), np.float32)),
        _concatenated([one.scores for one in every], np.zeros(0, np.float32)),
        np.concatenate([np.zeros(0, np.int64), *(one.labels for one in every)]),
        _concatenated([one.class_scores for one in every], np.zeros((0, len(labels)), np.float32)),
        np.array([video.rate for video in videos], dtype=np.float64),
    )


def detect_video(engine: Engine, task: DetectionTask) -> VideoDetections:
    """The daemon's own pipeline over the annotated frames of one video. Raises CaptureError."""
    settings = PipelineSettings(minimum_score=task.minimum_score, tiling=task.tiling)
    found: list[Detections] = []
    size = (0, 0)
    for frame, result, state in run_video(task.annotation, task.video, engine, settings, task.rate):
        append_detections(found, frame.index, result.detections)
        size = state.frame_size
    return VideoDetections(found, size, task.rate or probe(task.video).fps)


def _concatenated(parts: Sequence[NDArray[np.float32]], empty: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([empty, *parts])
