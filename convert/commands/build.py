"""`korsal-convert build`: an engine on this device, or what another device would build.

Needs TensorRT alone, but for `--backend torch2trt`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from convert import build
from edge.engines import engine_build, tensorrt_engine
from edge.engines.cuda_runtime import CudaError
from edge.engines.tensorrt_build_plan import DEFAULT_WORKSPACE, MEBIBYTE, PRECISIONS, BuildOptions, PlanError
from edge.engines.tensorrt_builder import EngineBuildError
from edge.inference import EngineError
from edge.terminal import progress
from edge.terminal.arguments import Parser, whole_number

BACKENDS = ("tensorrt", "torch2trt")


def main(given: Sequence[str]) -> int:
    """The command line behind `build`; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(given)
    progress.enable(not options.no_progress)
    if contradiction := _contradiction(options):
        parser.error(contradiction)
    output: Path = options.output or options.model.with_suffix(".engine")
    if output.exists() and options.model.exists() and output.samefile(options.model):
        parser.error(f"{output} is what it would be built from; choose another -o")
    build_options = options_of(options)
    try:
        if options.backend == "torch2trt":
            _through_torch2trt(options, output, build_options)
        elif options.dry_run is not None:
            print(build.dry_run(options.model, output, build_options, options.dry_run))
        else:
            trt, cuda = tensorrt_engine.bindings()
            build.build(options.model, output, build_options, _print, trt, cuda.device(), options.timing_cache)
        if options.dry_run is None:
            _print(next_step(output))
    except (CudaError, EngineBuildError, EngineError, PlanError) as error:
        print(f"korsal-convert: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-convert: stopped, nothing was written", file=sys.stderr)
        return 130
    return 0


def _contradiction(options: argparse.Namespace) -> str:
    """Which options the backend cannot take, as a sentence; "" where there is none."""
    if options.backend == "torch2trt" and (options.dry_run or options.timing_cache):
        return "--dry-run and --timing-cache are for --backend tensorrt"
    if options.backend == "tensorrt" and (options.calibrate or options.frames):
        return "--calibrate and --frames are for --backend torch2trt; korsal-convert quantize calibrates an ONNX"
    return ""


def _through_torch2trt(options: argparse.Namespace, output: Path, build_options: BuildOptions) -> None:
    """Raises EngineBuildError. Nothing else of this command needs torch."""
    trt, cuda = tensorrt_engine.bindings()
    try:
        from convert import calibration, torch2trt_build
        from edge.cameras.video_file import CaptureError
        from train.checkpoint import CheckpointError
    except ImportError as error:
        raise EngineBuildError(
            f"torch2trt needs torch and onnx ({error}); install them, torch as NVIDIA makes it for this JetPack, "
            "or use --backend tensorrt, which builds an ONNX of korsal-convert"
        ) from error
    backend = torch2trt_build.installed(trt)
    platform = engine_build.platform_of(trt, cuda.device())
    frames = options.frames or calibration.DEFAULT_FRAMES
    try:
        torch2trt_build.build(
            options.model,
            output,
            build_options,
            lambda manifest: calibration.inputs(calibration.videos(options.calibrate), manifest, frames),
            backend,
            platform,
            _print,
        )
    except (calibration.CalibrationError, CaptureError, CheckpointError) as error:
        raise EngineBuildError(str(error)) from error


def next_step(model: Path) -> str:
    """How a finished model is given to the daemon."""
    return f"Next: [model] path = {json.dumps(str(model))} in config.toml, then korsal-edge check"


def _print(sentence: str) -> None:
    print(sentence, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="korsal-convert build", description="ONNX → TensorRT engine, on this device.")
    add = parser.add_argument
    add("model", type=Path, help=".onnx of korsal-convert; for torch2trt .pt of korsal-train")
    add("-o", "--output", type=Path, help="default: beside the model, with the suffix .engine")
    add("--precision", choices=PRECISIONS, help="default: that of the file")
    add_size(parser)
    add("--timing-cache", type=Path, metavar="FILE", help="read and written, shortens the next build")
    add("--backend", choices=BACKENDS, default=BACKENDS[0], help="torch2trt: NVIDIA's converter from torch, up to 10")
    add("--calibrate", type=Path, nargs="+", default=[], metavar="VIDEO", help="for INT8 through torch2trt")
    add("--frames", type=whole_number(1), help="of these videos, in all; default: 128")
    add("--dry-run", metavar="VERSION", help="only say what this TensorRT ('10.3') or 'JetPack 6.2' would do")
    progress.add_option(parser)
    return parser


def add_size(parser: argparse.ArgumentParser) -> None:
    """Batch and workspace of an engine."""
    add = parser.add_argument
    add("--max-batch", type=whole_number(1), default=1, help="images at once: as many as there are cameras")
    add("--workspace", type=whole_number(1), default=DEFAULT_WORKSPACE // MEBIBYTE, metavar="MIB", help="of GPU memory")


def options_of(options: argparse.Namespace) -> BuildOptions:
    """How to build, from what `_parser` or `add_size` has read."""
    return BuildOptions(options.precision, options.max_batch, options.workspace * MEBIBYTE)
