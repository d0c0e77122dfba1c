"""A converted model against the FP32 ONNX it was made from, on real video: outputs, events, accuracy, speed. Shell."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.comparison import Agreement, agreement, unmatched
from edge import pipeline
from edge.events import Event
from edge.inference import INPUT, Engine
from edge.pipeline import PipelineSettings
from edge.video_file import read_file
from train.annotations import DataSet
from train.evaluate import Run, score
from train.report import Report

ROUNDS = 60  # calls that are timed for each batch size
WARM_UP = 5
BATCHES = (1, 2, 4, 8)

Input = NDArray[np.float32]


class CheckError(Exception):
    """Two models that cannot be compared."""


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
class Checked:
    """Everything found; the first of each pair is of the exact model, the second of the converted one."""

    agreement: Agreement
    events: tuple[int, int, int]  # begun: with the exact model, missed by the other, only by the other
    latency: tuple[tuple[Latency, Latency], ...]
    accuracy: tuple[Report, Report] | None = None

    @property
    def lost(self) -> float:
        """Points of frame-mAP@0.5 that the converted model is below the exact one; nan where nobody measured."""
        if self.accuracy is None:
            return float("nan")
        exact, converted = self.accuracy
        return 100 * (exact.frame_map - converted.frame_map)


@dataclass(frozen=True)
class Material:
    """What to check on: network inputs (1, C, h, w), videos for events, annotated videos for accuracy if any."""

    images: tuple[Input, ...] = field(repr=False)
    videos: tuple[Path, ...]
    data: DataSet | None = None
    run: Run | None = None


def check(exact: tuple[Path, Engine], converted: tuple[Path, Engine], material: Material) -> Checked:
    """Compare two models, each its file and the engine that runs it. Raises CheckError and what videos raise."""
    _alike(exact, converted)
    first, second = exact[1], converted[1]
    pairs = ((first.infer({INPUT: image}), second.infer({INPUT: image})) for image in material.images)
    found = agreement(pairs)
    events = [_beginnings(engine, material.videos) for engine in (first, second)]
    missed, invented = (
        sum(len(unmatched(a, b)) for a, b in zip(*order, strict=True)) for order in (events, events[::-1])
    )
    accuracy = None
    if material.data is not None and material.run is not None:
        reports = [score(path, material.data, material.run) for path in (exact[0], converted[0])]
        accuracy = (reports[0], reports[1])
    counts = (sum(map(len, events[0])), missed, invented)
    return Checked(found, counts, latencies(first, second, material.images[0]), accuracy)


def _alike(exact: tuple[Path, Engine], converted: tuple[Path, Engine]) -> None:
    one, other = exact[1].manifest, converted[1].manifest
    for name in ("labels", "height", "width", "motion", "mean", "std", "stride", "top_k"):
        if getattr(one, name) != getattr(other, name):
            raise CheckError(
                f"{converted[0]}: its {name} is {getattr(other, name)}, that of {exact[0]} {getattr(one, name)}; "
                "compare a model with the one it was made from"
            )


def _beginnings(engine: Engine, videos: Sequence[Path]) -> list[list[Event]]:
    """The events that begin in each video, with the default settings."""
    begun = []
    for video in videos:
        state = pipeline.initial(video.stem, "check")
        events: list[Event] = []
        for frame in read_file(video, video.stem):
            state, step = pipeline.step(state, frame, engine, PipelineSettings())
            events += [event for event in step.events if event.type == "new"]
        begun.append(events)
    return begun


def latencies(first: Engine, second: Engine, image: Input) -> tuple[tuple[Latency, Latency], ...]:
    """Both engines in turns, call by call, so that what else the machine does falls on both alike."""
    rows = []
    for batch in BATCHES:
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


def as_text(checked: Checked, names: tuple[str, str]) -> str:
    """The whole comparison as lines of text."""
    return "\n".join([*_of_outputs(checked), *_of_latency(checked, names), *_of_accuracy(checked, names)])


def _of_outputs(checked: Checked) -> Iterable[str]:
    found = checked.agreement
    yield f"{found.peaks} peaks: {found.lost} lost, {found.invented} invented; of the others"
    for one in found.differences:
        yield f"  {one.output:<13} largest difference {one.largest:.4f}, mean {one.mean:.5f}"
    begun, missed, invented = checked.events
    yield f"{begun} events begin: {missed} missed, {invented} invented"


def _of_latency(checked: Checked, names: tuple[str, str]) -> Iterable[str]:
    yield f"{'batch':>5}  {'model':<24}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}{'frames/s':>10}"
    for pair in checked.latency:
        for name, one in zip(names, pair, strict=True):
            yield f"{one.batch:5}  {name:<24}{one.p50:8.2f}{one.p95:8.2f}{one.p99:8.2f}{one.throughput:10.1f}"


def _of_accuracy(checked: Checked, names: tuple[str, str]) -> Iterable[str]:
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
