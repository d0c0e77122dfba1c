"""Shell. A model scored on annotated videos: the daemon's own pipeline over each of them, and one report on all."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.detector import invalid_outputs_message
from edge.inference import Engine
from edge.manifest import PreprocessingChoice
from edge.terminal import progress
from edge.tiles import Tiling
from train.datasets.annotation_records import DataSet, VideoAnnotation
from train.evaluation.action_lengths import ActionLengths, typical_lengths
from train.evaluation.model_pool import run_tasks
from train.evaluation.protocols import Protocol
from train.evaluation.report import Report, VideoResult, score_videos
from train.evaluation.video_evaluation import LinkerKind, evaluate_video

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class EvaluationTask:
    """One video to run a model over; `labels` count; `rate`: the frames per second of the data."""

    annotation: VideoAnnotation
    video: Path
    labels: tuple[str, ...]
    linker: LinkerKind
    lengths: ActionLengths
    tiling: Tiling
    rate: float | None


@dataclass(frozen=True)
class EvaluationRun:
    """What to evaluate on and how; `jobs` videos at a time, None: as many as `model_pool.default_jobs`.

    `labels`: those that count, as which the videos' tubes are numbered; None: all of the data.
    `linker` trims tubes by how long the actions of the training part last. `preprocessing`: see `train.open_model`.
    """

    videos: tuple[VideoAnnotation, ...]
    linker: LinkerKind = "default"
    protocol: Protocol = field(default_factory=Protocol)
    jobs: int | None = None
    tiling: Tiling = Tiling()
    labels: tuple[str, ...] | None = None
    preprocessing: PreprocessingChoice = "auto"


def evaluate(model: Path, data: DataSet, run: EvaluationRun) -> Report:
    """Run the model over the videos and score what it finds.

    Raises CaptureError, EngineError, ModelError, WorkerError.
    """
    lengths, labels = typical_lengths(data), data.labels if run.labels is None else run.labels
    tasks = [
        EvaluationTask(one, data.video(one.name), labels, run.linker, lengths, run.tiling, data.rate)
        for one in run.videos
    ]
    results = _results(model, tasks, run)
    if invalid := sum(one.invalid for one in results):
        log.warning("%s", invalid_outputs_message(invalid))
    return score_videos(results, labels, run.protocol)


def _results(model: Path, tasks: Sequence[EvaluationTask], run: EvaluationRun) -> list[VideoResult]:
    results = run_tasks(model, _evaluate_video, tasks, run.jobs, run.preprocessing)
    return list(progress.track(results, "evaluating", "video", len(tasks)))


def _evaluate_video(engine: Engine, task: EvaluationTask) -> VideoResult:
    rules = (task.linker, task.lengths, task.tiling, task.rate)
    return evaluate_video(task.annotation, task.video, engine, task.labels, *rules)
