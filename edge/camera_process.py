"""The process behind one live camera: opens it, reads it as fast as it comes, puts each frame into shared memory.

Started by `edge.camera_link` as `python -m edge.camera_process MEMORY CHANNEL`, two inherited descriptors. The source
comes over the channel, so that no password stands in the process list; later a new mask may come. What goes back is a
notice of the opening and of each frame, how the camera was opened, and what is wrong: it never retries, it says so and
ends. It ends too when the other side of the channel is gone. It needs numpy and OpenCV and nothing else. Shell.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from edge.picture import fingerprint, finished
from edge.pictures import Picture, pictures
from edge.shared_frames import SharedFrames
from edge.sources import Source, from_json, polygons
from edge.video_file import CaptureError, silence_opencv

MESSAGE_BYTES = 1 << 18

Pictures = Callable[[Source], Iterator[Picture]]


class Wanted:
    """The source as it is wanted now: its mask may change while the camera runs."""

    def __init__(self, source: Source) -> None:
        self.source = source


def main(memory: int, channel: socket.socket, taken: Pictures = pictures) -> int:
    """Capture until the camera or the parent is gone; returns the exit status, 0 where it was the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    wanted = Wanted(from_json(channel.recv(MESSAGE_BYTES)))
    threading.Thread(target=_listen, args=(channel, wanted), daemon=True).start()
    silence_opencv()
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    if not any(os.environ.get(name) for name in ("GST_DEBUG", "OPENCV_LOG_LEVEL")):
        _mute_libraries()
    shared = SharedFrames(memory)
    try:
        _capture(shared, channel, wanted, taken)
    except CaptureError as fault:
        _send(channel, {"fault": str(fault)})
    except ConnectionError:
        return 0  # the parent is gone
    return 1


def _capture(shared: SharedFrames, channel: socket.socket, wanted: Wanted, taken: Pictures) -> None:
    through, found = "", taken(wanted.source)
    channel.send(b"opening")
    for picture in found:
        if picture.through != through:
            through = picture.through
            _send(channel, {"through": through})
        image = finished(picture.image, wanted.source, picture.turned)
        shared.write(image, time.time(), time.monotonic(), fingerprint(image))
        _notify(channel)


def _send(channel: socket.socket, message: dict[str, str]) -> None:
    channel.send(json.dumps(message).encode())


def _notify(channel: socket.socket) -> None:
    """Wake the parent; where the channel is full it is awake already."""
    with contextlib.suppress(BlockingIOError):
        channel.send(b"frame", socket.MSG_DONTWAIT)


def _listen(channel: socket.socket, wanted: Wanted) -> None:
    """Take new masks from the parent, whose silence for good is the end."""
    try:
        while message := channel.recv(MESSAGE_BYTES):
            wanted.source = replace(wanted.source, mask=polygons(json.loads(message)["mask"]))
    finally:
        os._exit(0)


def _mute_libraries() -> None:
    """Take stderr from the libraries: they may write a URL with its password there, and pages about a missing camera.

    Python keeps it. Who wants to read them sets one of the variables that ask for it, which are not handed to the
    process of a source with credentials.
    """
    ours = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = os.fdopen(ours, "w", buffering=1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))
