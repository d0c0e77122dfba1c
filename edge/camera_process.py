"""The process behind one live camera: opens it, reads it as fast as it comes, puts each frame into shared memory.

Started by `edge.capture` as `python -m edge.camera_process MEMORY CHANNEL`, two inherited descriptors. The source comes
over the channel, so that no password stands in the process list. It never retries: it says on the channel what is wrong
and ends. It ends too when the other side of the channel is gone. Shell.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.shared_frames import SharedFrames
from edge.sources import Source
from edge.video_file import CaptureError, as_bgr, opencv_backend, read_file, silence_opencv

PATIENCE_MS = 600_000  # OpenCV's own time limits: the parent judges sooner what is too long


def main(memory: int, channel: socket.socket) -> int:
    """Capture until the camera or the parent is gone; returns the exit status, 0 where it was the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    source = Source(**json.loads(channel.recv(65536)))
    threading.Thread(target=_end_with_parent, args=(channel,), daemon=True).start()
    silence_opencv()
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    shared = SharedFrames(memory)
    try:
        for image in images(source):
            shared.write(as_bgr(image, source.flip), time.time(), time.monotonic())
            _notify(channel)
    except CaptureError as fault:
        channel.send(json.dumps({"fault": str(fault)}).encode())
    except ConnectionError:
        return 0  # the parent is gone
    return 1


def images(source: Source) -> Iterator[NDArray[Any]]:
    """What the source gives, as it comes; CaptureError where it cannot be opened and where it ends."""
    if source.kind == "file":
        yield from _played(source)
    capture = _open(source)
    try:
        while True:
            there, image = capture.read()
            if not there:
                raise CaptureError(
                    f"{source.redacted}: gives no more frames: check the camera and its cable or network"
                )
            yield image
    finally:
        capture.release()


def _played(source: Source) -> Iterator[NDArray[np.uint8]]:
    """A file in real time, again and again."""
    while True:
        start = time.monotonic()
        for frame in read_file(source.target, camera=""):
            time.sleep(max(0.0, start + frame.monotonic_time - time.monotonic()))
            yield frame.image


def _open(source: Source) -> cv2.VideoCapture:
    if source.kind == "v4l2":
        _check_device(source.target)
    if source.kind == "csi" and not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise CaptureError(f"{source.redacted}: this OpenCV was built without GStreamer: use the one of JetPack")
    capture = cv2.VideoCapture(source.target, opencv_backend(source.backend), _parameters(source))
    if capture.isOpened():
        return capture
    capture.release()
    raise CaptureError(f"{source.redacted}: cannot be opened: {_CURES[source.kind]}")


_CURES = {
    "v4l2": "another program may hold it, or it is no camera: `fuser -v` and `v4l2-ctl --list-devices` tell",
    "stream": "check that the camera is on and reachable, its address, user and password",
    "csi": "check the ribbon cable and `systemctl status nvargus-daemon`",
}


def _parameters(source: Source) -> list[int]:
    """What the open call asks for, as OpenCV's flat list of property, value."""
    if source.kind == "stream":
        return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, PATIENCE_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, PATIENCE_MS]
    if source.kind == "v4l2":
        wishes = (
            (cv2.CAP_PROP_FRAME_WIDTH, source.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, source.height),
            (cv2.CAP_PROP_FPS, source.fps),
        )
        return [number for key, value in wishes if value is not None for number in (key, round(value))]
    return []


def _check_device(path: str) -> None:
    if not os.path.exists(path):
        raise CaptureError(f"{path}: no such camera: plug it in; `v4l2-ctl --list-devices` shows those present")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CaptureError(f"{path}: may not be opened by this user: add the user to the group `video`")


def _notify(channel: socket.socket) -> None:
    """Wake the parent; where the channel is full it is awake already."""
    with contextlib.suppress(BlockingIOError):
        channel.send(b"frame", socket.MSG_DONTWAIT)


def _end_with_parent(channel: socket.socket) -> None:
    """The parent sends nothing after the source: whatever comes is its end."""
    try:
        channel.recv(1)
    finally:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))
