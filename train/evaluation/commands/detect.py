"""Shell. `korsal-evaluate detect`: runs a model over videos and saves its detections."""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from edge.cameras.video_file import probe
from edge.detector import MIN_SCORE
from edge.manifest import Manifest
from edge.terminal import progress
from edge.terminal.arguments import fraction
from edge.terminal.tiling_options import add_tiling, tiling_of
from train import output_paths
from train.datasets import loader
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation import detection_file
from train.evaluation import options as shared
from train.evaluation.detection import DetectionTask, detect
from train.evaluation.shared_labels import shared_labels
from train.evaluation.splits import EvaluationError, trained_on_other_split, videos_to_evaluate
from train.open_model import open_model

log = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    shared.add_model(parser)
    shared.add_data(parser, required=False)
    parser.add_argument("--videos", type=Path, nargs="+", metavar="FILE", help="videos without annotations, instead")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz file to write")
    shared.add_split(parser)
    parser.add_argument("--minimum-score", type=fraction, default=MIN_SCORE, help="weaker boxes are left out")
    shared.add_limit(parser)
    shared.add_jobs(parser)
    shared.add_preprocessing(parser)
    add_tiling(parser)


def run(options: argparse.Namespace) -> None:
    """Run a model over the videos of a data set, or over any videos, and save its detections."""
    if options.videos and options.data:
        raise EvaluationError("--videos need no annotations, --data brings its own videos; give one of them")
    output_paths.check(options.output, "-o", ".npz")
    with open_model(options.model, 1, options.preprocessing) as engine:
        manifest, prepared = engine.manifest, shared.prepared(engine.preprocessor)
    labels = manifest.labels
    rate, chosen = (None, _own_videos(options.videos)) if options.videos else _annotated_videos(options, manifest)
    tasks = [DetectionTask(one, video, options.minimum_score, tiling_of(options), rate) for one, video in chosen]
    found = detect(options.model, tasks, labels, options.jobs, options.preprocessing)
    detection_file.save(found, options.output)
    size = progress.file_summary(options.output)
    print(f"{size}: {len(found.scores)} boxes in {found.frame_counts.sum()} frames of {len(chosen)} videos{prepared}")
    print(_next(options))


def _next(options: argparse.Namespace) -> str:
    known = shared.data_arguments(options) if options.data else ()
    choose = ("--choose", "start_scores.json") if options.data and options.split == "validation" else ()
    return progress.next_step("korsal-evaluate", "events", options.output, *known, *choose)


def _annotated_videos(
    options: argparse.Namespace, manifest: Manifest
) -> tuple[float | None, list[tuple[VideoAnnotation, Path]]]:
    """The data set's frame rate where it has one, and its videos."""
    if options.data is None:
        raise EvaluationError("no videos given; give --data FOLDER, or --videos FILE ... that need no annotations")
    data = loader.load(options.data, options.fold)
    shared_labels(manifest.labels, data, options.model)
    if warning := trained_on_other_split(manifest, data):
        log.warning("%s", warning)
    chosen = videos_to_evaluate(data, options.split, options.limit)
    return data.rate, [(one, data.video(one.name)) for one in chosen]


def _own_videos(files: Sequence[Path]) -> list[tuple[VideoAnnotation, Path]]:
    """Videos without annotations, named after their files; where two have one name, after their folders too."""
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        whole = [os.path.abspath(file) for file in files]
        common = os.path.commonpath(map(os.path.dirname, whole))
        names = [Path(os.path.relpath(one, common)).with_suffix("").as_posix() for one in whole]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise EvaluationError(f"{twice[0]}: two videos of this name; rename one, results go by the name")
    for file in files:
        probe(file)
    return [(VideoAnnotation(name, 0, ()), file) for name, file in zip(names, files, strict=True)]
