"""The program of a capture process: opens one live camera and writes each of its frames to shared memory. Shell.

Started by `edge.cameras.capture_process` as `python -m edge.cameras.capture_worker MEMORY CHANNEL`, two inherited
descriptors. The source arrives over the channel, so that no password shows in the process list; new masks may follow.
The worker reports when it opens the camera, with which backend, how it was opened, each frame, and what is wrong. It
never retries: it reports the fault and exits. When the other end of the channel is closed, be it because the parent
asks or because it is gone, the worker releases its camera and exits: a camera service such as NVIDIA's Argus may need
a restart after a client that did not. It needs only numpy and OpenCV.

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
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edge import threads
from edge.cameras.argus import SERVICE, argus_fault
from edge.cameras.capture_messages import FRAME, OPENING, REQUEST_BYTES, WorkerMessage, encode
from edge.cameras.gstreamer_stop import NewestPipeline
from edge.cameras.image_transform import fingerprint, size_problem, transformed
from edge.cameras.memory_limits import MemoryMonitor, limit_data_segment, limit_ffmpeg_blocks
from edge.cameras.opencv import has_gstreamer, silence_opencv
from edge.cameras.reader_control import ReaderControl
from edge.cameras.shared_frames import SharedFrames
from edge.cameras.source_reader import CapturedImage, read_source, uses_ffmpeg_only
from edge.cameras.video_file import CaptureError
from edge.cameras.written_lines import WrittenLines
from edge.sources import Source, from_json, polygons
from edge.threads import ThreadError

MAX_OOM_SCORE = "1000"  # of oom_score_adj: killed first
RELEASE_SECONDS = 2.5  # for releasing the camera, less than the parent waits; then the kernel ends this process

ReadSource = Callable[[Source, ReaderControl], Generator[CapturedImage, None, None]]


class CurrentSource:
    """The source with its latest mask, which may change while the camera runs."""

    def __init__(self, source: Source) -> None:
        self.source = source


def main(memory: int, channel: socket.socket, read: ReadSource = read_source) -> int:
    """Capture until the camera or the parent is gone; the exit status, 0 if it was the parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this process ends
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    current = CurrentSource(from_json(channel.recv(REQUEST_BYTES)))
    silence_opencv()
    _be_killed_first()
    limit_ffmpeg_blocks()
    if uses_ffmpeg_only(current.source):
        limit_data_segment()
    shared = SharedFrames(memory)
    try:
        written = _mute_libraries(current.source)
        control = _control(channel, current.source)
        threads.start("requests", _receive_requests, channel, current, control)
        _capture(shared, channel, current, control, read)
    except CaptureError as fault:
        return _report(channel, control.stopped, _message(fault, current.source, written()))
    except ThreadError as fault:
        return _report(channel, False, WorkerMessage(fault=f"{current.source.redacted}: {fault}"))
    except ConnectionError:
        pass  # the parent is gone, and the camera released
    return 0


def _control(channel: socket.socket, source: Source) -> ReaderControl:
    """What the reader reports to the parent, and how the parent ends it."""

    def announce(attempt: str, alternative: str) -> None:
        channel.send(encode(WorkerMessage(attempt=attempt, alternative=alternative)))

    control = ReaderControl(announce)
    if has_gstreamer() and not uses_ffmpeg_only(source):
        with contextlib.suppress(OSError):  # without GStreamer
            control.on_stop(NewestPipeline().stop)
    return control


def _report(channel: socket.socket, stopped: bool, message: WorkerMessage) -> int:
    """Tell the parent what ended this process, unless the parent itself did; the exit status."""
    if not stopped:
        with contextlib.suppress(ConnectionError):
            channel.send(encode(message))
    return 0 if stopped else 1


def _capture(
    shared: SharedFrames, channel: socket.socket, current: CurrentSource, control: ReaderControl, read: ReadSource
) -> None:
    channel.send(OPENING)
    monitor = MemoryMonitor(lambda fault: _give_up(channel, f"{current.source.redacted}: {fault}"))
    with contextlib.closing(read(current.source, control)) as images:  # which releases the camera
        _write_all(images, shared, channel, current, monitor)


def _write_all(
    images: Iterator[CapturedImage],
    shared: SharedFrames,
    channel: socket.socket,
    current: CurrentSource,
    monitor: MemoryMonitor,
) -> None:
    """Write each image to shared memory and report it."""
    through, sent_notes = "", set[str]()
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


def _receive_requests(channel: socket.socket, current: CurrentSource, control: ReaderControl) -> None:
    """Apply new masks from the parent; when it has closed the channel, have the camera released.

    A driver may hang while it releases its camera, in any thread: so the kernel's own alarm ends this process then.
    """
    try:
        while message := channel.recv(REQUEST_BYTES):
            current.source = replace(current.source, mask=polygons(json.loads(message)["mask"]))
    except ConnectionError:
        pass  # closed with messages that it has not received
    finally:
        signal.setitimer(signal.ITIMER_REAL, RELEASE_SECONDS)
        control.stop()


def _message(fault: CaptureError, source: Source, written: str) -> WorkerMessage:
    """The fault for the parent; of a CSI camera, what its service has written says more."""
    known = argus_fault(written) if source.kind == "csi" else None
    if known is None:
        return WorkerMessage(fault=str(fault))
    return WorkerMessage(fault=f"{source.redacted}: {known.sentence}", service=SERVICE if known.stuck else None)


def _mute_libraries(source: Source) -> Callable[[], str]:
    """Discard what libraries write to stderr: URLs with passwords, and pages about a missing camera. Python keeps it.

    To see their output, set one of their debug variables; those are not passed on for a source with credentials.
    Returns a function for the end of what was written, which only a CSI camera's is kept of. Raises ThreadError.
    """
    if any(os.environ.get(name) for name in ("GST_DEBUG", "OPENCV_LOG_LEVEL")):
        return str
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    if source.kind == "csi":
        return WrittenLines().text
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    return str


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))))
