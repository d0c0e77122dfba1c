"""Shell. The daemon's own pipeline over one video, to its last annotated frame."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from edge import pipeline
from edge.cameras.video_file import read_file
from edge.detector import Detections
from edge.inference import Engine
from edge.pipeline import PipelineSettings, PipelineState, StepResult
from edge.sources import Frame
from train.datasets.annotation_records import VideoAnnotation


def run_video(
    annotation: VideoAnnotation, video: Path, engine: Engine, settings: PipelineSettings, rate: float | None = None
) -> Iterator[tuple[Frame, StepResult, PipelineState]]:
    """Each frame that can be decoded, its result, and the state after it. Raises CaptureError.

    `rate`: frames per second, whatever the file says; None: the file's times.
    """
    read = read_file(video, annotation.name)
    timed = read if rate is None else (replace(frame, monotonic_time=frame.index / rate) for frame in read)
    frames = takewhile(lambda frame: not frame.index >= annotation.frames > 0, timed)
    return pipeline.run(frames, engine, settings, pipeline.initial(annotation.name, seed="evaluation"))


def append_detections(found: list[Detections], index: int, detections: Detections) -> None:
    """Append those of frame `index`, and before them nothing for each frame that could not be decoded."""
    missing = index - len(found)
    found += [*[_none(detections.class_scores.shape[1])] * missing, detections]


def _none(classes: int) -> Detections:
    empty = np.zeros(0, np.float32)
    return Detections(np.zeros((0, 4), np.float32), empty, np.zeros(0, np.int64), np.zeros((0, classes), np.float32))
