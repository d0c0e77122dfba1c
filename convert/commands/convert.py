"""`korsal-convert WEIGHTS`: all steps in a row, as far as this machine can go."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from convert import conversion, dry_run, source_model
from convert.commands import build
from convert.commands import options as shared
from convert.conversion import ConversionOptions
from edge.engines.tensorrt_build_plan import PRECISIONS

SUFFIXES = (".onnx", ".engine")  # of the files that are made: dropped from a name


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("weights", type=Path, help=".pt of korsal-train, or an FP32 .onnx")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="NAME", help="of the files, no suffix")
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument(
        "--with-motion", action="store_true", help="preprocessing and motion map inside, for TensorRT: frames go in"
    )
    shared.add_calibration(parser)
    shared.add_quantization(parser)
    shared.add_accuracy(parser)
    build.add_size(parser)
    parser.add_argument(
        "--dry-run",
        nargs="?",
        const="",
        metavar="VERSION",
        help="only say what would be done, and how this TensorRT ('10.3') or 'JetPack 6.2' would build the engine",
    )


def run(options: argparse.Namespace) -> int:
    """Convert, and print what was made."""
    source = source_model.read(options.weights)
    data, measured = shared.accuracy_data(options, source.manifest.labels, options.weights)
    name: Path = options.output
    wanted = ConversionOptions(
        source,
        name.with_suffix("") if name.suffix in SUFFIXES else name,
        options.precision,
        tuple(options.calibrate),
        options.frames,
        shared.quantize_settings(options),
        data,
        measured,
        options.max_map_drop,
        replace(build.options_of(options), precision=None),  # that of the file, which may be another
        options.with_motion,
    )
    if options.dry_run is not None:
        print(dry_run.dry_run(wanted, options.dry_run or None))
        return 0
    made = conversion.convert(wanted, partial(print, flush=True))
    for file in made:
        print(f"{file}: ready, {file.stat().st_size / 1e6:.1f} MB")
    print(build.next_step(made[-1]))
    return 0
