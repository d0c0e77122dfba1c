"""Video files: every frame in order, none dropped. Shell over OpenCV's reader."""

import contextlib
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
from edge.sources import Frame, redact
from edge.video.container import bytes_missing
from edge.video.frame_times import Clock, Timing, following, timing

LOOK_AHEAD = 32  # frames whose time stamps tell how a file is timed
MOST_FAILURES = 1000  # reads that fail one after the other: then that was the end, or nothing more is to be had
_SILENT = 0  # LOG_LEVEL_SILENT in every OpenCV 4
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

log = logging.getLogger(__name__)


class CaptureError(Exception):
    """A source that cannot be read; the message names it and the cure."""


class VideoFacts(NamedTuple):
    """What a look at a file's first frames tells.

    `fps` is how many frames a second there are as a rule, `size` (width, height) of the first picture. `announced` is
    the number of frames that the container names, None where it names none. It may be far off: `decodable` counts.
    """

    fps: float
    announced: int | None
    size: tuple[int, int]


def read_file(path: str | Path, camera: str) -> Iterator[Frame]:
    """Every frame of the file in order; both times are seconds after the first, by the file's own time stamps.

    Where those are not sound, by the rate that the file names, or 25 frames a second. A frame that cannot be decoded
    keeps its index and is left out; their number is told at the end. Sizes may change from frame to frame (OpenCV's
    FFmpeg reader scales them all to the first one's). CaptureError at the call where the file cannot be opened, at the
    first frame where it holds none. A file cut short yields what can be read, then a warning.
    """
    timed, _ = _look_ahead(path)
    return _frames(_open_file(path), Path(path), camera, timed)


def probe(path: str | Path) -> VideoFacts:
    """What can be told of a file without reading the whole of it. Raises CaptureError."""
    timed, facts = _look_ahead(path)
    return facts._replace(fps=timed.fps)


def decodable(path: str | Path) -> tuple[int, ...]:
    """The indices of the frames that can be decoded, found by decoding them all. CaptureError where there are none."""
    timed, _ = _look_ahead(path)
    capture = _open_file(path)
    try:
        found = tuple(clock.number for clock in _clocks(capture, timed))
    finally:
        capture.release()
    _require_frames(len(found), Path(path))
    return found


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
    if reason := oversize(*_announced_size(capture)):
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
        raise CaptureError(f"{redact(name)}: {fault}")


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


def _look_ahead(path: str | Path) -> tuple[Timing, VideoFacts]:
    """How the file's frames are timed, and what else its beginning tells."""
    capture = _open_file(path)
    try:
        announced_fps, frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        size = _announced_size(capture)
        stamps: list[float] = []
        while len(stamps) < LOOK_AHEAD and _grab(capture) is not None:
            if not stamps:
                there, image = capture.retrieve()  # the announced size is that before an orientation tag, at times
                size = (image.shape[1], image.shape[0]) if there else size
            stamps.append(_stamp(capture))
    finally:
        capture.release()
    timed = timing(stamps, announced_fps)
    announced = int(frames) if math.isfinite(frames) and 0 < frames < 2**31 else None
    return timed, VideoFacts(timed.fps, announced, size)


def _announced_size(capture: cv2.VideoCapture) -> tuple[int, int]:
    """(width, height), pixels."""
    return int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


def _stamp(capture: cv2.VideoCapture) -> float:
    """The time stamp of the frame that was grabbed last, s; some number or other where it has none."""
    return float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000


def _grab(capture: cv2.VideoCapture) -> int | None:
    """Go to the next frame that can be decoded; how many reads failed before. None at the end.

    OpenCV tells the end and a frame that is damaged alike: the end is where reads go on failing.
    """
    return next((failed for failed in range(MOST_FAILURES) if capture.grab()), None)


def _clocks(capture: cv2.VideoCapture, timed: Timing) -> Iterator[Clock]:
    """Number and time of each frame, which then can be retrieved."""
    clock = Clock()
    while (failed := _grab(capture)) is not None:
        clock = following(clock, _stamp(capture), failed, timed)
        yield clock


def _frames(capture: cv2.VideoCapture, path: Path, camera: str, timed: Timing) -> Iterator[Frame]:
    if not timed.known:
        log.warning("%s: has neither sound time stamps nor a sound rate, taken as %g frames a second", path, timed.fps)
    read = last = 0
    try:
        for clock in _clocks(capture, timed):
            there, image = capture.retrieve()
            if there:
                read, last = read + 1, clock.number + 1
                seconds = round(clock.time, 9)  # what is reckoned back and forth is no more exact
                yield Frame(camera, clock.number, seconds, seconds, as_bgr(image))
    finally:
        capture.release()
    _require_frames(read, path)
    _tell_losses(path, read, last)


def _require_frames(read: int, path: Path) -> None:
    if not read:
        raise CaptureError(f"{path}: holds no readable frame: it is damaged or cut short, copy it anew")


def _tell_losses(path: Path, read: int, frames: int) -> None:
    missing = 0
    with contextlib.suppress(OSError):  # it was moved or deleted while it was read
        missing = bytes_missing(path)
    if missing:
        log.warning("%s: is cut short: it ends after %d frames, %d bytes too soon: copy it anew", path, frames, missing)
    if read < frames:
        log.warning("%s: %d of %d frames cannot be decoded and are left out", path, frames - read, frames)
