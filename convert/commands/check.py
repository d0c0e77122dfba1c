"""`korsal-convert check`: a converted model against the FP32 ONNX, on real video."""

import argparse
import sys
from pathlib import Path

from convert import calibration
from convert.check import WRONG_MAP, CheckData, as_text, check_files
from convert.commands import build
from convert.commands import options as shared
from convert.conversion import EVENT_VIDEOS
from convert.watched_video import beside_of
from train.open_model import open_model

HELP = "a converted model against the FP32 ONNX, on real video"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("model", type=Path, help="the FP32 .onnx")
    parser.add_argument("converted", type=Path, help="what was made from it")
    shared.add_calibration(parser)
    shared.add_accuracy(parser)


def run(options: argparse.Namespace) -> int:
    """Compare, and print the comparison; 1 where too much is lost."""
    with open_model(options.model, 1) as engine:
        manifest = engine.manifest
        data, measured = shared.accuracy_data(options, manifest.labels, options.model)
        files = calibration.videos(options.calibrate)
        frames = tuple(calibration.fitted_pairs(files, manifest, options.frames, beside_of(engine)))
    checked = check_files(options.model, options.converted, CheckData(frames, files[:EVENT_VIDEOS], data, measured))
    print(as_text(checked, (options.model.name, options.converted.name)))
    if checked.lost > options.max_map_drop:
        print(f"korsal-convert: {options.converted} loses more than {options.max_map_drop:g} points", file=sys.stderr)
        return 1
    if checked.has_wrong_map:
        print(f"korsal-convert: {options.converted} {WRONG_MAP}", file=sys.stderr)
        return 1
    print(build.next_step(options.converted))
    return 0
