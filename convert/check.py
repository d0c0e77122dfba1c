"""A converted model against the FP32 ONNX it was made from, on real video: outputs, events, accuracy, speed. Shell."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from convert import graft_check
from convert.calibration import FramePair
from convert.comparison import Agreement, agreement, unmatched
from convert.frame_answers import answer
from convert.graft_check import GraftParity
from convert.timing import Latency, latencies
from edge import pipeline
from edge.cameras.video_file import read_file
from edge.engines import onnxruntime_engine
from edge.events import Event
from edge.graph_inference import has_motion
from edge.inference import Engine, LoadedEngine
from edge.manifest import Manifest
from edge.pipeline import PipelineSettings
from edge.terminal import progress
from train.datasets.annotation_records import DataSet
from train.evaluation.evaluation import EvaluationRun, evaluate
from train.evaluation.event_metrics import settings_by_action
from train.evaluation.report import Report
from train.open_model import open_model

PREPARED_FRAMES = 32  # whose motion maps are compared with the daemon's
BATCHES = (1, 2, 4, 8)
COMPARED = (  # of manifests: what two models must have in common
    *("labels", "height", "width", "motion", "rate", "clip", "memory", "mean", "std", "stride", "top_k", "nms_iou"),
)
WRONG_MAP = (
    'computes another motion map than the daemon; run the ONNX with model.preprocessing = "cpu", or export it again '
    "--with-motion"
)


class CheckError(Exception):
    """Two models that cannot be compared."""


@dataclass(frozen=True, eq=False)
class ComparedModel:
    """One of the two: its file, and what runs it.

    `preparing`: what runs it with its own preprocessing, None where it has none.
    """

    path: Path
    opened: LoadedEngine
    preparing: Engine | None = None

    @property
    def engine(self) -> Engine:
        """What answers."""
        return self.opened.engine

    def takes(self, batch: int) -> bool:
        """True for a batch that it can be given: TensorRT's engines are built for some."""
        runner = self.opened.runner
        return runner is None or runner.batches[0] <= batch <= runner.batches[1]


@dataclass(frozen=True, eq=False)
class CheckResult:
    """Everything found; the first of each pair is of the exact model, the second of the converted one."""

    agreement: Agreement
    events: tuple[int, int, int]  # begun: with the exact model, missed by the other, only by the other
    latency: tuple[tuple[Latency, Latency], ...]
    accuracy: tuple[Report, Report] | None = None
    preparation: GraftParity | None = None  # the converted one's own, where it has a motion map in its graph
    from_frames: bool = False  # what was timed: preparation and network, or the network alone

    @property
    def lost(self) -> float:
        """Points of frame-mAP@0.5 that the converted model is below the exact one; nan where it was not measured."""
        if self.accuracy is None:
            return float("nan")
        exact, converted = self.accuracy
        return 100 * (exact.frame_map - converted.frame_map)

    @property
    def has_wrong_map(self) -> bool:
        """Whether the motion maps of the converted one's own graph are not the daemon's."""
        return self.preparation is not None and not self.preparation.within_tolerance


@dataclass(frozen=True)
class CheckData:
    """What to check on: frames, fitted, with those before them; videos for events; annotated ones for accuracy if any.

    `exact`: the scores of the exact model, where they are known already.
    """

    frames: tuple[FramePair, ...] = field(repr=False)
    videos: tuple[Path, ...]
    data: DataSet | None = None
    run: EvaluationRun | None = None
    exact: Report | None = None


def check_files(exact: Path, converted: Path, material: CheckData) -> CheckResult:
    """As `check`, for two files. Raises also what `open_model` raises."""
    with ExitStack() as owned:
        models = []
        for path in (exact, converted):
            opened = owned.enter_context(closing(open_model(path, threads=1)))
            models.append(ComparedModel(path, opened, _preparing(path, opened.engine)))
        return check(models[0], models[1], material)


def _preparing(path: Path, engine: Engine) -> Engine | None:
    """What runs the file with its own preprocessing: ONNX Runtime has opened the network alone."""
    if path.suffix == ".onnx" and engine.preprocessor != "graph":
        engine = onnxruntime_engine.load(path, threads=1, preprocessing="graph")
    return engine if engine.preprocessor == "graph" else None


def check(exact: ComparedModel, converted: ComparedModel, material: CheckData) -> CheckResult:
    """Compare two models. Raises CheckError and what engines and videos raise."""
    _alike(exact, converted)
    first, second = exact.engine, converted.engine
    found = agreement((answer(first, pair), answer(second, pair)) for pair in material.frames)
    events = [_beginnings(engine, material.videos) for engine in (first, second)]
    missed, extra = (sum(len(unmatched(a, b)) for a, b in zip(*order, strict=True)) for order in (events, events[::-1]))
    counts = (sum(map(len, events[0])), missed, extra)
    batches = [batch for batch in BATCHES if exact.takes(batch) and converted.takes(batch)]
    latency = latencies(first, second, material.frames[0], batches)
    from_frames = any(engine.preprocessor == "graph" for engine in (first, second))
    accuracy = _accuracy(exact, converted, material)
    return CheckResult(found, counts, latency, accuracy, _preparation(converted, material), from_frames)


def _preparation(converted: ComparedModel, material: CheckData) -> GraftParity | None:
    engine = converted.preparing
    if engine is None or not has_motion(engine.manifest):
        return None
    return graft_check.compare_maps(engine, material.frames[:PREPARED_FRAMES])


def _accuracy(exact: ComparedModel, converted: ComparedModel, material: CheckData) -> tuple[Report, Report] | None:
    if material.data is None or material.run is None:
        return None
    known = material.exact or evaluate(exact.path, material.data, material.run)
    return known, evaluate(converted.path, material.data, material.run)


def _alike(exact: ComparedModel, converted: ComparedModel) -> None:
    """CheckError where the two are of different things; `exact` alone says what both read beside their frames."""
    one, other = (_comparable(model.engine.manifest) for model in (exact, converted))
    for name in COMPARED:
        if getattr(one, name) != getattr(other, name):
            what, theirs, its = _difference(name, getattr(one, name), getattr(other, name))
            raise CheckError(
                f"{converted.path}: its {what} is {its}, that of {exact.path} {theirs}; "
                "compare a model with the one it was made from"
            )


def _difference(name: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """The name of what differs, and both: of records their first fields that do, like `memory.interval`."""
    if None in (one, other):
        return name, "there" if one else "missing", "there" if other else "missing"
    if not is_dataclass(one):
        return name, one, other
    field = next(field.name for field in fields(one) if getattr(one, field.name) != getattr(other, field.name))
    return f"{name}.{field}", getattr(one, field), getattr(other, field)


def _comparable(manifest: Manifest) -> Manifest:
    """The manifest without what an exported memory says and that of a checkpoint does not: its file and its parts."""
    memory = manifest.memory
    return manifest if memory is None else replace(manifest, memory=replace(memory, sha256="", parts=()))


def _beginnings(engine: Engine, videos: Sequence[Path]) -> list[list[Event]]:
    """The events that begin in each video, with the default settings and the model's own start scores."""
    begun, settings = [], PipelineSettings(events=settings_by_action(engine.manifest.start_scores))
    for video in videos:
        frames = progress.track(read_file(video, video.stem), f"events of {video.name}", "frame")
        results = pipeline.run(frames, engine, settings, pipeline.initial(video.stem, "check"))
        begun.append([event for _, result, _ in results for event in result.events if event.type == "new"])
    return begun


def as_text(checked: CheckResult, names: tuple[str, str]) -> str:
    """The whole comparison as lines of text."""
    parts = _of_outputs(checked), _of_preparation(checked), _of_latency(checked, names), _of_accuracy(checked, names)
    return "\n".join(line for part in parts for line in part)


def _of_outputs(checked: CheckResult) -> Iterable[str]:
    found = checked.agreement
    yield f"{found.peaks} peaks: {found.lost} lost, {found.extra} extra; matched peaks:"
    for one in found.differences:
        yield f"  {one.output:<13} largest difference {one.largest:.4f}, mean {one.mean:.5f}"
    begun, missed, extra = checked.events
    yield f"{begun} events begin: {missed} missed, {extra} extra"


def _of_preparation(checked: CheckResult) -> Iterator[str]:
    if (found := checked.preparation) is not None:
        yield (
            f"motion maps of its own graph: {found.maps:.2g} from the daemon's at most ({graft_check.TOLERANCE:g} "
            f"allowed), a worse shift in {found.worse} of {found.frames} frames (none allowed)"
        )


def _of_latency(checked: CheckResult, names: tuple[str, str]) -> Iterable[str]:
    if checked.from_frames:
        yield "times from frames of the network's size on, fitting and motion map included"
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
