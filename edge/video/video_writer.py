"""Writes a video file. Shell over OpenCV's writer."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.opencv import silence_opencv
from edge.cameras.video_file import CaptureError, probe

FORMATS = {  # by codec; with what plays it
    "avc1": "H.264",
    "VP80": "VP8",
    "mp4v": "MPEG-4 part 2: VLC and mpv play it, browsers do not; for those give a name in .webm",
    "MJPG": "Motion JPEG: VLC and mpv play it, browsers do not; for those give a name in .webm",
}
CODECS = {".webm": ("VP80",), ".mp4": ("avc1", "mp4v"), ".avi": ("MJPG",)}  # by suffix, the best first
RESERVED_BYTES = 16 * 1024 * 1024  # left free on the disk, so that the file can be finished
DISK_CHECK_FRAMES = 25  # between two checks of the free space


class VideoError(Exception):
    """A video that cannot be written; the message names it and the remedy."""


class VideoWriter:
    """Writes frames of one size to one file; once closed, what was written is kept.

    .webm is written as VP8, which browsers play, .avi as Motion JPEG. In .mp4, `codec` is the one that this OpenCV can
    write: H.264 ("avc1"), else MPEG-4 part 2 ("mp4v"); OpenCV's own wheels lack the first.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        """`size`: (width, height), even. Raises VideoError."""
        check_destination(path)
        silence_opencv()
        self.path, self.size = path, size
        self.frames = 0
        self.codec, self._writer = _open(path, fps, size)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append an (H, W, 3) BGR image. Raises VideoError before the disk is full."""
        if self.frames % DISK_CHECK_FRAMES == 0 and shutil.disk_usage(self.path.parent).free < RESERVED_BYTES:
            raise VideoError(f"{self.path}: the disk is full; free space, or write it to another disk")
        self._writer.write(image)
        self.frames += 1

    def close(self, check: bool = True) -> None:
        """Finish the file, and `check` it by opening it, since OpenCV reports no errors. Raises VideoError."""
        self._writer.release()
        if not check or not self.frames:
            return
        try:
            probe(self.path)
        except CaptureError as error:
            raise VideoError(f"{self.path}: was not written completely; free space on its disk") from error


def preferred_suffix() -> str:
    """The most widely played format that this OpenCV can write. Raises VideoError where there is none."""
    with tempfile.TemporaryDirectory(prefix="korsal-edge-") as folder:
        for suffix, codecs in CODECS.items():
            if any(_try_codec(Path(folder, f"trial{suffix}"), codec, 25, (64, 64)) is not None for codec in codecs):
                return suffix
    raise VideoError(f"this OpenCV can write none of {', '.join(CODECS)}: install one that has FFmpeg")


def format_description(codec: str) -> str:
    """The format of a codec, and what plays it where that is not everything."""
    return FORMATS[codec]


def check_destination(path: Path) -> None:
    """Raise VideoError where no video can be written to `path`."""
    if path.suffix.lower() not in CODECS:
        raise VideoError(f"{path}: is not a format that can be written; give a name ending in {', '.join(CODECS)}")
    folder = path.parent
    if path.is_dir():
        raise VideoError(f"{path}: is a directory; give the name of a video file in it")
    if not folder.is_dir():
        raise VideoError(f"{path}: its folder does not exist; mkdir -p '{folder}'")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise VideoError(f"{path}: this user may not write it; choose another place")


def _open(path: Path, fps: float, size: tuple[int, int]) -> tuple[str, cv2.VideoWriter]:
    """A writer with the first codec that this OpenCV can write."""
    for codec in CODECS[path.suffix.lower()]:
        writer = _try_codec(path, codec, fps, size)
        if writer is not None:
            return codec, writer
    others = " or ".join(suffix for suffix in CODECS if suffix != path.suffix.lower())
    raise VideoError(
        f"{path}: this OpenCV cannot write it; give a name ending in {others}, or check that the disk is not full"
    )


def _try_codec(path: Path, codec: str, fps: float, size: tuple[int, int]) -> cv2.VideoWriter | None:
    with _silenced_stderr():
        writer = cv2.VideoWriter(os.path.abspath(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    if writer.isOpened():
        return writer
    writer.release()
    return None


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    """Discard what OpenCV prints to stderr: that it writes VP8 under another name than we gave it."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
