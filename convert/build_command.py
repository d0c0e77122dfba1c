"""`korsal-convert build`: an engine on this device, or what another device would build. Needs TensorRT alone."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from convert import build
from edge import tensorrt_engine
from edge.build_plan import DEFAULT_WORKSPACE, PRECISIONS, BuildOptions, PlanError
from edge.cuda_runtime import CudaError
from edge.engine import EngineError
from edge.engine_build import EngineBuildError

MEBIBYTE = 1 << 20


def main(given: Sequence[str]) -> int:
    """The command line behind `build`; returns the exit status."""
    options = _parser().parse_args(given)
    output = options.output or options.model.with_suffix(".engine")
    wanted = BuildOptions(options.precision, options.max_batch, options.workspace * MEBIBYTE)
    try:
        if options.dry_run is not None:
            print(build.dry_run(options.model, output, wanted, options.dry_run))
        else:
            trt, cuda = tensorrt_engine.bindings()
            build.build(options.model, output, wanted, _say, trt, cuda.device(), options.timing_cache)
    except (CudaError, EngineBuildError, EngineError, PlanError) as error:
        print(f"korsal-convert: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("korsal-convert: stopped, nothing was written", file=sys.stderr)
        return 130
    return 0


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="korsal-convert build", description="ONNX → TensorRT engine, on this device.")
    add = parser.add_argument
    add("model", type=Path, help=".onnx of korsal-convert")
    add("-o", "--output", type=Path, help="default: beside the model, with the suffix .engine")
    add("--precision", choices=PRECISIONS, help="default: that of the file")
    add("--max-batch", type=_count, default=1, help="images at once: as many as there are cameras")
    add("--workspace", type=_count, default=DEFAULT_WORKSPACE // MEBIBYTE, metavar="MIB", help="of GPU memory")
    add("--timing-cache", type=Path, metavar="FILE", help="read and written, shortens the next build")
    add("--dry-run", metavar="VERSION", help="only say what this TensorRT ('10.3') or 'JetPack 6.2' would do")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
