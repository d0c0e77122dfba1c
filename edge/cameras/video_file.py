"""Video files: every frame in order, none dropped. Shell over OpenCV's reader."""

import contextlib
import logging
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from numpy.typing import NDArray

from edge.cameras.container import Orientation, bytes_missing, orientation
from edge.cameras.frame_times import DEFAULT_FPS, FramePosition, Timing, estimate_timing, next_position
from edge.cameras.gstreamer_pipelines import VideoBackend, file_pipeline
from edge.cameras.image_transform import as_bgr, flipped, rotated, size_problem
from edge.sources import Frame, redact
from edge.text import Notify

INSPECTED_FRAMES = 32  # frames whose time stamps tell how a file is timed
MAX_FRAMES = 1 << 24  # of one file: a week of it; more is what somebody says who wants our memory
MAX_FAILED_READS = 1000  # reads that fail one after the other: then that was the end, or nothing more is to be had
_SILENT = 0  # LOG_LEVEL_SILENT in every OpenCV 4
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

log = logging.getLogger(__name__)


class CaptureError(Exception):
    """A source that cannot be read; the message names it and the cure."""


class VideoInfo(NamedTuple):
    """What a look at a file's first frames tells.

    `fps` is how many frames a second there are as a rule, `size` (width, height) of the first picture. `announced` is
    the number of frames that the container names, None where it names none, or names a rate that its frames do not
    have. It is good for a progress bar and may be far off: `decodable_frames` counts.
    """

    fps: float
    announced: int | None
    size: tuple[int, int]


class FileInspection(NamedTuple):
    """How a file is to be read, as its first frames and its container tell."""

    timing: Timing
    info: VideoInfo
    orientation: Orientation


def _warn(sentence: str) -> None:
    log.warning("%s", sentence)


def read_file(path: str | Path, camera: str, notify: Notify = _warn) -> Iterator[Frame]:
    """Every frame of the file in order; both times are seconds after the first, by the file's own time stamps.

    Where those are not sound, by the rate that the file names, or 25 frames a second. A frame that cannot be decoded
    keeps its index and is left out; their number is told at the end. Sizes may change from frame to frame (OpenCV's
    FFmpeg reader scales them all to the first one's). CaptureError at the call where the file cannot be opened, at the
    first frame where it holds none. A file cut short yields what can be read, then that is told too.
    """
    found = inspect_file(path)
    return _frames(_open_file(path), Path(path), camera, found, notify)


def probe(path: str | Path) -> VideoInfo:
    """What can be told of a file without reading the whole of it. Raises CaptureError."""
    return inspect_file(path).info


def decodable_frames(path: str | Path) -> tuple[int, ...]:
    """The indices of the frames that can be decoded, found by decoding them all. CaptureError where there are none."""
    timed = inspect_file(path).timing
    capture = _open_file(path)
    try:
        found = tuple(position.number for position in _positions(capture, Path(path), timed))
    finally:
        capture.release()
    _require_frames(len(found), Path(path))
    return found


def upright(image: NDArray[Any], asked: Orientation) -> NDArray[Any]:
    """A picture of a film as its decoder gives it, turned as the film asks for: phones film as their sensor lies."""
    return rotated(flipped(image, asked.flip), asked.rotation)


def has_ffmpeg() -> bool:
    """Whether OpenCV was built with it."""
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG))


def opencv_backend(backend: VideoBackend) -> int:
    """OpenCV's number for it; where OpenCV was built without FFmpeg, whatever else it finds for streams."""
    if backend == "ffmpeg" and not has_ffmpeg():
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
    target, backend = os.path.abspath(path), cv2.CAP_FFMPEG  # absolute: no part of its name is a protocol for FFmpeg
    if not has_ffmpeg():
        through_gstreamer = cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER)
        target, backend = (file_pipeline(target), cv2.CAP_GSTREAMER) if through_gstreamer else (target, cv2.CAP_ANY)
    capture = cv2.VideoCapture(target, backend)
    if backend == cv2.CAP_FFMPEG:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # some versions turn the wrong way round: `upright` does it
    if not capture.isOpened():
        capture.release()
        raise CaptureError(
            f"{path}: cannot be read as video, it is of an unknown format or cut short: "
            f"check it with `ffprobe`, or copy it anew from where it came"
        )
    if reason := size_problem(*_announced_size(capture)):
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
        return f"no such file{'' if path.is_absolute() else f' in {Path.cwd()}'}: check the path"
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


def inspect_file(path: str | Path) -> FileInspection:
    """Look at the beginning of a file. Raises CaptureError."""
    capture = _open_file(path)
    try:
        announced_fps, frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        size, asked = _announced_size(capture), _orientation(Path(path))
        stamps: list[float] = []
        while len(stamps) < INSPECTED_FRAMES and _grab(capture) is not None:
            if not stamps:
                there, image = capture.retrieve()
                height, width = upright(image, asked).shape[:2] if there else size[::-1]
                size = width, height
            stamps.append(_stamp(capture))
    finally:
        capture.release()
    timed = estimate_timing(stamps, announced_fps)
    if has_ffmpeg() and not timed.has_time_stamps and len(stamps) > 1 and announced_fps == DEFAULT_FPS:
        timed = timed._replace(known=False)  # FFmpeg says this of every stream of which it does not know it
    agreed = timed.even and math.isclose(announced_fps, timed.fps, rel_tol=0.05)
    announced = int(frames) if agreed and math.isfinite(frames) and 0 < frames < 2**31 else None
    return FileInspection(timed, VideoInfo(timed.fps, announced, size), asked)


def _orientation(path: Path) -> Orientation:
    with contextlib.suppress(OSError):
        return orientation(path)
    return Orientation()


def _announced_size(capture: cv2.VideoCapture) -> tuple[int, int]:
    """(width, height), pixels."""
    return int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


def _stamp(capture: cv2.VideoCapture) -> float:
    """The time stamp of the frame that was grabbed last, s; some number or other where it has none.

    GStreamer's is not of this frame, but of one further on.
    """
    return float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000 if has_ffmpeg() else 0.0


def _grab(capture: cv2.VideoCapture) -> int | None:
    """Go to the next frame that can be decoded; how many reads failed before. None at the end.

    OpenCV tells the end and a frame that is damaged alike: the end is where reads go on failing.
    """
    return next((failed for failed in range(MAX_FAILED_READS) if capture.grab()), None)


def _positions(capture: cv2.VideoCapture, path: Path, timed: Timing) -> Iterator[FramePosition]:
    """Number and time of each frame, which then can be retrieved."""
    position = FramePosition()
    while (failed := _grab(capture)) is not None:
        position = next_position(position, _stamp(capture), failed, timed)
        if position.number >= MAX_FRAMES:
            raise CaptureError(f"{path}: goes on after {MAX_FRAMES >> 20} million frames: cut it into several files")
        yield position


def _frames(
    capture: cv2.VideoCapture, path: Path, camera: str, found: FileInspection, notify: Notify
) -> Iterator[Frame]:
    timed = found.timing
    if not timed.known:
        taken = f"taken as {timed.fps:g} frames a second: if that is wrong, write the file anew with its rate"
        notify(f"{path}: has neither sound time stamps nor a sound rate, {taken}")
    read = last = 0
    try:
        for position in _positions(capture, path, timed):
            there, image = capture.retrieve()
            if there:
                read, last = read + 1, position.number + 1
                seconds = round(position.time, 9)  # what is reckoned back and forth is no more exact
                yield Frame(camera, position.number, seconds, seconds, as_bgr(upright(image, found.orientation)))
    finally:
        capture.release()
    _require_frames(read, path)
    for sentence in _loss_warnings(path, read, last):
        notify(sentence)


def _require_frames(read: int, path: Path) -> None:
    if not read:
        raise CaptureError(f"{path}: holds no readable frame: it is damaged or cut short, copy it anew")


def _loss_warnings(path: Path, read: int, frames: int) -> Iterator[str]:
    """What is to be told of a file of which so many of its frames could be read."""
    missing = 0
    with contextlib.suppress(OSError):  # it was moved or deleted while it was read
        missing = bytes_missing(path)
    if missing:
        yield f"{path}: is cut short: it ends after {frames} frames, {missing} bytes too soon: copy it anew"
    if read < frames:
        yield f"{path}: {frames - read} of {frames} frames cannot be decoded and are left out"
