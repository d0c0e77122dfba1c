"""`korsal-convert checkpoint`: a checkpoint of CenterNet, KORSAL or YOWO → ours."""

import argparse
from pathlib import Path

from convert import centernet_checkpoint, centernet_names, checkpoint_conversion, label_sets, published_file
from convert.published_file import CheckpointOptions
from convert.yowo_checkpoint import FRAMES, SIDE
from edge.motion_map import KINDS
from edge.terminal import progress
from edge.terminal.arguments import whole_number
from train.networks.yowo.names import ORIGINAL

HELP = "checkpoint of CenterNet, KORSAL or YOWO → one of ours"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    add("checkpoint", type=Path, help=f".pth of {published_file.PROJECTS}")
    add("-o", "--output", type=Path, required=True, metavar="OUT.pt", help="to write")
    known = "|".join(label_sets.KNOWN)
    add("--labels", metavar=f"FILE|{known}", help="one name a line, or a known set; default: the set with as many")
    add("--arch", choices=(*centernet_names.FIRST, ORIGINAL), help="default: as its parameters are called")
    usual = (
        f"{centernet_checkpoint.DEFAULT_SIDE}, {centernet_checkpoint.SIDES_BY_LABELS['coco']} for coco, {SIDE} for YOWO"
    )
    add("--size", type=_size, metavar="HEIGHTxWIDTH", help=f"of the input, pixels; default: {usual}")
    add("--motion", choices=KINDS, help="what the channels after the frame's hold; default: ssim, none")
    add("--gap", type=whole_number(1), default=1, help="how many frames back the previous frame lies")
    frames = f"of a clip, for YOWO; default: as the file's name says (_8f_), else {FRAMES}"
    add("--frames", type=whole_number(1), help=frames)
    add("--name", default="", help="of the model, part of every event; default: the file's")
    add("--licence", default="", help="of the weights, a sentence; kept in the manifest")


def run(options: argparse.Namespace) -> int:
    """Convert, and print what the checkpoint holds; raises CheckpointError."""
    given = CheckpointOptions(
        options.labels,
        options.arch,
        options.size,
        options.motion,
        options.gap,
        options.name,
        options.licence,
        options.frames,
    )
    made = checkpoint_conversion.convert(options.checkpoint, options.output, given)
    sees = f"motion {made.motion.kind}" if made.clip is None else f"clips of {made.clip.frames} frames"
    print(
        f"{progress.file_summary(options.output)}: {made.name}, {made.architecture}, {len(made.labels)} labels "
        f"({made.training['labels']}: {made.labels[0]} … {made.labels[-1]}), "
        f"{made.height} × {made.width} pixels, {sees}"
    )
    print(progress.next_step("korsal-convert", "export", options.output, "-o", options.output.with_suffix(".onnx")))
    return 0


def _size(text: str) -> tuple[int, int]:
    try:
        return published_file.size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
