"""Reads every frame of a video file, in order. Shell over OpenCV's reader."""

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
from edge.cameras.gstreamer_pipelines import file_pipeline
from edge.cameras.image_transform import as_bgr, flipped, rotated, size_problem
from edge.cameras.opencv import has_ffmpeg, has_gstreamer, silence_opencv
from edge.sources import Frame, redact
from edge.text import Notify

INSPECTED_FRAMES = 32  # frames whose time stamps determine a file's timing
MAX_FRAMES = 1 << 24  # of one file: a week at 25 a second; more would be an attack on our memory
MAX_FAILED_READS = 1000  # in a row: that is the end, or nothing more can be decoded
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")

log = logging.getLogger(__name__)


class CaptureError(Exception):
    """A source that cannot be read; the message names it and the remedy."""


class VideoInfo(NamedTuple):
    """What the first frames and the container say of a file.

    `fps`: the usual frames per second; `size`: (width, height) of the first frame. `announced`: the container's number
    of frames, None where it has none, or a rate that its frames do not keep. It is good enough for a progress bar and
    may be far off: `decodable_frames` counts.
    """

    fps: float
    announced: int | None
    size: tuple[int, int]


class FileInspection(NamedTuple):
    """How to read a file, by its first frames and its container."""

    timing: Timing
    info: VideoInfo
    orientation: Orientation


def _warn(sentence: str) -> None:
    log.warning("%s", sentence)


def read_file(path: str | Path, camera: str, notify: Notify = _warn) -> Iterator[Frame]:
    """Every frame of the file in order; both times are seconds since the first frame.

    They are the file's own time stamps; where those are not plausible, the announced rate is used, or 25 frames a
    second. A frame that cannot be decoded is skipped and keeps its index. Skipped frames, and a truncated file, are
    passed to `notify` at the end. Sizes may change from frame to frame (OpenCV's FFmpeg reader scales them all to the
    first one's). Raises CaptureError: at once where the file cannot be opened, at the first frame where it holds none.
    """
    found = inspect_file(path)
    return _frames(_open_file(path), Path(path), camera, found, notify)


def probe(path: str | Path) -> VideoInfo:
    """Rate, length and size of a file, without reading all of it. Raises CaptureError."""
    return inspect_file(path).info


def decodable_frames(path: str | Path) -> tuple[int, ...]:
    """The indices of the frames that can be decoded, found by decoding all of them. Raises CaptureError for none."""
    timed = inspect_file(path).timing
    capture = _open_file(path)
    try:
        found = tuple(position.number for position in _positions(capture, Path(path), timed))
    finally:
        capture.release()
    _require_frames(len(found), Path(path))
    return found


def upright(image: NDArray[Any], orientation: Orientation) -> NDArray[Any]:
    """A decoded frame, flipped and rotated as its file asks for."""
    return rotated(flipped(image, orientation.flip), orientation.rotation)


def _open_file(path: str | Path) -> cv2.VideoCapture:
    check_file(Path(path))
    silence_opencv()
    target, backend = os.path.abspath(path), cv2.CAP_FFMPEG  # absolute: no part of its name is a protocol for FFmpeg
    if not has_ffmpeg():
        target, backend = (file_pipeline(target), cv2.CAP_GSTREAMER) if has_gstreamer() else (target, cv2.CAP_ANY)
    capture = cv2.VideoCapture(target, backend)
    if backend == cv2.CAP_FFMPEG:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # some versions rotate in the wrong direction: `upright` does it
    if not capture.isOpened():
        capture.release()
        raise CaptureError(
            f"{path}: cannot be read as video, its format is unknown or it is truncated: "
            f"check it with `ffprobe`, or copy it again from its source"
        )
    if reason := size_problem(*_announced_size(capture)):
        capture.release()
        raise CaptureError(f"{path}: has {reason}: scale it down, with `ffmpeg -i ... -vf scale=1280:-2 ...`")
    return capture


def check_file(path: Path) -> None:
    """Raise CaptureError for what can be wrong with a file before it is decoded."""
    name = str(path).encode(errors="backslashreplace").decode()
    try:
        fault = "its name is not UTF-8, which OpenCV requires: rename it" if name != str(path) else _file_fault(path)
    except OSError as error:  # a name too long, a folder that may not be read, a failing disk
        fault = f"cannot be read ({error.strerror}): check the path and the permissions of its folders"
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
        return "is empty: copy it again from its source"
    with path.open("rb") as file:
        return "is text, not video: give a video file" if _is_text(file.read(1024)) else None


def _is_text(head: bytes) -> bool:
    """Whether it is text: FFmpeg would render it as video of a terminal, or open what a playlist names."""
    return not head.startswith(b"YUV4MPEG2") and not _NOT_IN_TEXT.search(head)


def inspect_file(path: str | Path) -> FileInspection:
    """Read a file's first frames to learn how to read it. Raises CaptureError."""
    capture = _open_file(path)
    try:
        announced_fps, frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        size, file_orientation = _announced_size(capture), _orientation(Path(path))
        stamps: list[float] = []
        while len(stamps) < INSPECTED_FRAMES and _grab(capture) is not None:
            if not stamps:
                there, image = capture.retrieve()
                height, width = upright(image, file_orientation).shape[:2] if there else size[::-1]
                size = width, height
            stamps.append(_stamp(capture))
    finally:
        capture.release()
    timed = estimate_timing(stamps, announced_fps)
    if has_ffmpeg() and not timed.has_time_stamps and len(stamps) > 1 and announced_fps == DEFAULT_FPS:
        timed = timed._replace(known=False)  # FFmpeg's value for every stream whose rate it does not know
    agreed = timed.even and math.isclose(announced_fps, timed.fps, rel_tol=0.05)
    announced = int(frames) if agreed and math.isfinite(frames) and 0 < frames < 2**31 else None
    return FileInspection(timed, VideoInfo(timed.fps, announced, size), file_orientation)


def _orientation(path: Path) -> Orientation:
    with contextlib.suppress(OSError):
        return orientation(path)
    return Orientation()


def _announced_size(capture: cv2.VideoCapture) -> tuple[int, int]:
    """(width, height), pixels."""
    return int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


def _stamp(capture: cv2.VideoCapture) -> float:
    """The time stamp (s) of the frame grabbed last; any number where it has none.

    Not used with GStreamer, which gives that of a later frame.
    """
    return float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000 if has_ffmpeg() else 0.0


def _grab(capture: cv2.VideoCapture) -> int | None:
    """Move to the next frame that can be decoded; how many reads failed before it. None at the end.

    OpenCV reports the end and a damaged frame alike: it is the end when reads keep failing.
    """
    return next((failed for failed in range(MAX_FAILED_READS) if capture.grab()), None)


def _positions(capture: cv2.VideoCapture, path: Path, timed: Timing) -> Iterator[FramePosition]:
    """Number and time of each frame that can be decoded. It can be retrieved until the next one is asked for."""
    position = FramePosition()
    while (failed := _grab(capture)) is not None:
        position = next_position(position, _stamp(capture), failed, timed)
        if position.number >= MAX_FRAMES:
            raise CaptureError(f"{path}: has more than {MAX_FRAMES >> 20} million frames: split it into several files")
        yield position


def _frames(
    capture: cv2.VideoCapture, path: Path, camera: str, found: FileInspection, notify: Notify
) -> Iterator[Frame]:
    timed = found.timing
    if not timed.known:
        remedy = "if that is wrong, write the file again with its rate"
        notify(f"{path}: has neither plausible time stamps nor a plausible rate, read at {timed.fps:g} fps: {remedy}")
    read = last = 0
    try:
        for position in _positions(capture, path, timed):
            there, image = capture.retrieve()
            if there:
                read, last = read + 1, position.number + 1
                seconds = round(position.time, 9)  # arithmetic on time stamps is no more exact
                yield Frame(camera, position.number, seconds, seconds, as_bgr(upright(image, found.orientation)))
    finally:
        capture.release()
    _require_frames(read, path)
    for sentence in _loss_warnings(path, read, last):
        notify(sentence)


def _require_frames(read: int, path: Path) -> None:
    if not read:
        raise CaptureError(f"{path}: holds no readable frame: it is damaged or truncated, copy it again")


def _loss_warnings(path: Path, read: int, frames: int) -> Iterator[str]:
    """Warnings for a file of which `read` of `frames` frames could be read."""
    missing = 0
    with contextlib.suppress(OSError):  # it was moved or deleted while it was read
        missing = bytes_missing(path)
    if missing:
        yield f"{path}: is truncated: it ends after {frames} frames, {missing} bytes too soon: copy it again"
    if read < frames:
        yield f"{path}: {frames - read} of {frames} frames cannot be decoded and are skipped"
