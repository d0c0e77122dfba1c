"""`korsal-evaluate detect | link | score | events | export`: the parts of an evaluation as steps. Shell."""

import argparse
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

import edge
from edge.cameras.video_file import CaptureError, probe
from edge.engines.onnxruntime_engine import EngineError
from edge.terminal import progress
from edge.terminal.arguments import Parser
from train import output_paths
from train.datasets import load as datasets
from train.datasets.annotations import AnnotationError, DataSet, VideoAnnotation
from train.datasets.looked_at import Looked
from train.evaluate import (
    EvaluationError,
    Split,
    carried_out,
    check_labels,
    check_places,
    check_videos,
    count,
    draw,
    of_split,
    share,
    thinned,
    usual_jobs,
)
from train.evaluation import detection as detect
from train.evaluation import detection_file, event_step, linking, tube_file
from train.evaluation import external_formats as exchange
from train.evaluation import scoring as score
from train.evaluation.action_lengths import knowing, usual_lengths
from train.evaluation.columns import ColumnError
from train.evaluation.detection import DetectionError, Task
from train.evaluation.detection_file import SavedDetections
from train.evaluation.external_formats import ExchangeError, Format
from train.evaluation.moc_tubes import write_moc_tubes
from train.evaluation.plots import PlotError
from train.evaluation.protocols import LAST_PIXEL, NO_EDGES, PROTOCOLS, FrameSet, Protocol, Rule
from train.evaluation.report_format import as_error_table, as_table, comparison_note, unseen_note
from train.evaluation.scoring import Scored, ScoreError, Wish
from train.evaluation.step_options import USUAL_RATE, data_options, data_words
from train.evaluation.video_evaluation import MINIMUM_SCORE
from train.open_model import ModelError, open_model
from train.output_paths import PlaceError

ERRORS = (
    AnnotationError,
    CaptureError,
    ColumnError,
    DetectionError,
    EngineError,
    EvaluationError,
    ExchangeError,
    ModelError,
    PlaceError,
    PlotError,
    ScoreError,
)


def main(arguments: Sequence[str]) -> int:
    """The command line of one step, its name first; returns the exit status."""
    name, *rest = arguments
    parse, run = STEPS[name]
    parser = parse(Parser(prog=f"korsal-evaluate {name}", description=run.__doc__))
    # the option --quiet of `events` has another meaning: a file of quiet videos
    progress.add_option(parser, *(("-q", "--no-progress") if name == "events" else ()))
    options = parser.parse_args(rest)
    progress.show(not options.no_progress)
    return carried_out(lambda: run(options), ERRORS)


def _detect(options: argparse.Namespace) -> None:
    """Run a model over the videos of a data set, or over any, and save what it detects."""
    if options.videos and options.data:
        raise EvaluationError("--videos need no annotations, --data brings its own videos; give one of them")
    output_paths.check(options.output, "-o", ".npz")
    with open_model(options.model, threads=1) as engine:
        labels = engine.manifest.labels
    chosen = _own_videos(options.videos) if options.videos else _annotated_videos(options, labels)
    jobs = min(options.jobs or usual_jobs(options.model), len(chosen))
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    tasks = [Task(options.model, threads, one, video, options.minimum_score) for one, video in chosen]
    found = detect.detect(tasks, labels, jobs)
    detection_file.save(found, options.output)
    size = progress.made(options.output)
    print(f"{size}: {len(found.scores)} boxes in {found.frame_counts.sum()} frames of {len(chosen)} videos")
    known = data_words(options) if options.data else ()
    frames_per_second = probe(chosen[0][1]).fps
    if not math.isclose(frames_per_second, USUAL_RATE, rel_tol=0.01):
        known = (*known, "--rate", f"{frames_per_second:.4g}")
    choose = ("--choose", "start_scores.json") if options.data and options.split == "validation" else ()
    print(progress.next_step("korsal-evaluate", "events", options.output, *known, *choose))


def _annotated_videos(options: argparse.Namespace, labels: Sequence[str]) -> list[tuple[VideoAnnotation, Path]]:
    if options.data is None:
        raise EvaluationError("nothing to watch; give --data FOLDER, or --videos FILE ... that need no annotations")
    data = datasets.load(options.data, options.fold)
    check_labels(labels, data.labels, options.model, data.title)
    chosen = thinned(of_split(data, options.split), options.limit)
    check_videos(data, chosen)
    return [(one, data.video(one.name)) for one in chosen]


def _own_videos(files: Sequence[Path]) -> list[tuple[VideoAnnotation, Path]]:
    """Videos without annotations, named by their files."""
    names = [file.stem for file in files]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise EvaluationError(f"{twice[0]}: two videos of this name; rename one, results are told by name")
    for file in files:
        probe(file)
    return [(VideoAnnotation(name, 0, ()), file) for name, file in zip(names, files, strict=True)]


def _link(options: argparse.Namespace) -> None:
    """Link saved detections into action tubes, frame after frame as the daemon does, and save those.

    With --data they are cut by how long the actions of its training part last.
    """
    output_paths.check(options.output, "-o", ".npz")
    if options.output.resolve() == options.detections.resolve():
        raise PlaceError(f"{options.output}: holds the detections to link; give -o another name")
    data = datasets.load(options.data, options.fold) if options.data else None
    found = _detections(options, data)
    lengths = usual_lengths(data) if data else {}
    settings = knowing(linking.VARIANTS[options.linker], lengths, found.label_names)
    with progress.Progress("linking", "video", len(found.video_names)) as linked:
        made = linking.link(found, settings, linked.update)
    tube_file.save(made, options.output)
    print(f"{progress.made(options.output)}: {len(made.tubes)} tubes in {len(made.video_names)} videos")
    print(progress.next_step("korsal-evaluate", "score", *data_words(options), "--tubes", options.output))


def _detections(options: argparse.Namespace, data: DataSet | None) -> SavedDetections:
    """Our own file, or others', whose videos and classes are those of --data."""
    if options.detections.suffix == ".npz":
        return detection_file.load(options.detections, dense=True)
    if data is None:
        raise ScoreError(f"{options.detections}: names neither videos nor classes; give the --data that it belongs to")
    return score.load_detections(options.detections, of_split(data, options.split), data.labels)


def _score(options: argparse.Namespace) -> None:
    """Score saved detections, saved tubes, or both, against a data set or its ground truth alone."""
    check_places(options.json, options.plots)
    protocol = _protocol(options)
    files = (tuple(options.detections or ()), tuple(options.tubes or ()))
    wish = Wish(options.data, *files, protocol, options.fold, options.split, options.partial)
    with progress.Progress("scoring", ""):
        results = score.score(wish)
    document = score.as_document(results, {"files": _names(files), "version": edge.__version__})
    for one in results:
        _tell(one, protocol)
    if len(results) > 1:
        print(f"mean of {len(results)} splits, percent: {json.dumps(document['mean'])}")
    if options.json:
        output_paths.write_json(document, options.json, "--json")
        print(f"scores: {progress.made(options.json)}")
    for place, one in enumerate(results if options.plots else ()):
        folder = options.plots / f"split{options.fold + place}" if len(results) > 1 else options.plots
        draw(one.report, folder)
        print(f"plots: {progress.made(folder)}")
    ours = [path for path in options.detections or () if path.suffix == ".npz"]
    if ours:
        print(progress.next_step("korsal-evaluate", "events", ours[0], *data_words(options)))


def _export(options: argparse.Namespace) -> None:
    """Write saved detections, or tubes, in the format of another project.

    With --data detections in frames that nobody has looked at are left out; tubes are written whole.
    """
    _check_export(options.output, options.format)
    if options.format == "moc-tubes":
        tubes = tube_file.load(options.file)
        write_moc_tubes(tubes, options.output)
        print(f"{progress.made(options.output)}: {len(tubes.tubes)} tubes of {len(tubes.video_names)} videos")
        print(progress.next_step("korsal-evaluate", "score", "--data", "DATA", "--tubes", options.output))
        return
    found = detection_file.load(options.file)
    looked = _looked_at(options, found) if options.data else ()
    if not options.data:
        print("note: all frames count as annotated; --data DATA leaves out what was found where nobody has looked")
    exchange.save(found, options.output, options.format, looked)
    print(f"{progress.made(options.output)}: {len(found.scores)} boxes of {len(found.video_names)} videos")
    print(progress.next_step("korsal-evaluate", "score", "--data", "DATA", "--detections", options.output))


def _looked_at(options: argparse.Namespace, found: SavedDetections) -> tuple[Looked, ...]:
    """Which frames of each video of the file somebody has looked at, by the data."""
    known = {one.name: one.looked_at for one in of_split(datasets.load(options.data, options.fold), options.split)}
    foreign = next((name for name in found.video_names if name not in known), None)
    if foreign is not None:
        raise ScoreError(
            f"{options.file}: its video {foreign} is not in {options.data}, {options.split}; give the --data, --split "
            "and --fold that were detected in"
        )
    return tuple(known[name] for name in found.video_names)


def _check_export(path: Path, kind: str) -> None:
    """What `link` and `score` read is told by its ending."""
    if kind == "moc":
        output_paths.check(path, "-o", ".pkl")
    elif path.suffix in (".npz", ".pkl"):
        raise PlaceError(f"{path}: {kind} is a folder of files; give -o a name without {path.suffix}")
    elif path.is_dir() and any(path.iterdir()):
        raise PlaceError(f"{path}: holds files already, which would be read with the new ones; give -o a new folder")


def _protocol(options: argparse.Namespace) -> Protocol:
    chosen = PROTOCOLS[options.protocol]
    wanted = {name: value for name in ("rule", "frames") if (value := getattr(options, name)) is not None}
    choices = ("more_than", "zero_without_truth")
    changes: dict[str, Any] = {name: value for name in choices if (value := getattr(options, name)) is not None}
    if options.last_pixel is not None:
        changes |= dict.fromkeys(("predicted_edges", "true_edges"), LAST_PIXEL if options.last_pixel else NO_EDGES)
    if "tube_nms" in options:
        changes["tube_nms"] = options.tube_nms
    counted = {kind: replace(getattr(chosen, kind), **changes) for kind in ("in_frames", "in_videos")}
    laid_over = replace(chosen, **wanted, **counted)
    name = chosen.name if laid_over == chosen else f"{chosen.name}, changed"
    return replace(laid_over, name=name, threshold=options.threshold)


def _tell(one: Scored, protocol: Protocol) -> None:
    print(
        f"{one.title}: {one.videos} of {one.of} videos, protocol {protocol.name}, {protocol.frames} frames, "
        f"AP rule {protocol.rule}; percent"
    )
    print(as_table(one.report))
    if one.not_annotated:
        print(unseen_note(one.not_annotated))
    if not np.isnan(one.report.frame_map):
        print("\nwhere frame-AP at 0.5 is lost; area over recall, and what was missed")
        print(as_error_table(one.report))
    print(comparison_note(len(one.report.labels), one.title))


def _names(files: tuple[tuple[Path, ...], tuple[Path, ...]]) -> dict[str, list[str]]:
    return {kind: [path.name for path in paths] for kind, paths in zip(("detections", "tubes"), files, strict=True)}


def _detect_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("model", type=Path, help="an .onnx model, a .pt checkpoint of korsal-train, or an engine")
    data_options(parser, required=False)
    parser.add_argument("--videos", type=Path, nargs="+", metavar="FILE", help="videos without annotations, instead")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--minimum-score", type=share, default=MINIMUM_SCORE, help="weaker boxes are left out")
    parser.add_argument("--limit", type=count, help="this many videos, evenly over the classes")
    parser.add_argument("--jobs", type=count, help="videos at a time; default: one for each core, one for an engine")
    return parser


def _link_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("detections", type=Path, help="an .npz file of detections, or others' with --data")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz file to write")
    data_options(parser, required=False)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--linker", choices=linking.VARIANTS, default="default")
    return parser


def _score_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    data_options(parser)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--detections", type=Path, nargs="+", help="a file, or one for each split from --fold on")
    parser.add_argument("--tubes", type=Path, nargs="+", help="likewise")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="plain", help="whose way of counting")
    parser.add_argument("--rule", choices=get_args(Rule), help="another area under the curve than the protocol's")
    parser.add_argument("--frames", choices=get_args(FrameSet), help="another set of frames than the protocol's")
    for choice, meaning in (
        ("--last-pixel", "corners are the middle of a pixel: areas with +1"),
        ("--more-than", "an overlap equal to the threshold is no hit"),
        ("--zero-without-truth", "a class without ground truth has AP 0"),
    ):
        parser.add_argument(choice, action=argparse.BooleanOptionalAction, default=None, help=meaning)
    unless = argparse.SUPPRESS  # said: None is an answer too
    parser.add_argument(
        "--tube-nms", type=share, metavar="IOU", default=unless, help="of two tubes that overlap by more drop one"
    )
    parser.add_argument("--no-tube-nms", dest="tube_nms", action="store_const", const=None, default=unless)
    parser.add_argument("--threshold", type=share, help="of precision, recall, confusion; default: the best F1")
    parser.add_argument("--partial", action="store_true", help="score only the videos that the files name")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the scores there")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write precision_recall.png, confusion.png there")
    return parser


def _export_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("file", type=Path, help="an .npz file of `korsal-evaluate detect`; for moc-tubes of `link`")
    parser.add_argument(
        "--format", choices=(*get_args(Format), "moc-tubes"), required=True, help="whose files to write"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file, or the folder of files, to write")
    data_options(parser, required=False)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    return parser


Step = tuple[Callable[[argparse.ArgumentParser], argparse.ArgumentParser], Callable[[argparse.Namespace], None]]
STEPS: Mapping[str, Step] = {
    "detect": (_detect_options, _detect),
    "link": (_link_options, _link),
    "score": (_score_options, _score),
    "events": (event_step.add_options, event_step.events),
    "export": (_export_options, _export),
}
