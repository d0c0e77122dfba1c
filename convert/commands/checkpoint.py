"""`korsal-convert checkpoint`: a checkpoint of CenterNet or KORSAL → ours."""

import argparse
from pathlib import Path

from convert import centernet_checkpoint, centernet_names, label_sets
from convert.centernet_checkpoint import CheckpointOptions
from edge.motion_map import KINDS
from edge.terminal import progress
from edge.terminal.arguments import whole_number

HELP = "checkpoint of CenterNet or KORSAL → one of ours"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    add("checkpoint", type=Path, help=".pth of CenterNet or KORSAL")
    add("-o", "--output", type=Path, required=True, metavar="OUT.pt", help="to write")
    known = "|".join(label_sets.KNOWN)
    add("--labels", metavar=f"FILE|{known}", help="one name a line, or a known set; default: the set with as many")
    add("--arch", choices=tuple(centernet_names.FIRST), help="default: as its parameters are called")
    usual = f"{centernet_checkpoint.DEFAULT_SIDE}, {centernet_checkpoint.SIDES_BY_LABELS['coco']} for coco"
    add("--size", type=_size, metavar="HEIGHTxWIDTH", help=f"of the input, pixels; default: {usual}")
    add("--motion", choices=KINDS, help="what the channels after the frame's hold; default: ssim, none")
    add("--gap", type=whole_number(1), default=1, help="how many frames back the previous frame lies")
    add("--name", default="", help="of the model, part of every event; default: the file's")
    add("--licence", default="", help="of the weights, a sentence; kept in the manifest")


def run(options: argparse.Namespace) -> int:
    """Convert, and print what the checkpoint holds; raises CheckpointError."""
    given = CheckpointOptions(
        options.labels, options.arch, options.size, options.motion, options.gap, options.name, options.licence
    )  # fmt: skip
    made = centernet_checkpoint.convert(options.checkpoint, options.output, given)
    print(
        f"{progress.file_summary(options.output)}: {made.name}, {made.architecture}, {len(made.labels)} labels "
        f"({made.training['labels']}: {made.labels[0]} … {made.labels[-1]}), "
        f"{made.height} × {made.width} pixels, motion {made.motion.kind}"
    )
    print(progress.next_step("korsal-convert", "export", options.output, "-o", options.output.with_suffix(".onnx")))
    return 0


def _size(text: str) -> tuple[int, int]:
    try:
        return centernet_checkpoint.size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
