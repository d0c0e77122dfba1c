"""`korsal-convert export`: a checkpoint → ONNX, with its preprocessing inside if that is asked for."""

import argparse
import tempfile
from pathlib import Path

from convert import calibration, export, graft, onnx_file
from convert.commands import options as shared
from convert.graft_check import GraftParity
from convert.graft_file import graft_file
from convert.torch_export import ExportError
from convert.watched_video import beside_of
from edge.engines import onnxruntime_memory
from edge.engines.memory_file import memory_path
from edge.manifest import Manifest
from edge.terminal import progress
from train import checkpoint as checkpoints
from train import memory_engine
from train.evaluation import start_scores

HELP = "checkpoint → ONNX, decoding in the graph; with --with-motion preprocessing and motion map too"
OF_CHECKPOINTS = ("name", "licence", "scores", "start_scores")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    add("checkpoint", type=Path, help=".pt of korsal-train; for --with-motion also an exported or quantised .onnx")
    add("-o", "--output", type=Path, required=True, help=".onnx to write")
    add(
        "--with-motion",
        action="store_true",
        help="frames of any size go in: TensorRT fits and compares them on the GPU",
    )
    add("--name", help="of the model, part of every event; default: the checkpoint's")
    add("--licence", help="of the weights, a sentence; kept in the manifest")
    shared.add_calibration(parser, "to compare with torch on", export.DEFAULT_FRAMES)
    reports = "reports of korsal-evaluate --json, one for each data set; kept in the manifest"
    add("--scores", type=Path, nargs="+", metavar="FILE", help=reports)
    several = "of korsal-evaluate events --choose, a file for each data set; events begin at them"
    add("--start-scores", type=Path, nargs="+", metavar="FILE", help=several)


def run(options: argparse.Namespace) -> int:
    """Export, and print how far the ONNX is from torch."""
    if options.checkpoint.suffix == ".onnx":
        manifest, grafted = _graft_onnx(options)
        _print(options.output, manifest, grafted.as_text())
        return 0
    manifest, found = _from_checkpoint(options)
    _print(options.output, manifest, found)
    print(progress.next_step("korsal-evaluate", options.output, "--data", "DATA", "--json", "scores.json"))
    return 0


def _from_checkpoint(options: argparse.Namespace) -> tuple[Manifest, str]:
    """Export; returns what was found in the comparison too."""
    changes = {name: value for name in ("name", "licence") if (value := getattr(options, name)) is not None}
    changes |= {"start_scores": start_scores.load_all(options.start_scores)} if options.start_scores else {}
    training = {"scores": export.kept_scores(options.scores)} if options.scores else {}
    onnx_file.check_output(options.checkpoint, options.output)
    videos = calibration.videos(options.calibrate) if options.calibrate else ()
    checkpoint = checkpoints.load(options.checkpoint)
    if options.with_motion:
        graft.check(checkpoint.manifest)
    beside = beside_of(memory_engine.engine(checkpoint)) if videos else None
    images = tuple(calibration.inputs(videos, checkpoint.manifest, options.frames, beside)) if videos else ()
    if not options.with_motion:
        manifest, parity = export.export(checkpoint, options.output, changes, training, images)
        return manifest, export.parity_as_text(parity, len(images))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / options.output.name
        manifest, parity = export.export(checkpoint, plain, changes, training, images)
        pairs = calibration.frame_pairs(videos, manifest, options.frames, beside) if videos else ()
        manifest, grafted = graft_file(plain, options.output, pairs, checkpoints.engine(checkpoint))
    return manifest, f"{export.parity_as_text(parity, len(images))}; {grafted.as_text()}"


def _graft_onnx(options: argparse.Namespace) -> tuple[Manifest, GraftParity]:
    """Put preprocessing into a file that was exported before."""
    if not options.with_motion:
        raise ExportError(
            f"{options.checkpoint}: is exported already; add --with-motion to put its preprocessing inside"
        )
    if given := next((name for name in OF_CHECKPOINTS if getattr(options, name) is not None), None):
        raise ExportError(
            f"--{given.replace('_', '-')} goes with a checkpoint, and {options.checkpoint} is exported already"
        )
    _, manifest = onnx_file.read(options.checkpoint)
    graft.check(manifest)
    videos = calibration.videos(options.calibrate) if options.calibrate else ()
    memory = onnxruntime_memory.load(options.checkpoint, manifest, threads=1)
    pairs = calibration.frame_pairs(videos, manifest, options.frames, memory) if videos else ()
    return graft_file(options.checkpoint, options.output, pairs)


def _print(output: Path, manifest: Manifest, found: str) -> None:
    size = output.stat().st_size / 1e6
    print(f"{output}: {manifest.name}, {len(manifest.labels)} actions, {size:.1f} MB, {found}")
    if manifest.memory is not None:
        print(f"{memory_path(output, manifest.memory)}: its memory, without which it does not run; copy both files")
