"""Shell. `korsal-evaluate MODEL`: a model scored on the videos of a data set."""

import argparse
import logging
from pathlib import Path
from typing import Any, get_args

import edge
from edge.detector import MIN_SCORE
from edge.inference import Engine
from edge.terminal import progress
from edge.terminal.tiling_options import add_tiling, given, tiling_of
from train.datasets import loader
from train.datasets.frame_kinds import not_annotated
from train.evaluation import options as shared
from train.evaluation import report_files
from train.evaluation.evaluation import EvaluationRun, evaluate
from train.evaluation.protocol_options import add_protocol, protocol_of
from train.evaluation.report import Report
from train.evaluation.report_format import as_json, as_table, comparison_note, not_annotated_note
from train.evaluation.shared_labels import shared_labels
from train.evaluation.splits import of_split, trained_on_other_split, videos_to_evaluate
from train.evaluation.video_evaluation import LinkerKind
from train.open_model import open_model

log = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    shared.add_model(parser)
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set: annotations, lists, videos/")
    shared.add_fold(parser)
    shared.add_split(parser)
    add_protocol(parser)
    parser.add_argument("--linker", choices=get_args(LinkerKind), default="default")
    shared.add_limit(parser)
    shared.add_jobs(parser)
    shared.add_preprocessing(parser)
    add_tiling(parser)
    shared.add_report_files(parser)


def run(options: argparse.Namespace) -> None:
    """Score a model on the videos of a data set.

    Single steps: korsal-evaluate detect, link, score, events or export; --help after each.
    """
    with open_model(options.model, 1, options.preprocessing) as engine:
        manifest, model = engine.manifest, _identity(engine)
    data = loader.load(options.data, options.fold)
    both = shared_labels(manifest.labels, data, options.model)
    if warning := trained_on_other_split(manifest, data):
        log.warning("%s", warning)
    chosen = both.of(videos_to_evaluate(data, options.split, options.limit))
    report_files.check_paths(options.json, options.plots)
    protocol = protocol_of(options)
    look, prepare = tiling_of(options), options.preprocessing
    run = EvaluationRun(chosen, options.linker, protocol, options.jobs, look, both.labels, prepare)
    scores = evaluate(options.model, data, run)
    circumstances = {
        "data": f"{data.title}, {options.split}",
        "videos": len(chosen),
        "videos_of_split": len(of_split(data, options.split)),
        "frames_not_annotated": not_annotated(chosen),
        "linker": options.linker,
        "left_out": both.left_out,
        "seen_as": str(look),
        "minimum_score": MIN_SCORE,
        "model": model,
        "version": edge.__version__,
    }
    _write(scores, circumstances, both.sentence(data.title), options)


def _identity(engine: Engine) -> dict[str, str]:
    """What is evaluated, and how it runs."""
    return {
        "name": engine.manifest.name,
        "sha256": engine.sha256,
        "runtime": engine.runtime,
        "preprocessing": engine.preprocessor,
    }


def _write(scores: Report, circumstances: dict[str, Any], left_out: str, options: argparse.Namespace) -> None:
    """The table first: it cannot fail."""
    protocol = scores.protocol
    circumstance = f"{_seen(options)}{shared.prepared(circumstances['model']['preprocessing'])}"
    print(
        f"{circumstances['model']['name']} on {circumstances['data']}: {circumstances['videos']} of "
        f"{circumstances['videos_of_split']} videos, protocol {protocol.name}, {protocol.frames} frames, AP rule "
        f"{protocol.rule}, linker {options.linker}{circumstance}; percent"
    )
    if left_out:
        print(left_out)
    print(as_table(scores))
    if circumstances["frames_not_annotated"]:
        print(not_annotated_note(circumstances["frames_not_annotated"]))
    print(comparison_note(len(scores.labels), circumstances["data"]))
    if options.json:
        report_files.write_scores(as_json(scores, circumstances), options.json)
    if options.plots:
        report_files.draw(scores, options.plots)
    print(_next(options))


def _seen(options: argparse.Namespace) -> str:
    """Where the network has looked, unless at whole frames."""
    tiling = tiling_of(options)
    return "" if tiling.is_whole else f", seen as {tiling}"


def _next(options: argparse.Namespace) -> str:
    """A checkpoint is exported; a model is evaluated by its events."""
    model: Path = options.model
    if model.suffix == ".pt":
        kept = ("--scores", options.json) if options.json else ()
        return progress.next_step("korsal-convert", "export", model, "-o", model.with_suffix(".onnx"), *kept)
    again = (*given(options), *shared.preprocessing_arguments(options))
    chosen = (*shared.data_arguments(options, "validation"), *again, "-o", "validation.npz")
    return progress.next_step("korsal-evaluate", "detect", model, *chosen)
