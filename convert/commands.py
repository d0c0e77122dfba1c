"""`korsal-convert`, all but `build`: trained weights → ONNX of every precision. Needs the extra `train`."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import onnx

from convert import (
    build_command,
    calibration,
    checkpoint_command,
    conversion,
    export,
    modelopt_quantize,
    onnx_file,
    quantize,
    sensitivity,
)
from convert import dry_run as steps
from convert import fp16 as halve
from convert.calibration import CalibrationError
from convert.check import CheckData, CheckError, as_text, check_files
from convert.conversion import EVENT_VIDEOS, Precision, Wish
from convert.export import ExportError
from convert.onnx_file import OnnxFileError
from convert.quantize import Method, QuantizeError, QuantizeSettings, QuantizeTarget
from edge.cameras.video_file import CaptureError
from edge.engines.build_plan import PlanError
from edge.engines.cuda_runtime import CudaError
from edge.engines.tensorrt_builder import EngineBuildError
from edge.inference import EngineError
from edge.terminal import progress
from edge.terminal.arguments import Parser, whole_number
from train.checkpoint import CheckpointError
from train.datasets import loader
from train.datasets.annotations import AnnotationError, DataSet
from train.evaluation import options as evaluation_options
from train.evaluation import start_scores
from train.evaluation.evaluation import EvaluationRun
from train.evaluation.model_pool import WorkerError
from train.evaluation.splits import EvaluationError, videos_to_evaluate
from train.open_model import ModelError, open_model

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
    ModelError,
    OnnxFileError,
    PlanError,
    QuantizeError,
    WorkerError,
)
SUFFIXES = (".onnx", ".engine")  # of the files that are made: left away from a name
Command = Callable[[argparse.Namespace], int]
QUANTIZERS = {"onnxruntime": quantize.quantize, "modelopt": modelopt_quantize.quantize}


def main(given: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    parser = _steps() if given and given[0] in COMMANDS else _whole()
    options = parser.parse_args(given)
    progress.enable(not options.no_progress)
    command: Command = options.command
    try:
        return command(options)
    except ERRORS as error:
        print(f"korsal-convert: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-convert: stopped", file=sys.stderr)
        return 130


def _convert(options: argparse.Namespace) -> int:
    data, run = _accuracy(options, options.weights)
    settings = _settings(options)
    name = options.output
    wish = Wish(
        options.weights,
        name.with_suffix("") if name.suffix in SUFFIXES else name,
        options.precision,
        tuple(options.calibrate),
        options.frames,
        settings,
        data,
        run,
        options.max_map_drop,
        replace(build_command.options_of(options), precision=None),  # that of the file, which may be another
    )
    if options.dry_run is not None:
        print(steps.dry_run(wish, options.dry_run or None))
        return 0
    made = conversion.convert(wish, partial(print, flush=True))
    for file in made:
        print(f"{file}: ready, {file.stat().st_size / 1e6:.1f} MB")
    print(build_command.taken(made[-1]))
    return 0


def _export(options: argparse.Namespace) -> int:
    changes = {name: value for name in ("name", "licence") if (value := getattr(options, name)) is not None}
    changes |= {"start_scores": start_scores.load(options.start_scores)} if options.start_scores else {}
    training = {"scores": export.scores(options.scores)} if options.scores else {}
    images: tuple[calibration.Input, ...] = ()
    onnx_file.check_apart(options.checkpoint, options.output)
    if options.calibrate:
        known = conversion.manifest_of(options.checkpoint)
        images = tuple(calibration.inputs(calibration.videos(options.calibrate), known, options.frames))
    manifest, found = export.export(options.checkpoint, options.output, changes, training, images)
    size = options.output.stat().st_size / 1e6
    print(
        f"{options.output}: {manifest.name}, {len(manifest.labels)} actions, {size:.1f} MB, "
        f"{export.parity_as_text(found, len(images))}"
    )
    print(progress.next_step("korsal-evaluate", options.output, "--data", "DATA", "--json", "scores.json"))
    return 0


def _quantize(options: argparse.Namespace) -> int:
    if options.sensitivity:
        return _sensitivity(options)
    if options.output is None:
        raise QuantizeError("-o is missing: name the .onnx to write")
    onnx_file.check_apart(options.model, options.output)
    if options.precision == "fp16":
        halve.convert_file(options.model, options.output)
    else:
        _, settings, images = _calibration(options)
        QUANTIZERS[options.quantizer](options.model, options.output, images, settings)
    if options.scores:
        export.keep_scores(options.output, options.scores)
    share = 100 * options.output.stat().st_size / options.model.stat().st_size
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {options.precision}, {share:.1f} % of {options.model}, {size:.1f} MB")
    videos = options.calibrate or ("VIDEO",)
    print(progress.next_step("korsal-convert", "check", options.model, options.output, "--calibrate", *videos))
    return 0


def _sensitivity(options: argparse.Namespace) -> int:
    model, settings, images = _calibration(options)
    ranges = quantize.calibrate(options.model, images, settings)
    for loss in sensitivity.sensitivity(model, ranges, images[: conversion.SENSITIVITY_IMAGES], settings):
        print(f"{loss.decibels:8.1f} dB  {loss.node}", flush=True)
    return 0


def _calibration(
    options: argparse.Namespace,
) -> tuple[onnx.ModelProto, QuantizeSettings, tuple[calibration.Input, ...]]:
    """What is quantised, how, and the frames for it: what cannot work shows before these are read."""
    model, manifest = quantize.open_model(options.model)
    settings = _settings(options)
    quantize.check_kept(model, settings)
    if options.quantizer == "modelopt":
        modelopt_quantize.check_settings(settings)
    files = calibration.videos(options.calibrate)
    return model, settings, tuple(calibration.inputs(files, manifest, options.frames))


def _settings(options: argparse.Namespace) -> QuantizeSettings:
    modelopt = getattr(options, "quantizer", "") == "modelopt"
    usual = modelopt_quantize.DEFAULT_METHOD if modelopt else QuantizeSettings.method
    return QuantizeSettings(options.method or usual, options.target, tuple(options.keep))


def _check(options: argparse.Namespace) -> int:
    data, run = _accuracy(options, options.model)
    files = calibration.videos(options.calibrate)
    with open_model(options.model, 1) as engine:
        images = tuple(calibration.inputs(files, engine.manifest, options.frames))
    checked = check_files(options.model, options.converted, CheckData(images, files[:EVENT_VIDEOS], data, run))
    print(as_text(checked, (options.model.name, options.converted.name)))
    if checked.lost > options.max_map_drop:
        print(f"korsal-convert: {options.converted} loses more than {options.max_map_drop:g} points", file=sys.stderr)
        return 1
    print(build_command.taken(options.converted))
    return 0


def _accuracy(options: argparse.Namespace, model: Path) -> tuple[DataSet | None, EvaluationRun | None]:
    """The annotated videos to measure on, if any were given."""
    if options.data is None:
        return None, None
    data = loader.load(options.data, options.fold)
    with open_model(model, 1) as engine:
        labels = engine.manifest.labels
    chosen = videos_to_evaluate(data, options.split, options.limit, labels, model)
    return data, EvaluationRun(chosen, jobs=options.jobs)


def _whole() -> argparse.ArgumentParser:
    parser = Parser(
        prog="korsal-convert",
        description="Weights → the fastest model that still sees as well. "
        f"Each step also stands alone: korsal-convert {'|'.join(COMMANDS)}|build --help.",
    )
    parser.add_argument("weights", type=Path, help=".pt of korsal-train, or an FP32 .onnx")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="NAME", help="of the files, no suffix")
    parser.add_argument("--precision", choices=get_args(Precision), default="int8")
    _add_calibration(parser)
    _add_quantisation(parser)
    _add_accuracy(parser)
    build_command.add_size(parser)
    parser.add_argument(
        "--dry-run",
        nargs="?",
        const="",
        metavar="VERSION",
        help="only say what would be done, and how this TensorRT ('10.3') or 'JetPack 6.2' would build the engine",
    )
    progress.add_option(parser)
    parser.set_defaults(command=_convert)
    return parser


def _steps() -> argparse.ArgumentParser:
    parser = Parser(prog="korsal-convert")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (add, command, help_text) in COMMANDS.items():
        one = commands.add_parser(name, help=help_text, description=help_text)
        one.set_defaults(command=command)
        progress.add_option(one)
        add(one)
    return parser


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, help=".pt of korsal-train")
    parser.add_argument("-o", "--output", type=Path, required=True, help=".onnx to write")
    parser.add_argument("--name", help="of the model, told in every event; default: the checkpoint's")
    parser.add_argument("--licence", help="of the weights, a sentence; kept in the manifest")
    _add_calibration(parser, "to compare with torch on", export.DEFAULT_FRAMES)
    parser.add_argument("--scores", type=Path, help="report of korsal-evaluate --json; kept in the manifest")
    parser.add_argument("--start-scores", type=Path, help="of korsal-evaluate events --choose; events begin at them")


def _add_quantize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="FP32 .onnx of korsal-convert export")
    parser.add_argument("-o", "--output", type=Path, help=".onnx to write")
    parser.add_argument("--precision", choices=("int8", "fp16"), default="int8")
    parser.add_argument(
        "--quantizer", choices=QUANTIZERS, default="onnxruntime", help="modelopt: NVIDIA's, if installed"
    )
    parser.add_argument("--scores", type=Path, help="its report of korsal-evaluate --json; kept in the manifest")
    parser.add_argument("--sensitivity", action="store_true", help="print what each convolution loses, write nothing")
    _add_calibration(parser)
    _add_quantisation(parser)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="the FP32 .onnx")
    parser.add_argument("converted", type=Path, help="what was made from it")
    _add_calibration(parser)
    _add_accuracy(parser)


def _add_calibration(
    parser: argparse.ArgumentParser, purpose: str = "to calibrate with", frames: int = calibration.DEFAULT_FRAMES
) -> None:
    add = parser.add_argument
    add("--calibrate", type=Path, nargs="+", default=[], metavar="VIDEO", help="videos or folders of videos: real ones")
    add("--frames", type=whole_number(1), default=frames, help=f"of them {purpose}, in all; default: {frames}")


def _add_quantisation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    usual = (
        f"how ranges are found; default: {QuantizeSettings.method}, with modelopt {modelopt_quantize.DEFAULT_METHOD}"
    )
    add("--method", choices=get_args(Method), help=usual)
    add(
        "--target",
        choices=get_args(QuantizeTarget),
        default=QuantizeSettings.target,
        help="cpu: for ONNX Runtime, no GPU",
    )
    add("--keep", nargs="+", default=[], metavar="NODE", help="convolutions that stay in floating point")


def _add_accuracy(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    evaluation_options.add_data(parser, required=False)
    evaluation_options.add_split(parser)
    evaluation_options.add_limit(parser)
    add("--jobs", type=whole_number(1), help="videos at a time; default: as many as there are cores")
    add("--max-map-drop", type=_points, default=1.0, metavar="POINTS", help="of frame-mAP@0.5 that may be lost")


def _points(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):  # nothing is more than nan: every model would pass
        raise argparse.ArgumentTypeError(f"{text} is no number of points")
    return value


Add = Callable[[argparse.ArgumentParser], None]
COMMANDS: dict[str, tuple[Add, Command, str]] = {
    "checkpoint": (checkpoint_command.add_options, checkpoint_command.run, checkpoint_command.HELP),
    "export": (_add_export, _export, "checkpoint → ONNX, decoding in the graph"),
    "quantize": (_add_quantize, _quantize, "FP32 ONNX → INT8 with Q/DQ, or FP16"),
    "check": (_add_check, _check, "a converted model against the FP32 ONNX, on real video"),
}
