"""Options that several steps of `korsal-evaluate` share."""

import argparse
from pathlib import Path

from train.evaluate import count, number

MOST_FRAMES_PER_SECOND = 1000
USUAL_RATE = 25.0  # frames per second, of UCF101's videos


def data_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Which data, and which of its splits."""
    parser.add_argument("--data", type=Path, required=required, help="folder of a data set, or its ground truth alone")
    parser.add_argument("--fold", type=count, default=1, help="its split, where it has several; the first of them")


def data_words(options: argparse.Namespace, split: str | None = None) -> tuple[str, ...]:
    """These options again, for the command that comes next; DATA where none was given. `split`: None for theirs."""
    fold = ("--fold", str(options.fold)) if options.fold != 1 else ()
    wanted = split or getattr(options, "split", "test")
    of_split = ("--split", wanted) if wanted != "test" else ()
    return ("--data", str(options.data or "DATA"), *fold, *of_split)


def rate(text: str) -> float:
    """Frames per second, as an option's type."""
    value = number(text)
    if not 0 < value <= MOST_FRAMES_PER_SECOND:
        raise argparse.ArgumentTypeError(f"{text}: give frames per second, above 0 and up to {MOST_FRAMES_PER_SECOND}")
    return value
