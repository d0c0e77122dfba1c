"""`korsal-edge record`: a camera's pictures as MP4 files, to annotate and to teach from. Shell."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path

from edge import files
from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.cameras.video_file import CaptureError
from edge.detector import frame_size
from edge.history.clip_writer import WIDTH, ClipWriter
from edge.history.encoder import encoded_size
from edge.sources import Frame, Source
from edge.terminal import progress

OPEN_SECONDS = 60.0  # for the camera to deliver its first frame
POLL_SECONDS = 0.25
RESERVED_BYTES = 500_000_000  # left free on the disk: a device needs room for its own
MEGABYTE = 1e6


class RecordError(Exception):
    """What cannot be recorded; the message names the camera or file, and the remedy."""


@dataclass(frozen=True)
class RecordOptions:
    """Where to, how long in all and in one file, s, and how much at most, bytes. `width`: of the pictures, at most."""

    out: Path
    seconds: float = 600.0
    part_seconds: float = 60.0
    most_bytes: float = 2e9
    width: int = WIDTH


def record(name: str, source: Source, options: RecordOptions) -> Iterator[str]:
    """Record a live camera; yields a sentence on each file as soon as it is there, whole.

    A mask of the camera is black in them too. Ctrl-C keeps what was seen. Raises CaptureError, EncoderError,
    RecordError.
    """
    if not source.live:
        raise RecordError(f"{source.redacted}: is a file already; copy it to {options.out}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"{options.out}: cannot be made ({error.strerror}); choose another --out") from error
    used = 0
    with LiveCamera(name, source, LiveSettings(open_seconds=OPEN_SECONDS)) as live:
        frames = _frames(live, options.seconds)
        while (first := next(frames, None)) is not None:
            _check_room(options, used)
            path, size, interrupted = _part(first, frames, options)
            used += size
            yield f"{progress.file_summary(path)}"
            if interrupted:
                return
    if not used:
        raise CaptureError(f"camera {name}: {live.reason or 'no frame came'}; korsal-edge doctor says more")


def _frames(live: LiveCamera, seconds: float) -> Iterator[Frame]:
    """The camera's frames until `seconds` after the first; none where none comes within OPEN_SECONDS."""
    end = time.monotonic() + OPEN_SECONDS
    begun = False
    while time.monotonic() < end:
        frame = live.newest(POLL_SECONDS)
        if frame is not None:
            end = end if begun else frame.monotonic_time + seconds
            begun = True
            yield frame


def _check_room(options: RecordOptions, used: int) -> None:
    if used >= options.most_bytes:
        most = f"{options.most_bytes / MEGABYTE:.0f}"
        raise RecordError(f"{options.out}: holds the {most} MB of --megabytes; copy them away, or allow more")
    if shutil.disk_usage(options.out).free < RESERVED_BYTES:
        raise RecordError(f"{options.out}: less than {RESERVED_BYTES / MEGABYTE:.0f} MB are free; make room first")


def _part(first: Frame, frames: Iterator[Frame], options: RecordOptions) -> tuple[Path, int, bool]:
    """Write one file: its path, its bytes, and whether Ctrl-C ended it."""
    shape, begun, interrupted = first.image.shape, first.monotonic_time, False
    with ClipWriter(encoded_size(frame_size(first.image), options.width)) as writer:
        try:
            for frame in chain([first], frames):
                if frame.image.shape != shape:  # the camera was set up anew; the next file has its new size
                    break
                writer.add(frame.image, frame.monotonic_time - begun)
                if frame.monotonic_time - begun >= options.part_seconds:
                    break
        except KeyboardInterrupt:
            interrupted = True
        content = writer.content()
    started = datetime.fromtimestamp(first.unix_time, timezone.utc)
    path = options.out / f"{first.camera}_{started:%Y%m%d-%H%M%S}.mp4"
    try:
        files.write_new(path, content)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written ({error.strerror}); free space, or give another --out") from error
    return path, len(content), interrupted
