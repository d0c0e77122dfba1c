"""Shell. `korsal-evaluate score`: saved detections and tubes against the ground truth."""

import argparse
import json
from pathlib import Path

import numpy as np

import edge
from edge.terminal import progress
from train.evaluation import options as shared
from train.evaluation import report_files, scoring
from train.evaluation.protocol_options import add_protocol, protocol_of
from train.evaluation.protocols import Protocol
from train.evaluation.report_format import as_error_table, as_table, comparison_note, not_annotated_note
from train.evaluation.scoring import ScoreError, ScoreOptions, SplitReport


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    shared.add_data(parser)
    shared.add_split(parser)
    parser.add_argument("--detections", type=Path, nargs="+", help="a file, or one for each split from --fold on")
    parser.add_argument("--tubes", type=Path, nargs="+", help="likewise")
    add_protocol(parser)
    parser.add_argument("--partial", action="store_true", help="score only the videos that the files name")
    shared.add_report_files(parser)


def run(options: argparse.Namespace) -> None:
    """Score saved detections, saved tubes, or both, against a data set or its ground truth alone."""
    if options.plots and not options.detections:
        raise ScoreError(f"--plots {options.plots}: shows boxes in frames, which tubes are not; give --detections too")
    report_files.check_paths(options.json, options.plots)
    protocol = protocol_of(options)
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
