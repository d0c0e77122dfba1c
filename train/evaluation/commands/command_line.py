"""Shell. `korsal-evaluate`: parses the command line and runs the whole evaluation or one of its steps."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from edge.cameras.video_file import CaptureError
from edge.inference import EngineError
from edge.packages import MissingPackageError
from edge.terminal import output, progress
from edge.terminal.arguments import Parser
from train.datasets.annotation_records import AnnotationError
from train.evaluation.columns import ColumnError
from train.evaluation.commands import detect, evaluate, events, export, link, score
from train.evaluation.external_formats import ExternalFormatError
from train.evaluation.model_pool import WorkerError
from train.evaluation.plots import PlotError
from train.evaluation.scoring import ScoreError
from train.evaluation.splits import EvaluationError
from train.open_model import ModelError
from train.output_paths import OutputPathError


class EvaluationCommand(Protocol):
    """A module of `train.evaluation.commands`; the docstring of `run` is its description."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of this command."""

    def run(self, options: argparse.Namespace) -> None:
        """Run the command; raises one of ERRORS."""


STEPS: Mapping[str, EvaluationCommand] = {
    "detect": detect,
    "link": link,
    "score": score,
    "events": events,
    "export": export,
}
ERRORS = (
    AnnotationError,
    CaptureError,
    ColumnError,
    EngineError,
    EvaluationError,
    ExternalFormatError,
    MissingPackageError,
    ModelError,
    OutputPathError,
    PlotError,
    ScoreError,
    WorkerError,
)


@output.program
def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run what it names; returns the exit status."""
    step, *words = arguments or [""]
    if step in STEPS:
        command, program = STEPS[step], f"korsal-evaluate {step}"
    else:
        command, program, words = evaluate, "korsal-evaluate", list(arguments)
    parser = Parser(prog=program, description=command.run.__doc__)
    command.add_options(parser)
    # --quiet of `events` has another meaning: detections of videos without any action
    progress.add_option(parser, *(("-q", "--no-progress") if command is events else ()))
    options = parser.parse_args(words)
    progress.enable(not options.no_progress)
    return _exit_status(command, options)


def _exit_status(command: EvaluationCommand, options: argparse.Namespace) -> int:
    """Run the command; if its status is not 0, a sentence on stderr says why."""
    try:
        command.run(options)
    except ERRORS as error:
        print(f"korsal-evaluate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-evaluate: stopped, nothing was written", file=sys.stderr)
        return 130
    return 0
