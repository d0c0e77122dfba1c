"""Shell. `korsal-evaluate export`: saved detections or tubes in the format of another project."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from edge.terminal import progress
from train import output_paths
from train.datasets import loader
from train.datasets.annotated_frames import AnnotatedFrames
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation import detection_file, external_formats, tube_file
from train.evaluation import options as shared
from train.evaluation.external_formats import Format
from train.evaluation.moc_tubes import write_moc_tubes
from train.evaluation.shared_labels import shared_labels
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

    These have numbers for names: with --data those of its videos and classes. Then detections in frames that are not
    annotated are left out; tubes are written whole.
    """
    _check_output(options.output, options.format)
    if options.format == "moc-tubes":
        _export_tubes(options)
    else:
        _export_detections(options)


def _export_tubes(options: argparse.Namespace) -> None:
    tubes = tube_file.load(options.file)
    if options.data:
        tubes = tubes.numbered_as(_of_data(options, tubes.video_names, tubes.label_names)[1])
    else:
        _note_numbers(tubes.label_names)
    write_moc_tubes(tubes, options.output)
    print(f"{progress.file_summary(options.output)}: {len(tubes.tubes)} tubes of {len(tubes.video_names)} videos")
    print(_next(options, "--tubes"))


def _export_detections(options: argparse.Namespace) -> None:
    found = detection_file.load(options.file)
    count, annotated = len(found.video_names), tuple[AnnotatedFrames, ...]()
    if options.data:
        videos, labels = _of_data(options, found.video_names, found.label_names)
        found = found.numbered_as([one.name for one in videos], labels)
        annotated = tuple(one.annotated_frames for one in videos)
    else:
        print("note: all frames count as annotated; --data DATA leaves out detections in frames that are not annotated")
        _note_numbers(found.label_names)
    external_formats.save(found, options.output, options.format, annotated)
    print(f"{progress.file_summary(options.output)}: {len(found.scores)} boxes of {count} videos")
    print(_next(options, "--detections"))


def _note_numbers(labels: Sequence[str]) -> None:
    print(
        f"note: videos and classes are numbered as in the file, {', '.join(labels)}; --data DATA numbers them as "
        "the data does, by which they are read"
    )


def _next(options: argparse.Namespace, kind: str) -> str:
    return progress.next_step("korsal-evaluate", "score", *shared.data_arguments(options), kind, options.output)


def _of_data(
    options: argparse.Namespace, videos: Sequence[str], labels: Sequence[str]
) -> tuple[tuple[VideoAnnotation, ...], tuple[str, ...]]:
    """The videos and labels of the data, in whose order a file of these is read."""
    data = loader.load(options.data, options.fold)
    both = shared_labels(labels, data, options.file)
    if both.model_only:
        print(f"note: {', '.join(both.model_only)} is left out, which {data.title} does not annotate")
    if both.data_only:
        print(f"note: {', '.join(both.data_only)} will count as never found, which the model does not know")
    known = of_split(data, options.split)
    foreign = next((name for name in videos if name not in {one.name for one in known}), None)
    if foreign is not None:
        raise EvaluationError(
            f"{options.file}: its video {foreign} is not in {options.data}, {options.split}; give the --data, --split "
            "and --fold that were detected in"
        )
    return known, data.labels


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
