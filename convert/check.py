"""A converted model against the FP32 ONNX it was made from, on real video: outputs, events, accuracy, speed. Shell."""

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convert.calibration import Input
from convert.comparison import Agreement, agreement, unmatched
from edge import pipeline
from edge.cameras.video_file import read_file
from edge.events import Event
from edge.inference import Engine, LoadedEngine
from edge.manifest import INPUT
from edge.pipeline import PipelineSettings
from edge.terminal import progress
from train.datasets.annotation_records import DataSet
from train.evaluation.evaluation import EvaluationRun, evaluate
from train.evaluation.event_metrics import settings_by_action
from train.evaluation.report import Report
from train.open_model import open_model

ROUNDS = 60  # calls that are timed for each batch size
WARM_UP = 5
BATCHES = (1, 2, 4, 8)


class CheckError(Exception):
    """Two models that cannot be compared."""


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """One of the two: its file, and what runs it."""

    path: Path
    opened: LoadedEngine

    @property
    def engine(self) -> Engine:
        """What answers."""
        return self.opened.engine

    def takes(self, batch: int) -> bool:
        """True for a batch that it can be given: TensorRT's engines are built for some."""
        runner = self.opened.runner
        return runner is None or runner.batches[0] <= batch <= runner.batches[1]


@dataclass(frozen=True)
class Latency:
    """Of one model and one batch size: milliseconds a call, frames a second."""

    batch: int
    p50: float
    p95: float
    p99: float

    @property
    def throughput(self) -> float:
        """Frames per second at the median."""
        return 1000 * self.batch / self.p50


@dataclass(frozen=True, eq=False)
class CheckResult:
    """Everything found; the first of each pair is of the exact model, the second of the converted one."""

    agreement: Agreement
    events: tuple[int, int, int]  # begun: with the exact model, missed by the other, only by the other
    latency: tuple[tuple[Latency, Latency], ...]
    accuracy: tuple[Report, Report] | None = None

    @property
    def lost(self) -> float:
        """Points of frame-mAP@0.5 that the converted model is below the exact one; nan where it was not measured."""
        if self.accuracy is None:
            return float("nan")
        exact, converted = self.accuracy
        return 100 * (exact.frame_map - converted.frame_map)


@dataclass(frozen=True)
class CheckData:
    """What to check on: network inputs (1, C, h, w), videos for events, annotated videos for accuracy if any.

    `exact`: the scores of the exact model, where they are known already.
    """

    images: tuple[Input, ...] = field(repr=False)
    videos: tuple[Path, ...]
    data: DataSet | None = None
    run: EvaluationRun | None = None
    exact: Report | None = None


def check_files(exact: Path, converted: Path, material: CheckData) -> CheckResult:
    """As `check`, for two files. Raises also what `open_model` raises."""
    with ExitStack() as owned:
        models = []
        for path in (exact, converted):
            models.append(ComparedModel(path, open_model(path, threads=1)))
            owned.callback(models[-1].opened.close)
        return check(models[0], models[1], material)


def check(exact: ComparedModel, converted: ComparedModel, material: CheckData) -> CheckResult:
    """Compare two models. Raises CheckError and what engines and videos raise."""
    _alike(exact, converted)
    first, second = exact.engine, converted.engine
    pairs = ((first.infer({INPUT: image}), second.infer({INPUT: image})) for image in material.images)
    found = agreement(pairs)
    events = [_beginnings(engine, material.videos) for engine in (first, second)]
    missed, extra = (sum(len(unmatched(a, b)) for a, b in zip(*order, strict=True)) for order in (events, events[::-1]))
    counts = (sum(map(len, events[0])), missed, extra)
    batches = [batch for batch in BATCHES if exact.takes(batch) and converted.takes(batch)]
    latency = latencies(first, second, material.images[0], batches)
    return CheckResult(found, counts, latency, _accuracy(exact, converted, material))


def _accuracy(exact: ComparedModel, converted: ComparedModel, material: CheckData) -> tuple[Report, Report] | None:
    if material.data is None or material.run is None:
        return None
    known = material.exact or evaluate(exact.path, material.data, material.run)
    return known, evaluate(converted.path, material.data, material.run)


def _alike(exact: ComparedModel, converted: ComparedModel) -> None:
    one, other = exact.engine.manifest, converted.engine.manifest
    for name in ("labels", "height", "width", "motion", "mean", "std", "stride", "top_k"):
        if getattr(one, name) != getattr(other, name):
            raise CheckError(
                f"{converted.path}: its {name} is {getattr(other, name)}, that of {exact.path} {getattr(one, name)}; "
                "compare a model with the one it was made from"
            )


def _beginnings(engine: Engine, videos: Sequence[Path]) -> list[list[Event]]:
    """The events that begin in each video, with the default settings and the model's own start scores."""
    begun, settings = [], PipelineSettings(events=settings_by_action(engine.manifest.start_scores))
    for video in videos:
        frames = progress.track(read_file(video, video.stem), f"events of {video.name}", "frame")
        results = pipeline.run(frames, engine, settings, pipeline.initial(video.stem, "check"))
        begun.append([event for _, result, _ in results for event in result.events if event.type == "new"])
    return begun


def latencies(
    first: Engine, second: Engine, image: Input, batches: Sequence[int]
) -> tuple[tuple[Latency, Latency], ...]:
    """Both engines in turns, call by call, so that what else the machine does falls on both alike."""
    rows = []
    for batch in batches:
        inputs = {INPUT: np.repeat(image, batch, axis=0)}
        times = np.array([[_seconds(engine, inputs) for engine in (first, second)] for _ in range(WARM_UP + ROUNDS)])
        p50, p95, p99 = 1000 * np.percentile(times[WARM_UP:], (50, 95, 99), axis=0)
        one, other = (Latency(batch, float(p50[i]), float(p95[i]), float(p99[i])) for i in (0, 1))
        rows.append((one, other))
    return tuple(rows)


def _seconds(engine: Engine, inputs: dict[str, Any]) -> float:
    began = time.perf_counter()
    engine.infer(inputs)
    return time.perf_counter() - began


def as_text(checked: CheckResult, names: tuple[str, str]) -> str:
    """The whole comparison as lines of text."""
    return "\n".join([*_of_outputs(checked), *_of_latency(checked, names), *_of_accuracy(checked, names)])


def _of_outputs(checked: CheckResult) -> Iterable[str]:
    found = checked.agreement
    yield f"{found.peaks} peaks: {found.lost} lost, {found.extra} extra; matched peaks:"
    for one in found.differences:
        yield f"  {one.output:<13} largest difference {one.largest:.4f}, mean {one.mean:.5f}"
    begun, missed, extra = checked.events
    yield f"{begun} events begin: {missed} missed, {extra} extra"


def _of_latency(checked: CheckResult, names: tuple[str, str]) -> Iterable[str]:
    yield f"{'batch':>5}  {'model':<24}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}{'frames/s':>10}"
    for pair in checked.latency:
        for name, one in zip(names, pair, strict=True):
            yield f"{one.batch:5}  {name:<24}{one.p50:8.2f}{one.p95:8.2f}{one.p99:8.2f}{one.throughput:10.1f}"
    timed = [pair[0].batch for pair in checked.latency]
    if left := [str(batch) for batch in BATCHES if batch not in timed]:
        yield f"batches of {', '.join(left)}: not timed, the engine takes none; build it with --max-batch {left[-1]}"


def _of_accuracy(checked: CheckResult, names: tuple[str, str]) -> Iterable[str]:
    if checked.accuracy is None:
        yield "accuracy: not measured; give --data DIR with annotated videos"
        return
    yield f"{'percent':<24}{'frame-mAP':>10}{'linked':>8}{'video-mAP@0.2':>15}{'@0.5':>8}{'@0.5:0.95':>11}"
    for name, one in zip(names, checked.accuracy, strict=True):
        video = one.video_map
        yield (
            f"{name:<24}{100 * one.frame_map:10.2f}{100 * one.linked_frame_map:8.2f}{100 * video['0.2']:15.2f}"
            f"{100 * video['0.5']:8.2f}{100 * video['0.5:0.95']:11.2f}"
        )
    yield f"lost: {checked.lost:.2f} points of frame-mAP@0.5"
