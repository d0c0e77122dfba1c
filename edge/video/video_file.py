"""Video files: every frame in order, none dropped. Shell over OpenCV's reader."""

import logging
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2

from edge.cameras.gstreamer import Backend
from edge.cameras.picture import as_bgr, oversize
from edge.sources import Frame

DEFAULT_FPS = 25.0
_SILENT = 0  # LOG_LEVEL_SILENT in every OpenCV 4
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

log = logging.getLogger(__name__)


class CaptureError(Exception):
    """A source that cannot be read; the message names it and the cure."""


class VideoFacts(NamedTuple):
    """What a file announces of itself; `frames` is None where it announces no number, `size` is (width, height)."""

    fps: float
    frames: int | None
    size: tuple[int, int]


def read_file(path: str | Path, camera: str) -> Iterator[Frame]:
    """Every frame of the file in order; both times are `index / fps`.

    Sizes may change from frame to frame (OpenCV's FFmpeg reader scales them all to the first one's). CaptureError at
    the call where the file cannot be opened, at the first frame where it holds none. A file cut short yields what can
    be read, then a warning tells how many frames are missing.
    """
    capture = _open_file(path)
    return _frames(capture, str(path), camera)


def probe(path: str | Path) -> VideoFacts:
    """What the file announces: frames per second (25 where it says nothing sensible), frames, (width, height)."""
    capture = _open_file(path)
    try:
        return _facts(capture)
    finally:
        capture.release()


def opencv_backend(backend: Backend) -> int:
    """OpenCV's number for it; where OpenCV was built without FFmpeg, whatever else it finds for files and streams."""
    if backend == "ffmpeg" and not cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG):
        return cv2.CAP_ANY
    return {"ffmpeg": cv2.CAP_FFMPEG, "v4l2": cv2.CAP_V4L2, "gstreamer": cv2.CAP_GSTREAMER}[backend]


def silence_opencv() -> None:
    """Stop OpenCV and FFmpeg from writing to stderr: our own sentences tell more.

    The environment can say otherwise. FFmpeg's part counts from the first file that this process opens or writes.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        logging_home = getattr(cv2.utils, "logging", cv2)  # it moved after OpenCV 4.8
        logging_home.setLogLevel(_SILENT)


def _open_file(path: str | Path) -> cv2.VideoCapture:
    check_file(Path(path))
    silence_opencv()
    # An absolute path, so that FFmpeg takes no part of the name for a protocol.
    capture = cv2.VideoCapture(os.path.abspath(path), opencv_backend("ffmpeg"))
    if not capture.isOpened():
        capture.release()
        raise CaptureError(
            f"{path}: cannot be read as video, it is of an unknown format or cut short: "
            f"check it with `ffprobe`, or copy it anew from where it came"
        )
    if reason := oversize(*_facts(capture).size):
        capture.release()
        raise CaptureError(f"{path}: has {reason}: scale it down, with `ffmpeg -i ... -vf scale=1280:-2 ...`")
    return capture


def check_file(path: Path) -> None:
    """What can be said of a file before it is decoded; CaptureError names it and the cure."""
    name = str(path).encode(errors="backslashreplace").decode()
    try:
        fault = "its name is not UTF-8, which OpenCV needs: rename it" if name != str(path) else _file_fault(path)
    except OSError as error:  # a name too long, a folder that may not be looked into, a disk that fails
        fault = f"cannot be read ({error.strerror}): check the path and the rights of its folders"
    if fault:
        raise CaptureError(f"{name}: {fault}")


def _file_fault(path: Path) -> str | None:
    if path.is_dir():
        return "is a directory: give a video file in it"
    if not path.exists():
        return "no such file: check the path"
    if not path.is_file():
        return "is not an ordinary file: give a video file, or a camera as /dev/video0"
    if not os.access(path, os.R_OK):
        return "may not be read by this user: change its permissions"
    if path.stat().st_size == 0:
        return "is empty: copy it anew from where it came"
    with path.open("rb") as file:
        return "is a text, not a video: give a video file" if _is_text(file.read(1024)) else None


def _is_text(head: bytes) -> bool:
    """FFmpeg would render a text as a film of a terminal, and follow what a playlist names."""
    return not head.startswith(b"YUV4MPEG2") and not _NOT_IN_TEXT.search(head)


def _facts(capture: cv2.VideoCapture) -> VideoFacts:
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return VideoFacts(
        fps if _sensible(fps) else DEFAULT_FPS,
        int(frames) if math.isfinite(frames) and 0 < frames < 2**31 else None,
        (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))),
    )


def _sensible(fps: float) -> bool:
    return math.isfinite(fps) and 0.1 <= fps <= 1000


def _frames(capture: cv2.VideoCapture, name: str, camera: str) -> Iterator[Frame]:
    announced, fps = capture.get(cv2.CAP_PROP_FPS), _facts(capture).fps
    if announced != fps:
        log.warning("%s: announces %g frames per second, taken as %g", name, announced, fps)
    index = 0
    try:
        while True:
            there, image = capture.read()
            if not there:
                break
            yield Frame(camera, index, index / fps, index / fps, as_bgr(image))
            index += 1
        _check_end(index, _facts(capture).frames, name)
    finally:
        capture.release()


def _check_end(read: int, announced: int | None, name: str) -> None:
    """Many containers announce an estimate, so that a frame or two less is no loss."""
    if read == 0:
        raise CaptureError(f"{name}: holds no readable frame: it is damaged or cut short, copy it anew")
    if announced is not None and announced - read > max(2, announced // 100):
        log.warning("%s: ends after %d of %d announced frames: the file is damaged or cut short", name, read, announced)
