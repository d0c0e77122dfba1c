"""The pictures of a live source, by the first way of opening it that gives one. Shell over OpenCV's reader."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from numpy.typing import NDArray

from edge.cameras.gstreamer import Known, Opening, missing, openings
from edge.cameras.gstreamer_elements import known_elements
from edge.cameras.stream_check import refusal, unreachable
from edge.sources import Source
from edge.video.video_file import CaptureError, check_file, opencv_backend, read_file

PATIENCE_MS = 600_000  # OpenCV's own time limits: the parent judges sooner what is too long
_CURES = {
    "v4l2": "another program may hold it, or it is no camera: `fuser -v` and `v4l2-ctl --list-devices` tell",
    "stream": "check its path, user and password, and that it sends H.264 or H.265",
    "csi": "check the ribbon cable and `systemctl status nvargus-daemon`",
}


class Picture(NamedTuple):
    """A picture as the library gives it, how the source was opened, and whether it is flipped and rotated already."""

    image: NDArray[Any]
    through: str
    turned: bool = False


def pictures(source: Source) -> Iterator[Picture]:
    """What the source gives, as it comes; CaptureError where it cannot be opened and where it ends."""
    _check(source)
    known = known_elements() if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER) else None
    _require_argus(source, known)
    return by_ways(source, openings(source, known))


def by_ways(source: Source, ways: Iterable[Opening]) -> Iterator[Picture]:
    """The same for a source that is there, in the ways given."""
    if source.kind == "file":
        return _thinned(_film(source, ways), source.fps)
    found = _camera(source, ways)
    return _thinned(found, source.fps) if source.kind == "stream" else found


def _camera(source: Source, ways: Iterable[Opening]) -> Iterator[Picture]:
    for opening in ways:
        given = False
        for image in _read(opening, source):
            given = True
            yield Picture(image, opening.through, opening.turned)
        if given:
            raise CaptureError(f"{source.redacted}: gives no more frames: check the camera and its cable or network")
        reason = refusal(source.target) if source.kind == "stream" else None
        if reason:
            raise CaptureError(f"{source.redacted}: {reason}")
    raise CaptureError(f"{source.redacted}: cannot be opened: {_CURES[source.kind]}")


def _film(source: Source, ways: Iterable[Opening]) -> Iterator[Picture]:
    """A file in real time, again and again. The last way is FFmpeg, which tells what is wrong with the file."""
    for opening in ways:
        given = True
        while given:
            given = False
            for image in _played(source) if opening.backend == "ffmpeg" else _read(opening, source):
                given = True
                yield Picture(image, opening.through, opening.turned)


def _played(source: Source) -> Iterator[NDArray[Any]]:
    """A file once, in real time."""
    start = time.monotonic()
    for frame in read_file(source.target, camera=""):
        time.sleep(max(0.0, start + frame.monotonic_time - time.monotonic()))
        yield frame.image


def _read(opening: Opening, source: Source) -> Iterator[NDArray[Any]]:
    """Pictures until there are no more; none where it cannot be opened so."""
    capture = cv2.VideoCapture(opening.target, opencv_backend(opening.backend), _parameters(opening, source))
    try:
        while True:
            there, image = capture.read()
            if not there:
                return
            yield image
    finally:
        capture.release()


def _thinned(found: Iterator[Picture], fps: float | None) -> Iterator[Picture]:
    """At most so many pictures a second, in an even rhythm; all where `fps` is None."""
    due = 0.0
    for picture in found:
        now = time.monotonic()
        if fps is None or now >= due:
            yield picture
            due = max(due + 1 / fps, now) if fps else 0.0


def _parameters(opening: Opening, source: Source) -> list[int]:
    """What the open call asks for, as OpenCV's flat list of property, value."""
    if opening.backend == "ffmpeg":
        return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, PATIENCE_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, PATIENCE_MS]
    if opening.backend == "v4l2":
        wishes = (
            (cv2.CAP_PROP_FRAME_WIDTH, source.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, source.height),
            (cv2.CAP_PROP_FPS, source.fps),
        )
        return [number for key, value in wishes if value is not None for number in (key, round(value))]
    return []


def _check(source: Source) -> None:
    """What can be said before any library is asked."""
    if source.kind == "v4l2":
        _check_device(source.target)
    if source.kind == "file":
        check_file(Path(source.target))
    reason = unreachable(source.target) if source.kind == "stream" else None
    if reason:
        raise CaptureError(f"{source.redacted}: {reason}")


def _check_device(path: str) -> None:
    if not os.path.exists(path):
        raise CaptureError(f"{path}: no such camera: plug it in; `v4l2-ctl --list-devices` shows those present")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CaptureError(f"{path}: may not be opened by this user: add the user to the group `video`")


def _require_argus(source: Source, known: Known | None) -> None:
    if source.kind != "csi":
        return
    if known is None:
        raise CaptureError(f"{source.redacted}: this OpenCV was built without GStreamer: use the one of JetPack")
    absent = missing(source, known)
    if absent:
        names = ", ".join(absent)
        raise CaptureError(f"{source.redacted}: GStreamer has no {names}: install JetPack's nvidia-l4t-gstreamer")
