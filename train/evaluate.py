"""Shell. `korsal-evaluate`: the daemon's own pipeline over the videos of a split, scored against its annotations."""

import argparse
import atexit
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import edge
from edge.cameras.video_file import CaptureError
from edge.detector import told_of_invalid
from edge.engines.onnxruntime_engine import EngineError
from edge.inference import Engine
from edge.terminal import output as terminal
from edge.terminal import progress
from edge.terminal.arguments import Parser
from edge.text import to_nfc
from train import output_paths
from train.datasets import load as datasets
from train.datasets.annotations import AnnotationError, DataSet, VideoAnnotation, held_out
from train.datasets.frame_kinds import not_annotated
from train.evaluation.action_lengths import Lengths, usual_lengths
from train.evaluation.plots import PlotError, confusion, precision_recall_curves
from train.evaluation.report_format import (
    FrameSet,
    Protocol,
    Report,
    Rule,
    VideoResult,
    as_json,
    as_table,
    comparison_note,
    report,
    unseen_note,
)
from train.evaluation.video_evaluation import MINIMUM_SCORE, LinkerKind, observe
from train.open_model import ModelError, is_engine, open_model
from train.output_paths import PlaceError

Split = Literal["test", "train", "validation"]
STEPS = (
    "detect",
    "link",
    "score",
    "events",
    "export",
)  # instead of a model: one step alone, see `train.evaluation.steps`
CURVES_FILE = "precision_recall.png"
UCF101 = "UCF101"  # how the titles of its data sets begin


log = logging.getLogger(__name__)


class EvaluationError(Exception):
    """An evaluation that cannot be done; the message names what is in the way and the cure."""


@dataclass(frozen=True, eq=False)
class Task:
    """One video to run a model over; `labels` are those that count, `threads` those of one operator."""

    model: Path
    threads: int
    annotation: VideoAnnotation
    video: Path
    labels: tuple[str, ...]
    linker: LinkerKind
    lengths: Lengths


@dataclass(frozen=True)
class Run:
    """What to evaluate on and how; `jobs` videos at a time, None: as many as `usual_jobs`.

    `linker` cuts tubes by how long the actions of the training part last.
    """

    videos: tuple[VideoAnnotation, ...]
    linker: LinkerKind = "default"
    protocol: Protocol = field(default_factory=Protocol)
    jobs: int | None = None


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    terminal.write_all_letters()
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in STEPS:
        from train.evaluation import steps  # which imports this file

        return steps.main(words)
    options = _parser().parse_args(words)
    progress.show(not options.no_progress)
    errors = (AnnotationError, CaptureError, EngineError, EvaluationError, ModelError, PlaceError, PlotError)
    return carried_out(lambda: _evaluate(options), errors)


def carried_out(work: Callable[[], None], errors: tuple[type[Exception], ...]) -> int:
    """Do the work of a command; its exit status, with a sentence on stderr where it is not 0."""
    try:
        work()
    except errors as error:
        print(f"korsal-evaluate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-evaluate: stopped, nothing was written", file=sys.stderr)
        return 130
    return 0


def _evaluate(options: argparse.Namespace) -> None:
    with open_model(options.model, threads=1) as engine:
        labels = engine.manifest.labels
        known = {"name": engine.manifest.name, "sha256": engine.sha256, "runtime": engine.runtime}
    data = datasets.load(options.data, options.fold)
    check_labels(labels, data.labels, options.model, data.title)
    chosen = thinned(of_split(data, options.split), options.limit)
    run = Run(chosen, options.linker, Protocol(options.rule, options.frames, options.threshold), options.jobs)
    check_videos(data, chosen)
    check_places(options.json, options.plots)
    scores = score(options.model, data, run)
    circumstances = {
        "data": f"{data.title}, {options.split}",
        "videos": len(chosen),
        "videos_of_split": len(of_split(data, options.split)),
        "frames_not_annotated": not_annotated(chosen),
        "linker": options.linker,
        "minimum_score": MINIMUM_SCORE,
        "model": known,
        "version": edge.__version__,
    }
    _write(scores, circumstances, options)


def score(model: Path, data: DataSet, run: Run) -> Report:
    """Watch the videos with the model, in several processes. Raises what those may raise."""
    jobs = min(run.jobs or usual_jobs(model), len(run.videos))
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    lengths = usual_lengths(data)
    tasks = [Task(model, threads, one, data.video(one.name), data.labels, run.linker, lengths) for one in run.videos]
    results = list(_results(tasks, jobs))
    if invalid := sum(one.invalid for one in results):
        log.warning("%s", told_of_invalid(invalid))
    return report(results, data.labels, run.protocol)


def usual_jobs(model: Path) -> int:
    """As many as there are cores; one for a TensorRT engine: each process would hold its own on the one GPU."""
    return 1 if is_engine(model) else len(os.sched_getaffinity(0))


def check_labels(known: Sequence[str], wanted: Sequence[str], source: Path, title: str = "") -> None:
    """EvaluationError where a model, or an .npz file of its detections, does not know a class of the data `title`."""
    missing = [label for label in wanted if label not in set(map(to_nfc, known))]
    if missing:
        raise EvaluationError(
            f"{source}: does not know {', '.join(missing)} (it knows {', '.join(known)}); {_cure(source, title)}"
        )


def _cure(source: Path, title: str) -> str:
    """Of classes that are not known."""
    if source.suffix == ".npz":
        return "give the --data whose actions were detected, or detect with a model that was trained on this data"
    if title.startswith(UCF101):
        return "leave only folders of its actions in videos/, or train it on this data"
    return "name the actions of the data as it does, or train it on this data"


def of_split(data: DataSet, split: Split) -> tuple[VideoAnnotation, ...]:
    """The videos of a split; `validation` is what korsal-train holds out of the training list.

    Raises EvaluationError where there is none.
    """
    training, validation = held_out(data.train)
    splits: dict[Split, tuple[VideoAnnotation, ...]] = {"test": data.test, "train": training, "validation": validation}
    if not splits[split]:
        others = ", ".join(f"{name} holds {len(videos)}" for name, videos in splits.items() if name != split)
        raise EvaluationError(
            f"{data.title}: its split {split} holds no video ({others}); choose another --split, or give a folder "
            f"whose {'testlist.txt' if split == 'test' else 'trainlist.txt'} names enough of them"
        )
    return splits[split]


def thinned(videos: Sequence[VideoAnnotation], limit: int | None) -> tuple[VideoAnnotation, ...]:
    """At most `limit` videos, evenly over the list, which is ordered by class."""
    count = min(limit or len(videos), len(videos))
    return tuple(videos[index * len(videos) // count] for index in range(count))


def check_videos(data: DataSet, videos: Sequence[VideoAnnotation]) -> None:
    """EvaluationError where files are missing."""
    missing = [data.video(video.name) for video in videos if not data.video(video.name).exists()]
    if missing:
        raise EvaluationError(
            f"{missing[0]}: no such file, nor of another ending ({len(missing)} of {len(videos)} videos are missing); "
            f"put the videos of {data.title} at {data.videos}/{'<Class>/' * data.title.startswith(UCF101)}"
        )


def _results(tasks: Sequence[Task], jobs: int) -> Iterator[VideoResult]:
    """What was found in each video, in order, with progress."""
    found = _in_processes(tasks, jobs) if jobs > 1 else _in_this_one(tasks)
    yield from progress.watched(found, "evaluating", "video", len(tasks))


def _in_this_one(tasks: Sequence[Task]) -> Iterator[VideoResult]:
    with open_model(tasks[0].model, tasks[0].threads) as engine:
        for task in tasks:
            yield _observed(task, engine)


def _in_processes(tasks: Sequence[Task], jobs: int) -> Iterator[VideoResult]:
    # spawned, not forked: the runtimes' threads do not survive a fork
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(_watch, tasks)
        except BrokenProcessPool as error:
            raise EvaluationError("a worker process died, for lack of memory perhaps; try --jobs 1") from error


def _watch(task: Task) -> VideoResult:
    return _observed(task, _engine(task.model, task.threads))


def _observed(task: Task, engine: Engine) -> VideoResult:
    return observe(task.annotation, task.video, engine, task.labels, task.linker, task.lengths)


@lru_cache(maxsize=1)
def _engine(model: Path, threads: int) -> Engine:
    """One engine for each worker process, closed at its end."""
    opened = open_model(model, threads)
    atexit.register(opened.close)
    return opened.engine


def check_places(json_path: Path | None, plots: Path | None) -> None:
    """Those of the scores and of the plots, before the long part. Raises PlaceError."""
    if json_path is not None:
        output_paths.check(json_path, "--json")
    if plots is not None:
        output_paths.check(plots / CURVES_FILE, "--plots")


def _write(scores: Report, circumstances: dict[str, Any], options: argparse.Namespace) -> None:
    """The table first: it cannot fail."""
    print(
        f"{circumstances['model']['name']} on {circumstances['data']}: {circumstances['videos']} of "
        f"{circumstances['videos_of_split']} videos, {options.frames} frames, AP rule {options.rule}, "
        f"linker {options.linker}; percent"
    )
    print(as_table(scores))
    if circumstances["frames_not_annotated"]:
        print(unseen_note(circumstances["frames_not_annotated"]))
    print(comparison_note(len(scores.labels), circumstances["data"]))
    if options.json:
        output_paths.write_json(as_json(scores, circumstances), options.json, "--json")
        print(f"scores: {progress.made(options.json)}")
    if options.plots:
        draw(scores, options.plots)
        print(f"plots: {progress.made(options.plots)}")
    print(_next(options.model, options.data, options.json))


def _next(model: Path, data: Path, scores: Path | None) -> str:
    """A checkpoint becomes a model; a model, what is told of it."""
    if model.suffix == ".pt":
        kept = ("--scores", scores) if scores else ()
        return progress.next_step("korsal-convert", "export", model, "-o", model.with_suffix(".onnx"), *kept)
    chosen = ("--data", data, "--split", "validation", "-o", "validation.npz")
    return progress.next_step("korsal-evaluate", "detect", model, *chosen)


def draw(scores: Report, folder: Path) -> None:
    """The curves and the confusion matrix as PNG. Raises PlotError."""
    averages = [one.frame_ap for one in scores.classes]
    precision_recall_curves(scores.labels, scores.curves, averages, folder / CURVES_FILE)
    confusion(scores.labels, scores.confusion, scores.confusion_score, folder / "confusion.png")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="korsal-evaluate",
        description="Score a model on the videos of a data set. Single steps: korsal-evaluate detect, link, score, "
        "events or export; --help after each.",
    )
    parser.add_argument("model", type=Path, help="an .onnx model, a .pt checkpoint of korsal-train, or an engine")
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set: annotations, lists, videos/")
    parser.add_argument("--fold", type=count, default=1, help="its split, where it has several; the first of them")
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--rule", choices=get_args(Rule), default="voc", help="area under the envelope, or trapezoids")
    parser.add_argument("--frames", choices=get_args(FrameSet), default="all", help="those that frame-AP looks at")
    parser.add_argument("--linker", choices=get_args(LinkerKind), default="default")
    parser.add_argument("--threshold", type=share, help="of precision, recall, confusion; default: the best F1")
    parser.add_argument("--limit", type=count, help="this many videos, evenly over the classes")
    parser.add_argument("--jobs", type=count, help="videos at a time; default: one for each core, one for an engine")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the scores there")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write precision_recall.png, confusion.png there")
    progress.add_option(parser)
    return parser


def count(text: str) -> int:
    """A whole number from 1, as an option's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1, as an option's type."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 0 to 1")
    return value


def number(text: str) -> float:
    """NaN where it is none, which no bound lets through."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


if __name__ == "__main__":
    sys.exit(main())
