"""`korsal-convert export`: a checkpoint → ONNX."""

import argparse
from pathlib import Path

from convert import calibration, export, onnx_file
from convert.commands import options as shared
from edge.terminal import progress
from train import checkpoint as checkpoints
from train.evaluation import start_scores

HELP = "checkpoint → ONNX, decoding in the graph"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    add("checkpoint", type=Path, help=".pt of korsal-train")
    add("-o", "--output", type=Path, required=True, help=".onnx to write")
    add("--name", help="of the model, part of every event; default: the checkpoint's")
    add("--licence", help="of the weights, a sentence; kept in the manifest")
    shared.add_calibration(parser, "to compare with torch on", export.DEFAULT_FRAMES)
    add("--scores", type=Path, help="report of korsal-evaluate --json; kept in the manifest")
    add("--start-scores", type=Path, help="of korsal-evaluate events --choose; events begin at them")


def run(options: argparse.Namespace) -> int:
    """Export, and print how far the ONNX is from torch."""
    changes = {name: value for name in ("name", "licence") if (value := getattr(options, name)) is not None}
    changes |= {"start_scores": start_scores.load(options.start_scores)} if options.start_scores else {}
    training = {"scores": export.scores(options.scores)} if options.scores else {}
    onnx_file.check_apart(options.checkpoint, options.output)
    videos = calibration.videos(options.calibrate) if options.calibrate else ()
    checkpoint = checkpoints.load(options.checkpoint)
    images = tuple(calibration.inputs(videos, checkpoint.manifest, options.frames)) if videos else ()
    manifest, parity = export.export(checkpoint, options.output, changes, training, images)
    size = options.output.stat().st_size / 1e6
    print(
        f"{options.output}: {manifest.name}, {len(manifest.labels)} actions, {size:.1f} MB, "
        f"{export.parity_as_text(parity, len(images))}"
    )
    print(progress.next_step("korsal-evaluate", options.output, "--data", "DATA", "--json", "scores.json"))
    return 0
