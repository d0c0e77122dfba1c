"""Options that several commands share, and how the command that comes next repeats them."""

import argparse
from pathlib import Path
from typing import get_args

from edge.inference import PREPROCESSORS, Preprocessor
from edge.manifest import PreprocessingChoice
from edge.terminal.arguments import fraction, number, whole_number
from train.evaluation.detection_file import HIGHEST_FRAME_RATE
from train.evaluation.splits import Split

RATE_OF_FILE = "what the file says of each, 25 where it says nothing"


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model to run."""
    parser.add_argument("model", type=Path, help="an .onnx model, a .pt checkpoint of korsal-train, or an engine")


def add_preprocessing(parser: argparse.ArgumentParser) -> None:
    """Add what fits and compares frames."""
    parser.add_argument(
        "--preprocessing",
        choices=get_args(PreprocessingChoice),
        default="auto",
        help="what prepares frames: the model's own graph, cv2.cuda or the CPU; auto: an engine's graph, else the CPU",
    )


def preprocessing_arguments(options: argparse.Namespace) -> tuple[str, ...]:
    """That option again; none where nothing was said."""
    return ("--preprocessing", options.preprocessing) if options.preprocessing != "auto" else ()


def prepared(preprocessor: Preprocessor) -> str:
    """Where frames were prepared, as the end of a line, unless on the CPU."""
    return "" if preprocessor == "cpu" else f", frames prepared {PREPROCESSORS[preprocessor]}"


def add_data(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the data set and its fold."""
    parser.add_argument("--data", type=Path, required=required, help="folder of a data set, or its ground truth alone")
    add_fold(parser)


def add_fold(parser: argparse.ArgumentParser) -> None:
    """Add the fold."""
    parser.add_argument(
        "--fold", type=whole_number(1), default=1, help="its split, where it has several; the first of them"
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    """Add the split."""
    parser.add_argument("--split", choices=get_args(Split), default="test")


def add_rate(parser: argparse.ArgumentParser) -> None:
    """Add the frame rate of detections."""
    parser.add_argument("--rate", type=frame_rate, help=f"frames per second of all videos; default: {RATE_OF_FILE}")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add the number of videos."""
    parser.add_argument("--limit", type=whole_number(1), help="this many videos, evenly over the classes")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the number of videos at a time."""
    parser.add_argument(
        "--jobs", type=whole_number(1), help="videos at a time; default: one for each core, one for an engine"
    )


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """Add the score that splits detections into found and not found."""
    parser.add_argument("--threshold", type=fraction, help="of precision, recall, confusion; default: the best F1")


def add_report_files(parser: argparse.ArgumentParser) -> None:
    """Add the files that a report is written to."""
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the scores there")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write precision_recall.png, confusion.png there")


def data_arguments(options: argparse.Namespace, split: str | None = None) -> tuple[str, ...]:
    """These options again, for the command that comes next; DATA where none was given. `split`: None for the same."""
    fold = ("--fold", str(options.fold)) if options.fold != 1 else ()
    wanted = split or getattr(options, "split", "test")
    of_split = ("--split", wanted) if wanted != "test" else ()
    return ("--data", str(options.data or "DATA"), *fold, *of_split)


def frame_rate(text: str) -> float:
    """Frames per second, as an option's type."""
    value = number(text)
    if not 0 < value <= HIGHEST_FRAME_RATE:
        raise argparse.ArgumentTypeError(f"{text}: give frames per second, above 0 and up to {HIGHEST_FRAME_RATE}")
    return value
