"""Shell. `korsal-evaluate score`: saved detections and tubes against the ground truth."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

import edge
from edge.terminal import progress
from edge.terminal.arguments import fraction
from train.evaluation import options as shared
from train.evaluation import report_files, scoring
from train.evaluation.protocols import LAST_PIXEL, NO_EDGES, PROTOCOLS, Protocol, Rule, ScoredFrames
from train.evaluation.report_format import as_error_table, as_table, comparison_note, not_annotated_note
from train.evaluation.scoring import ScoreOptions, SplitReport


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    shared.add_data(parser)
    shared.add_split(parser)
    parser.add_argument("--detections", type=Path, nargs="+", help="a file, or one for each split from --fold on")
    parser.add_argument("--tubes", type=Path, nargs="+", help="likewise")
    _add_protocol(parser)
    shared.add_threshold(parser)
    parser.add_argument("--partial", action="store_true", help="score only the videos that the files name")
    shared.add_report_files(parser)


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocol", choices=PROTOCOLS, default="plain", help="whose rules to count by")
    parser.add_argument("--rule", choices=get_args(Rule), help="another area under the curve than the protocol's")
    parser.add_argument("--frames", choices=get_args(ScoredFrames), help="another set of frames than the protocol's")
    for choice, meaning in (
        ("--last-pixel", "corners are the middle of a pixel: areas with +1"),
        ("--more-than", "an overlap equal to the threshold is no hit"),
        ("--zero-without-truth", "a class without ground truth has AP 0"),
    ):
        parser.add_argument(choice, action=argparse.BooleanOptionalAction, default=None, help=meaning)
    absent = argparse.SUPPRESS  # given: None is an answer too
    parser.add_argument(
        "--tube-nms",
        type=fraction,
        metavar="IOU",
        default=absent,
        help="of two tubes that overlap by more drop one",
    )
    parser.add_argument("--no-tube-nms", dest="tube_nms", action="store_const", const=None, default=absent)


def run(options: argparse.Namespace) -> None:
    """Score saved detections, saved tubes, or both, against a data set or its ground truth alone."""
    report_files.check_paths(options.json, options.plots)
    protocol = _protocol(options)
    detections, tubes = tuple(options.detections or ()), tuple(options.tubes or ())
    score_options = ScoreOptions(
        options.data, detections, tubes, protocol, options.fold, options.split, options.partial
    )
    with progress.Progress("scoring", ""):
        results = scoring.score(score_options)
    names = {"detections": [path.name for path in detections], "tubes": [path.name for path in tubes]}
    document = scoring.as_document(results, {"files": names, "version": edge.__version__})
    for one in results:
        _print(one, protocol)
    if len(results) > 1:
        print(f"mean of {len(results)} splits, percent: {json.dumps(document['mean'])}")
    if options.json:
        report_files.write_scores(document, options.json)
    for place, one in enumerate(results if options.plots else ()):
        folder = options.plots / f"split{options.fold + place}" if len(results) > 1 else options.plots
        report_files.draw(one.report, folder)
    ours = [path for path in detections if path.suffix == ".npz"]
    if ours:
        print(progress.next_step("korsal-evaluate", "events", ours[0], *shared.data_arguments(options)))


def _protocol(options: argparse.Namespace) -> Protocol:
    """The chosen protocol, with what single options change."""
    chosen = PROTOCOLS[options.protocol]
    wanted = {name: value for name in ("rule", "frames") if (value := getattr(options, name)) is not None}
    choices = ("more_than", "zero_without_truth")
    changes: dict[str, Any] = {name: value for name in choices if (value := getattr(options, name)) is not None}
    if options.last_pixel is not None:
        changes |= dict.fromkeys(("predicted_edges", "true_edges"), LAST_PIXEL if options.last_pixel else NO_EDGES)
    if "tube_nms" in options:
        changes["tube_nms"] = options.tube_nms
    counted = {kind: replace(getattr(chosen, kind), **changes) for kind in ("in_frames", "in_videos")}
    changed = replace(chosen, **wanted, **counted)
    name = chosen.name if changed == chosen else f"{chosen.name}, changed"
    return replace(changed, name=name, threshold=options.threshold)


def _print(one: SplitReport, protocol: Protocol) -> None:
    print(
        f"{one.title}: {one.videos} of {one.videos_of_split} videos, protocol {protocol.name}, "
        f"{protocol.frames} frames, AP rule {protocol.rule}; percent"
    )
    if left_out := one.shared.sentence(one.title):
        print(left_out)
    print(as_table(one.report))
    if one.not_annotated:
        print(not_annotated_note(one.not_annotated))
    if not np.isnan(one.report.frame_map):
        print("\nwhere frame-AP at 0.5 is lost; area over recall, and what was missed")
        print(as_error_table(one.report))
    print(comparison_note(len(one.report.labels), one.title))
