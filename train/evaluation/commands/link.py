"""Shell. `korsal-evaluate link`: saved detections → saved action tubes."""

import argparse
from pathlib import Path

from edge.terminal import progress
from train import output_paths
from train.datasets import loader
from train.datasets.annotation_records import DataSet
from train.evaluation import detection_file, linking, scoring, tube_file
from train.evaluation import options as shared
from train.evaluation.action_lengths import typical_lengths, with_lengths
from train.evaluation.detection_file import SavedDetections
from train.evaluation.scoring import ScoreError
from train.evaluation.splits import of_split
from train.output_paths import OutputPathError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "detections", type=Path, help="an .npz file of detections, or a file of another project with --data"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz file to write")
    shared.add_data(parser, required=False)
    shared.add_split(parser)
    shared.add_rate(parser)
    parser.add_argument("--linker", choices=linking.LINKING_METHODS, default="default")


def run(options: argparse.Namespace) -> None:
    """Link saved detections into action tubes, frame by frame as the daemon does, and save them.

    With --data they are cut by the typical action lengths of its training part.
    """
    output_paths.check(options.output, "-o", ".npz")
    if options.output.resolve() == options.detections.resolve():
        raise OutputPathError(f"{options.output}: holds the detections to link; give -o another name")
    data = loader.load(options.data, options.fold) if options.data else None
    found = _detections(options, data).at_rate(options.rate)
    lengths = typical_lengths(data) if data else {}
    method = with_lengths(linking.LINKING_METHODS[options.linker], lengths, found.label_names)
    with progress.Progress("linking", "video", len(found.video_names)) as linked:
        made = linking.link(found, method, linked.update)
    tube_file.save(made, options.output)
    print(f"{progress.file_summary(options.output)}: {len(made.tubes)} tubes in {len(made.video_names)} videos")
    print(progress.next_step("korsal-evaluate", "score", *shared.data_arguments(options), "--tubes", options.output))


def _detections(options: argparse.Namespace, data: DataSet | None) -> SavedDetections:
    """Our own file, or one of another project, whose videos and classes are those of --data."""
    if options.detections.suffix == ".npz":
        return detection_file.load(options.detections, dense=True)
    if data is None:
        raise ScoreError(f"{options.detections}: names neither videos nor classes; give the --data that it belongs to")
    return scoring.load_detections(options.detections, of_split(data, options.split), data.labels)
