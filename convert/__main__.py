"""`korsal-convert`: trained weights → models for the device."""

import argparse
import sys
from pathlib import Path

from convert.export import ExportError, export, scores
from edge.engine import EngineError
from train.checkpoint import CheckpointError


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    changes = {name: value for name in ("name", "licence") if (value := getattr(options, name)) is not None}
    try:
        training = {"scores": scores(options.scores)} if options.scores else {}
        manifest = export(options.checkpoint, options.output, changes, training)
    except (CheckpointError, EngineError, ExportError) as error:
        print(f"korsal-convert: {error}", file=sys.stderr)
        return 1
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {manifest.name}, {len(manifest.labels)} actions, {size:.1f} MB, answers as torch does")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="korsal-convert", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("export", help="checkpoint → ONNX", description="Checkpoint of korsal-train → ONNX.")
    command.add_argument("checkpoint", type=Path, help=".pt of korsal-train")
    command.add_argument("-o", "--output", type=Path, required=True, help=".onnx to write")
    command.add_argument("--name", help="of the model, told in every event; default: the checkpoint's")
    command.add_argument("--licence", help="of the weights, a sentence; kept in the manifest")
    command.add_argument("--scores", type=Path, help="report of korsal-evaluate --json; kept in the manifest")
    return parser


if __name__ == "__main__":
    sys.exit(main())
