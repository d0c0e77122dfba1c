"""`korsal-convert`, all but `build`: reads the command line and runs the command. Needs the extra `train`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convert.calibration import CalibrationError
from convert.check import CheckError
from convert.commands import check, checkpoint, convert, export, quantize
from convert.graft import GraftError
from convert.onnx_file import OnnxFileError
from convert.quantize import QuantizeError
from convert.torch_export import ExportError
from edge.cameras.video_file import CaptureError
from edge.engines.cuda_runtime import CudaError
from edge.engines.tensorrt_build_plan import PlanError
from edge.engines.tensorrt_builder import EngineBuildError
from edge.inference import EngineError
from edge.terminal import progress
from edge.terminal.arguments import Parser
from train.checkpoint import CheckpointError
from train.datasets.annotation_records import AnnotationError
from train.evaluation.model_pool import WorkerError
from train.evaluation.splits import EvaluationError
from train.open_model import ModelError

ERRORS = (
    AnnotationError,
    CalibrationError,
    CaptureError,
    CheckError,
    CheckpointError,
    CudaError,
    EngineBuildError,
    EngineError,
    EvaluationError,
    ExportError,
    GraftError,
    ModelError,
    OnnxFileError,
    PlanError,
    QuantizeError,
    WorkerError,
)


@dataclass(frozen=True)
class Subcommand:
    """One step by itself; `run` returns the exit status and raises ERRORS."""

    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


SUBCOMMANDS = {
    "checkpoint": Subcommand(checkpoint.HELP, checkpoint.add_options, checkpoint.run),
    "export": Subcommand(export.HELP, export.add_options, export.run),
    "quantize": Subcommand(quantize.HELP, quantize.add_options, quantize.run),
    "check": Subcommand(check.HELP, check.add_options, check.run),
}


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    single = bool(arguments) and arguments[0] in SUBCOMMANDS
    options = (_subcommand_parser() if single else _parser()).parse_args(arguments)
    progress.enable(not options.no_progress)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except ERRORS as error:
        print(f"korsal-convert: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-convert: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="korsal-convert",
        description="Weights → the fastest model that is still as accurate. "
        f"Each step also stands alone: korsal-convert {'|'.join(SUBCOMMANDS)}|build --help.",
    )
    convert.add_options(parser)
    progress.add_option(parser)
    parser.set_defaults(run=convert.run)
    return parser


def _subcommand_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="korsal-convert")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, subcommand in SUBCOMMANDS.items():
        added = subparsers.add_parser(name, help=subcommand.help, description=subcommand.help)
        added.set_defaults(run=subcommand.run)
        progress.add_option(added)
        subcommand.add_options(added)
    return parser
