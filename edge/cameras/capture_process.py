"""The daemon's side of one capture process: shared memory, message channel, start and end. Shell."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from edge.cameras.capture_messages import FRAME, MESSAGE_BYTES, OPENING, WorkerMessage, decode
from edge.cameras.shared_frames import SharedFrame, SharedFrames
from edge.sources import Polygon, RtspTransport, Source, to_json

PROGRAM = (sys.executable, "-m", "edge.cameras.capture_worker")
MAX_NOTES = 8  # accepted from one process

# Prefixes of variables that make libraries write the URLs they open, passwords included, to stderr or to a file.
_DEBUG_VARIABLES = (
    "GST_DEBUG", "GST_TRACERS", "G_MESSAGES_DEBUG",
    "OPENCV_FFMPEG_DEBUG", "OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL", "OPENCV_VIDEOIO_DEBUG",
)  # fmt: skip


class CaptureProcess:
    """A running capture process. Raises OSError where it cannot be started.

    `opening`: it has begun to open the camera, at `since` (until then, `since` is when it was started). `attempt`: the
    backend that it opens or reads with, `alternative`: the one that would come next, or "". `through` and `transport`:
    how the camera was opened. `fault`: what ended the process; `service`: which one must be restarted because of it;
    `notes`: what else it reported. `taken`: the number of the newest frame taken; `first_frame`, `last_frame`:
    monotonic times of the first and last one taken.
    """

    def __init__(self, source: Source, now: float, program: Sequence[str] = PROGRAM) -> None:
        self.since = now
        self.opening = False
        self.first_frame: float | None = None
        self.last_frame: float | None = None
        self.taken = 0
        self.ended = False
        self.fault: str | None = None
        self.notes: list[str] = []
        self.service = ""
        self.attempt = self.alternative = self.through = ""
        self.transport: RtspTransport = source.preferred_transport
        self._redacted = source.redacted
        self._frames = SharedFrames.create()
        try:
            self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            self._frames.close()
            raise
        self.channel.setblocking(False)
        try:
            with theirs:
                self.channel.send(to_json(source).encode())
                self.process = _spawn(program, source, self._frames.descriptor, theirs.fileno())
        except OSError:
            self._release()
            raise

    @property
    def written(self) -> int:
        """Frames captured by this process."""
        return self._frames.written

    def newest(self) -> SharedFrame | None:
        """Take the newest frame; None where it has been taken already."""
        self.receive()
        try:
            frame = self._frames.newest(self.taken)
        except OSError as error:
            fault = f"its frames cannot be read ({error.strerror}): free memory or open files"
            self.ended, self.fault = True, f"{self._redacted}: {fault}"
            return None
        if frame is not None:
            self.taken, self.last_frame = frame.number, frame.monotonic_time
            self.first_frame = self.first_frame or frame.monotonic_time
            self.receive()  # how the camera was opened: sent before the first frame
        return frame

    def receive(self) -> None:
        """Handle all messages that have arrived."""
        while not self.ended:
            try:
                message = self.channel.recv(MESSAGE_BYTES)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message = b""
            if not message:
                self.ended = True
            elif message == OPENING:
                self.opening, self.since = True, time.monotonic()
            elif message != FRAME:
                self._handle(message)

    def _handle(self, message: bytes) -> None:
        try:
            content = decode(message)
        except (ValueError, RecursionError):
            fault = "its capture process sent a message that cannot be read: look for its crash in the log"
            content, self.ended = WorkerMessage(f"{self._redacted}: {fault}"), True
        self.fault, self.through = content.fault or self.fault, content.through or self.through
        self.service = content.service or self.service
        if content.attempt:
            self.attempt, self.alternative, self.since = content.attempt, content.alternative or "", time.monotonic()
        self.transport = "udp" if content.transport == "udp" else "tcp" if content.transport else self.transport
        if content.note and len(self.notes) < MAX_NOTES:
            self.notes.append(content.note)

    def mask(self, mask: Sequence[Polygon]) -> None:
        """Have these polygons blackened from the next frame on."""
        try:
            self.channel.send(json.dumps({"mask": mask}).encode())
        except OSError:
            self.ended = True

    def end(self) -> subprocess.Popen[bytes]:
        """Close the channel, which asks the process to release its camera and end; it is reaped later."""
        self._release()
        return self.process

    def _release(self) -> None:
        self.channel.close()
        self._frames.close()


def _spawn(program: Sequence[str], source: Source, memory: int, channel: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*program, str(memory), str(channel)],
        pass_fds=(memory, channel),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C at the terminal is for the parent to handle
        env=_environment(source),
    )


def _environment(source: Source) -> dict[str, str]:
    """Ours plus this package's path; for a source with credentials, without the libraries' debug variables."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {key: value for key, value in os.environ.items() if not (source.secret and key.startswith(_DEBUG_VARIABLES))}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}
