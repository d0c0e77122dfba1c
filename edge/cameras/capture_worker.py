"""The program of a capture process: opens one live camera and writes each of its frames to shared memory. Shell.

Started by `edge.cameras.capture_process` as `python -m edge.cameras.capture_worker MEMORY CHANNEL`, two inherited
descriptors. The source arrives over the channel, so that no password shows in the process list; new masks may follow.
The worker reports when it opens the camera, how it was opened, each frame, and what is wrong. It never retries: it
reports the fault and exits. It also exits when the other end of the channel is closed. It needs only numpy and OpenCV.

What a camera sends is hostile until it is an image. FFmpeg is limited to network protocols, so that no playlist of a
camera can name a local file; an image that would take too much memory is refused; and if memory runs out all the same,
the kernel kills this process before any other.
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
from edge.cameras.opencv import silence_opencv
from edge.cameras.shared_frames import SharedFrames
from edge.cameras.source_reader import CapturedImage, read_source, uses_ffmpeg_only
from edge.cameras.video_file import CaptureError
from edge.sources import Source, from_json, polygons
from edge.threads import ThreadError

MAX_OOM_SCORE = "1000"  # of oom_score_adj: killed first

ReadSource = Callable[[Source], Iterator[CapturedImage]]


class CurrentSource:
    """The source with its latest mask, which may change while the camera runs."""

    def __init__(self, source: Source) -> None:
        self.source = source


def main(memory: int, channel: socket.socket, read: ReadSource = read_source) -> int:
    """Capture until the camera or the parent is gone; the exit status, 0 if it was the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    current = CurrentSource(from_json(channel.recv(REQUEST_BYTES)))
    silence_opencv()
    _be_killed_first()
    limit_ffmpeg_blocks()
    if uses_ffmpeg_only(current.source):
        limit_data_segment()
    if not any(os.environ.get(name) for name in ("GST_DEBUG", "OPENCV_LOG_LEVEL")):
        _mute_libraries()
    shared = SharedFrames(memory)
    try:
        threads.start("requests", _receive_masks, channel, current)
        _capture(shared, channel, current, read)
    except CaptureError as fault:
        channel.send(encode(WorkerMessage(fault=str(fault))))
    except ThreadError as fault:
        channel.send(encode(WorkerMessage(fault=f"{current.source.redacted}: {fault}")))
    except ConnectionError:
        return 0  # the parent is gone
    return 1


def _capture(shared: SharedFrames, channel: socket.socket, current: CurrentSource, read: ReadSource) -> None:
    through, images, sent_notes = "", read(current.source), set[str]()
    channel.send(OPENING)
    monitor = MemoryMonitor(lambda fault: _give_up(channel, f"{current.source.redacted}: {fault}"))
    for captured in images:
        if captured.through != through:
            through = captured.through
            channel.send(encode(WorkerMessage(through=through, transport=captured.transport)))
        if captured.note and captured.note not in sent_notes:
            sent_notes.add(captured.note)
            channel.send(encode(WorkerMessage(note=captured.note)))
        _check_size(captured.image.shape, current.source)
        monitor.image_size(*captured.image.shape[1::-1])
        image = transformed(captured.image, current.source, captured.oriented)
        shared.write(image, time.time(), time.monotonic(), fingerprint(image))
        _wake_parent(channel)


def _check_size(shape: Sequence[int], source: Source) -> None:
    height, width = shape[:2]
    if reason := size_problem(width, height):
        raise CaptureError(f"{source.redacted}: sends {reason}: set the camera to a smaller size")


def _be_killed_first() -> None:
    """Make the kernel kill this process, not the daemon, when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(MAX_OOM_SCORE)


def _give_up(channel: socket.socket, fault: str) -> None:
    """Exit at once, from any thread, even while others hang."""
    with contextlib.suppress(OSError):
        channel.send(encode(WorkerMessage(fault=f"{fault}: its stream is damaged or malicious; restart the camera")))
    os._exit(1)


def _wake_parent(channel: socket.socket) -> None:
    """Announce a frame; a full channel has woken the parent already."""
    with contextlib.suppress(BlockingIOError):
        channel.send(FRAME, socket.MSG_DONTWAIT)


def _receive_masks(channel: socket.socket, current: CurrentSource) -> None:
    """Apply new masks from the parent; exit when it has closed the channel."""
    try:
        while message := channel.recv(REQUEST_BYTES):
            current.source = replace(current.source, mask=polygons(json.loads(message)["mask"]))
    finally:
        os._exit(0)


def _mute_libraries() -> None:
    """Discard what libraries write to stderr: URLs with passwords, and pages about a missing camera. Python keeps it.

    To see their output, set one of their debug variables; those are not passed on for a source with credentials.
    """
    ours = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = os.fdopen(ours, "w", buffering=1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))
