"""The parent's end of one capture process: its shared memory, its channel, its life. Shell."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edge.cameras.capture_messages import FRAME, MESSAGE_BYTES, OPENING, WorkerMessage, decode
from edge.cameras.shared_frames import SharedFrame, SharedFrames
from edge.sources import Polygon, RtspTransport, Source, to_json

PROGRAM = (sys.executable, "-m", "edge.cameras.capture_worker")
MAX_NOTES = 8  # that are taken from one process

# What makes libraries write what they open, password and all, to stderr or to a file: names begin so.
_DEBUG_VARIABLES = (
    "GST_DEBUG", "GST_TRACERS", "G_MESSAGES_DEBUG",
    "OPENCV_FFMPEG_DEBUG", "OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL", "OPENCV_VIDEOIO_DEBUG",
)  # fmt: skip


class CaptureProcess:
    """A running capture process. `taken`, `first_frame` and `last_frame` are kept by whoever takes the frames.

    `opening` tells whether the process has come so far as to open the camera, `since` when it did, or when it was
    started; `through` and `transport` how the camera was opened, `fault` what ended the process, `notes` what else
    it reports, `ended` that it is over. OSError where the process cannot be started.
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
        self.through = ""
        self.transport: RtspTransport = source.preferred_transport
        self._shown = source.redacted
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
        """The newest frame not taken yet, which counts as taken now."""
        self.receive()
        try:
            picture = self._frames.newest(self.taken)
        except OSError as error:
            fault = f"its frames cannot be reached ({error.strerror}): free memory or open files"
            self.ended, self.fault = True, f"{self._shown}: {fault}"
            return None
        if picture is not None:
            self.taken, self.last_frame = picture.number, picture.monotonic_time
            self.first_frame = self.first_frame or picture.monotonic_time
            self.receive()  # how the camera was opened was told before the first frame
        return picture

    def receive(self) -> None:
        """Read all that came over the channel."""
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
            content = WorkerMessage(
                f"{self._shown}: its capture process says what cannot be understood: look for its crash"
            )
            self.ended = True
        self.fault, self.through = content.fault or self.fault, content.through or self.through
        self.transport = "udp" if content.transport == "udp" else "tcp" if content.transport else self.transport
        if content.note and len(self.notes) < MAX_NOTES:
            self.notes.append(content.note)

    def mask(self, mask: Sequence[Polygon]) -> None:
        """Have other polygons blackened from the next frame on. A process that has ended or hangs is past caring."""
        try:
            self.channel.send(json.dumps({"mask": mask}).encode())
        except OSError:
            self.ended = True

    def end(self) -> subprocess.Popen[bytes]:
        """Kill the process without waiting for its death; returns it for the burial."""
        self.process.kill()
        self._release()
        return self.process

    def _release(self) -> None:
        self.channel.close()
        self._frames.close()


class Process(Protocol):
    """What is asked of a process that was killed, as of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None:
        """None while it lives."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired where that takes longer."""


class KilledProcesses:
    """The processes that were killed and have yet to die. One that hangs in a driver may never do so."""

    def __init__(self) -> None:
        self._processes: list[Process] = []

    def add(self, process: Process) -> None:
        """This one was killed."""
        self._processes.append(process)

    def alive(self) -> int:
        """How many have not died yet; the dead are forgotten."""
        self._processes = [process for process in self._processes if process.poll() is None]
        return len(self._processes)

    def reap(self, seconds: float) -> tuple[int, ...]:
        """Wait so long for their deaths; the ids of those that are left to the kernel."""
        deadline = time.monotonic() + seconds
        left = []
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                left.append(process.pid)
        self._processes = []
        return tuple(left)


def _spawn(program: Sequence[str], source: Source, memory: int, channel: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*program, str(memory), str(channel)],
        pass_fds=(memory, channel),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C at the terminal is the parent's affair
        env=_environment(source),
    )


def _environment(source: Source) -> dict[str, str]:
    """Ours, with this package on the path; where the source holds credentials, without what makes libraries talk."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {key: value for key, value in os.environ.items() if not (source.secret and key.startswith(_DEBUG_VARIABLES))}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}
