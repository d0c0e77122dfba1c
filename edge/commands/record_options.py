"""The command line of `korsal-edge record`: its options, and the camera that they name."""

import argparse
import sys
from pathlib import Path

from edge.commands.record import MEGABYTE, RecordError, RecordOptions, record
from edge.config import config_file
from edge.config.config_file import ConfigError
from edge.config.schema import Config
from edge.doctor import doctor
from edge.history.clip_writer import WIDTH
from edge.history.encoder import EncoderError
from edge.sources import Source, parse
from edge.terminal.arguments import number, whole_number

RECORD = "record a camera as MP4 files, to annotate and to teach from"


def add_record(parser: argparse.ArgumentParser) -> None:
    """Add the options of `record`."""
    add, usual = parser.add_argument, RecordOptions(Path())
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--camera", metavar="NAME", help="of the configuration: as it is set up there, masks too")
    which.add_argument("--source", metavar="URI", help="/dev/video0, csi://0, rtsp://…: without a configuration")
    add("--config", type=Path, default=doctor.default_config(), help="default: %(default)s")
    add("--out", type=Path, required=True, help="folder for files named like door_20260131-120500.mp4, times in UTC")
    add("--minutes", type=number, default=usual.seconds / 60, help="in all; default: %(default)g")
    add("--part", type=number, default=usual.part_seconds, metavar="SECONDS", help="of one file; default: %(default)g")
    most = "in all, after which it ends; default: %(default)g"
    add("--megabytes", type=number, default=usual.most_bytes / MEGABYTE, help=most)
    add("--width", type=whole_number(64, 4096), default=WIDTH, help="pixels of a picture at most; default: %(default)s")


def run_record(options: argparse.Namespace) -> int:
    """Run `korsal-edge record`; 1 where no encoder is there. Raises CaptureError, ConfigError, RecordError."""
    for name in ("minutes", "part", "megabytes"):
        if not 0 < getattr(options, name) < float("inf"):
            raise RecordError(f"--{name} {getattr(options, name):g}: give a number above 0")
    name, source = _camera(options)
    wanted = RecordOptions(options.out, options.minutes * 60, options.part, options.megabytes * MEGABYTE, options.width)
    try:
        for line in record(name, source, wanted):
            print(line, flush=True)
    except EncoderError as error:
        print(f"korsal-edge: {error}", file=sys.stderr)
        return 1
    return 0


def _camera(options: argparse.Namespace) -> tuple[str, Source]:
    """The name and source of the camera. Raises ConfigError, RecordError, SourceError."""
    if options.source is not None:
        return "camera", parse(options.source)
    config = _config(options.config)
    if options.camera not in config.cameras:
        known = ", ".join(config.cameras) or "none"
        raise RecordError(f"{options.config}: has no camera {options.camera} (it has: {known}); give one of these")
    return options.camera, config.cameras[options.camera].to_source()


def _config(path: Path) -> Config:
    """A configuration whose cameras are usable, whatever else is wrong with it."""
    try:
        return config_file.load(path)
    except ConfigError as error:
        if error.usable is None:
            raise
        return error.usable
