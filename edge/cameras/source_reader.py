"""Reads a live source with the first backend that gives an image. Shell over OpenCV's reader."""

import contextlib
import os
import time
from collections.abc import Generator, Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import cv2
from numpy.typing import NDArray

from edge.cameras.ffmpeg_options import OPTIONS_VARIABLE, ffmpeg_options
from edge.cameras.gstreamer_elements import known_elements
from edge.cameras.gstreamer_pipelines import (
    BackendCandidate,
    InstalledElements,
    backend_candidates,
    in_order,
    is_rtsp,
    scaled_down,
)
from edge.cameras.image_transform import size_problem
from edge.cameras.memory_limits import limit_ffmpeg_blocks
from edge.cameras.opencv import backend_number, has_ffmpeg, has_gstreamer
from edge.cameras.opening_faults import TransportRefusedError, raise_refusal, remedy
from edge.cameras.reader_control import ReaderControl
from edge.cameras.source_check import check_source, require_argus
from edge.cameras.video_file import CaptureError, inspect_file, read_file, upright
from edge.sources import RtspTransport, Source
from edge.text import Notify

TIMEOUT_MS = 600_000  # OpenCV's own time limits: the parent gives up sooner
UDP_TIMEOUT_MS = 10_000  # until the first packets, which a firewall drops silently
SETTLING_SECONDS = 1.0  # for a camera to end one session before another is requested
MAX_FAILED_READS = 300  # in a row, as between two key frames; more are the end of the stream
MAX_PAUSE = 2.0  # seconds between two frames of a looped file; to the parent a longer pause is a stall
DAMAGED = "some of its pictures cannot be decoded and are skipped: check its cable or network"
_OPTIONS_GIVEN = OPTIONS_VARIABLE in os.environ


class CapturedImage(NamedTuple):
    """An image as OpenCV gives it; `through`: how the source was opened; `oriented`: it is flipped and rotated already.

    `transport` is that of an RTSP camera; `note` is a sentence for the log, or empty.
    """

    image: NDArray[Any]
    through: str
    oriented: bool = False
    transport: RtspTransport = "tcp"
    note: str = ""


Images = Generator[CapturedImage, None, None]


def read_source(source: Source, control: ReaderControl | None = None) -> Images:
    """The images of a live source, as they arrive. Raises CaptureError where it cannot be opened, and at its end.

    Closing them releases the camera; `control` does so from another thread, after which there is no error.
    """
    control = control or ReaderControl()
    check_source(source)
    installed = known_elements() if has_gstreamer() else None
    require_argus(source, installed)
    if is_rtsp(source):
        return _thinned(_rtsp_camera(source, installed, control), source.fps)
    return read_candidates(source, backend_candidates(source, installed), control)


def uses_ffmpeg_only(source: Source) -> bool:
    """Whether this process will load neither GStreamer nor a driver of NVIDIA's."""
    if source.kind == "stream" and not is_rtsp(source):
        return True
    return source.kind in ("stream", "file") and not has_gstreamer()


def read_candidates(source: Source, candidates: Iterable[BackendCandidate], control: ReaderControl) -> Images:
    """The images of a source that exists, from the first of these candidates that gives one."""
    if source.kind == "file":
        return _thinned(_looped_file(source, candidates, control), source.fps)
    images = _live(source, candidates, control)
    return _thinned(images, source.fps) if source.kind == "stream" else images


def _rtsp_camera(source: Source, installed: InstalledElements | None, control: ReaderControl) -> Images:
    """Over the first of the source's transports that the camera accepts."""
    *others, last = source.transports
    for transport in others:
        with contextlib.suppress(TransportRefusedError):
            yield from _live(source, backend_candidates(source, installed, transport), control)
        if control.stopped:
            return
        time.sleep(SETTLING_SECONDS)
    yield from _live(source, backend_candidates(source, installed, last), control)


def _live(source: Source, candidates: Iterable[BackendCandidate], control: ReaderControl) -> Images:
    for candidate in _announced(source, candidates, control):
        given, began = 0, time.monotonic()
        for image, damaged in _read(candidate, source, control):
            given += 1
            note = f"{source.redacted}: {DAMAGED}" if damaged else ""
            yield CapturedImage(image, candidate.description, candidate.oriented, candidate.transport, note)
        if control.stopped:
            return
        if source.kind == "stream" and given <= 1:
            raise_refusal(source, candidate.transport, time.monotonic() - began)
        if given:
            raise CaptureError(f"{source.redacted}: gives no more frames: check the camera and its cable or network")
    raise CaptureError(f"{source.redacted}: cannot be opened: {remedy(source)}")


def _announced(
    source: Source, candidates: Iterable[BackendCandidate], control: ReaderControl
) -> Iterator[BackendCandidate]:
    """The candidates in the order in which they are tried, each announced before it is opened."""
    ordered = in_order(candidates, source.avoided)
    for candidate, following in zip_longest(ordered, ordered[1:]):
        control.announce(candidate.description, following.description if following else "")
        yield candidate


def _looped_file(source: Source, candidates: Iterable[BackendCandidate], control: ReaderControl) -> Images:
    """A file in real time, over and over. FFmpeg, the last candidate, reports what is wrong with the file.

    GStreamer plays by the time stamps alone: a file whose time stamps are not sound is left to FFmpeg.
    """
    _set_ffmpeg_options(source, source.preferred_transport)
    inspection = inspect_file(source.target)
    notes: list[str] = []
    for candidate in _announced(source, candidates, control):
        software = candidate.backend == "ffmpeg"
        through = candidate.description if has_ffmpeg() or not software else "GStreamer, decodebin"
        playable = software or inspection.timing.sound or not has_ffmpeg()
        while playable and not control.stopped:
            playable = False
            if software:
                played = _play(source.target, inspection.timing.interval, notes.append)
            else:
                played = _read(candidate, source, control)
            for image, _ in played:
                playable = True
                image = image if software else upright(image, inspection.orientation)
                note = notes.pop() if notes else ""
                yield CapturedImage(image, through, candidate.oriented, note=note)


def _play(path: str, interval: float, notify: Notify) -> Iterator[tuple[NDArray[Any], int]]:
    """A file once, in real time, with pauses shortened; the last frame is held for `interval` seconds."""
    due, last = time.monotonic(), 0.0
    for frame in read_file(path, "", notify):
        due += min(frame.monotonic_time - last, MAX_PAUSE)
        last = frame.monotonic_time
        time.sleep(max(0.0, due - time.monotonic()))
        yield frame.image, 0
    time.sleep(max(0.0, due + min(interval, MAX_PAUSE) - time.monotonic()))


def _read(candidate: BackendCandidate, source: Source, control: ReaderControl) -> Iterator[tuple[NDArray[Any], int]]:
    """Images to the end of the stream, each with the failed reads before it; none where it cannot be opened.

    Where hardware can scale them and the first is too large, the candidate is opened once more: only from an image is
    its size known for every codec.
    """
    images = _read_as_is(candidate, source, control)
    for image, failed in images:
        smaller = scaled_down(candidate, image.shape[1], image.shape[0])
        if smaller is None:
            yield image, failed
            yield from images
        else:
            images.close()
            time.sleep(SETTLING_SECONDS)
            control.announce_again()  # a camera's next key frame may be ten seconds away both times
            yield from _read_as_is(smaller, source, control)
        return


def _read_as_is(
    candidate: BackendCandidate, source: Source, control: ReaderControl
) -> Generator[tuple[NDArray[Any], int], None, None]:
    """Images to the end of the stream, each with the failed reads before it; none where it cannot be opened.

    A failed read may be one damaged image, as from an HTTP camera over a poor network, and the next may be whole. When
    MAX_FAILED_READS fail in a row, that is the end.
    """
    _set_ffmpeg_options(source, candidate.transport)
    capture = cv2.VideoCapture(candidate.target, backend_number(candidate.backend), _parameters(candidate, source))
    failed = 0
    try:
        if candidate.backend == "ffmpeg":
            _fit_blocks(capture, source)
        while failed < MAX_FAILED_READS and not control.stopped:
            there, image = capture.read()
            if there:
                yield image, failed
            failed = 0 if there else failed + 1
    finally:
        capture.release()


def _set_ffmpeg_options(source: Source, transport: RtspTransport) -> None:
    """Set the environment that OpenCV reads at each opening, unless it was set before this process began."""
    if not _OPTIONS_GIVEN:
        os.environ[OPTIONS_VARIABLE] = ffmpeg_options(source.kind, transport)


def _fit_blocks(capture: cv2.VideoCapture, source: Source) -> None:
    """Let FFmpeg allocate blocks for images of the announced size."""
    width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if reason := size_problem(width, height):
        raise CaptureError(f"{source.redacted}: sends {reason}: set the camera to a smaller size")
    limit_ffmpeg_blocks(max(0, width) * max(0, height))


def _thinned(images: Iterator[CapturedImage], fps: float | None) -> Images:
    """At most `fps` images a second, evenly spaced; all of them where it is None."""
    due = 0.0
    for captured in images:
        now = time.monotonic()
        if fps is None or now >= due:
            yield captured
            due = max(due + 1 / fps, now) if fps else 0.0


def _parameters(candidate: BackendCandidate, source: Source) -> list[int]:
    """The properties to open with, as OpenCV's flat list of property, value."""
    if candidate.backend == "ffmpeg":
        timeout = UDP_TIMEOUT_MS if candidate.transport == "udp" else TIMEOUT_MS
        return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
    if candidate.backend == "v4l2":
        requested = (
            (cv2.CAP_PROP_FRAME_WIDTH, source.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, source.height),
            (cv2.CAP_PROP_FPS, source.fps),
        )
        return [number for key, value in requested if value is not None for number in (key, round(value))]
    return []
