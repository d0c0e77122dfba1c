"""Shell. `korsal-evaluate export`: saved detections or tubes in the format of another project."""

import argparse
from pathlib import Path
from typing import get_args

from edge.terminal import progress
from train import output_paths
from train.datasets import loader
from train.datasets.annotated_frames import AnnotatedFrames
from train.evaluation import detection_file, external_formats, tube_file
from train.evaluation import options as shared
from train.evaluation.detection_file import SavedDetections
from train.evaluation.external_formats import Format
from train.evaluation.moc_tubes import write_moc_tubes
from train.evaluation.splits import EvaluationError, of_split
from train.output_paths import OutputPathError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("file", type=Path, help="an .npz file of `korsal-evaluate detect`; for moc-tubes of `link`")
    parser.add_argument(
        "--format", choices=(*get_args(Format), "moc-tubes"), required=True, help="whose files to write"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file, or the folder of files, to write")
    shared.add_data(parser, required=False)
    shared.add_split(parser)


def run(options: argparse.Namespace) -> None:
    """Write saved detections, or tubes, in the format of another project.

    With --data detections in frames that are not annotated are left out; tubes are written whole.
    """
    _check_output(options.output, options.format)
    if options.format == "moc-tubes":
        _export_tubes(options)
    else:
        _export_detections(options)


def _export_tubes(options: argparse.Namespace) -> None:
    tubes = tube_file.load(options.file)
    write_moc_tubes(tubes, options.output)
    print(f"{progress.file_summary(options.output)}: {len(tubes.tubes)} tubes of {len(tubes.video_names)} videos")
    print(progress.next_step("korsal-evaluate", "score", "--data", "DATA", "--tubes", options.output))


def _export_detections(options: argparse.Namespace) -> None:
    found = detection_file.load(options.file)
    annotated = _annotated_frames(options, found) if options.data else ()
    if not options.data:
        print("note: all frames count as annotated; --data DATA leaves out detections in frames that are not annotated")
    external_formats.save(found, options.output, options.format, annotated)
    print(f"{progress.file_summary(options.output)}: {len(found.scores)} boxes of {len(found.video_names)} videos")
    print(progress.next_step("korsal-evaluate", "score", "--data", "DATA", "--detections", options.output))


def _annotated_frames(options: argparse.Namespace, found: SavedDetections) -> tuple[AnnotatedFrames, ...]:
    """The annotated frames of each video of the file, by the data."""
    known = {one.name: one.annotated_frames for one in of_split(loader.load(options.data, options.fold), options.split)}
    foreign = next((name for name in found.video_names if name not in known), None)
    if foreign is not None:
        raise EvaluationError(
            f"{options.file}: its video {foreign} is not in {options.data}, {options.split}; give the --data, --split "
            "and --fold that were detected in"
        )
    return tuple(known[name] for name in found.video_names)


def _check_output(path: Path, kind: str) -> None:
    """`link` and `score` recognise what they read by its suffix."""
    if kind == "moc":
        output_paths.check(path, "-o", ".pkl")
    elif path.suffix in (".npz", ".pkl"):
        raise OutputPathError(f"{path}: {kind} is a folder of files; give -o a name without {path.suffix}")
    elif path.is_dir() and any(path.iterdir()):
        raise OutputPathError(
            f"{path}: holds files already, which would be read with the new ones; give -o a new folder"
        )
