"""The process behind one live camera: opens it, reads it as fast as it comes, puts each frame into shared memory.

Started by `edge.cameras.capture_process` as `python -m edge.cameras.capture_worker MEMORY CHANNEL`, two inherited
descriptors. The source comes over the channel, so that no password stands in the process list; later a new mask may
come. What goes back is a notice of the opening and of each frame, how the camera was opened, and what is wrong: it
never retries, it says so and ends. It ends too when the other side of the channel is gone. It needs numpy and OpenCV
and nothing else. Shell.

What a camera sends is hostile until it is a picture. FFmpeg is let near the network alone, so that no playlist of a
camera names a file of ours; a picture that would take too much memory is refused; and where memory runs out all the
same, the kernel ends this process before any other.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edge import threads
from edge.cameras.capture_messages import FRAME, OPENING, REQUEST_BYTES, WorkerMessage, encode
from edge.cameras.image_transform import fingerprint, size_problem, transformed
from edge.cameras.memory_limits import MemoryMonitor, limit_data_segment, limit_ffmpeg_blocks
from edge.cameras.shared_frames import SharedFrames
from edge.cameras.source_reader import CapturedImage, read_source, uses_ffmpeg_only
from edge.cameras.video_file import CaptureError, silence_opencv
from edge.sources import Source, from_json, polygons
from edge.threads import ThreadError

FIRST_TO_DIE = "1000"  # the highest oom_score_adj

ReadSource = Callable[[Source], Iterator[CapturedImage]]


class CurrentSource:
    """The source as it is wanted now: its mask may change while the camera runs."""

    def __init__(self, source: Source) -> None:
        self.source = source


def main(memory: int, channel: socket.socket, read: ReadSource = read_source) -> int:
    """Capture until the camera or the parent is gone; returns the exit status, 0 where it was the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    current = CurrentSource(from_json(channel.recv(REQUEST_BYTES)))
    silence_opencv()
    _die_first()
    limit_ffmpeg_blocks()
    if uses_ffmpeg_only(current.source):
        limit_data_segment()
    if not any(os.environ.get(name) for name in ("GST_DEBUG", "OPENCV_LOG_LEVEL")):
        _mute_libraries()
    shared = SharedFrames(memory)
    try:
        threads.start("orders", _listen, channel, current)
        _capture(shared, channel, current, read)
    except CaptureError as fault:
        channel.send(encode(WorkerMessage(fault=str(fault))))
    except ThreadError as fault:
        channel.send(encode(WorkerMessage(fault=f"{current.source.redacted}: {fault}")))
    except ConnectionError:
        return 0  # the parent is gone
    return 1


def _capture(shared: SharedFrames, channel: socket.socket, current: CurrentSource, read: ReadSource) -> None:
    through, found, sent_notes = "", read(current.source), set[str]()
    channel.send(OPENING)
    watch = MemoryMonitor(lambda fault: _give_up(channel, f"{current.source.redacted}: {fault}"))
    for picture in found:
        if picture.through != through:
            through = picture.through
            channel.send(encode(WorkerMessage(through=through, transport=picture.transport)))
        if picture.note and picture.note not in sent_notes:
            sent_notes.add(picture.note)
            channel.send(encode(WorkerMessage(note=picture.note)))
        _check_size(picture.image.shape, current.source)
        watch.picture(*picture.image.shape[1::-1])
        image = transformed(picture.image, current.source, picture.oriented)
        shared.write(image, time.time(), time.monotonic(), fingerprint(image))
        _notify(channel)


def _check_size(shape: Sequence[int], source: Source) -> None:
    height, width = shape[:2]
    if reason := size_problem(width, height):
        raise CaptureError(f"{source.redacted}: sends {reason}: set the camera to a smaller size")


def _die_first() -> None:
    """Where memory runs out, it is a camera's process that the kernel ends, and not the daemon."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_DIE)


def _give_up(channel: socket.socket, fault: str) -> None:
    """End at once, from any thread, whatever the others hang in."""
    with contextlib.suppress(OSError):
        channel.send(encode(WorkerMessage(fault=f"{fault}: its stream is damaged or means harm; restart the camera")))
    os._exit(1)


def _notify(channel: socket.socket) -> None:
    """Wake the parent; where the channel is full it is awake already."""
    with contextlib.suppress(BlockingIOError):
        channel.send(FRAME, socket.MSG_DONTWAIT)


def _listen(channel: socket.socket, current: CurrentSource) -> None:
    """Take new masks from the parent, whose silence for good is the end."""
    try:
        while message := channel.recv(REQUEST_BYTES):
            current.source = replace(current.source, mask=polygons(json.loads(message)["mask"]))
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
