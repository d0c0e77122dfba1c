"""Frames from live cameras: a process per camera, the newest frame wins, a lost camera comes back. Shell.

Files are read by `edge.video_file`, whose names are offered here too.
"""

import json
import logging
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Literal

from edge.shared_frames import SharedFrames
from edge.sources import Frame, Source
from edge.video_file import CaptureError, VideoFacts, probe, read_file

__all__ = [
    "CameraCounts", "CameraState", "CaptureError", "Frame", "LiveCamera", "LiveSettings", "VideoFacts",
    "probe", "read_file", "retry_delay", "wait_for_any",
]  # fmt: skip

CameraState = Literal["online", "stalled", "offline"]
LONGEST_WAIT = 0.25  # seconds between two looks at a silent camera
BURIAL_SECONDS = 5.0  # how long close() waits for a killed process; one that hangs in a driver is left to the kernel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveSettings:
    """When a camera counts as lost and how it is tried again; all in seconds."""

    stall_seconds: float = 5.0  # without a frame, after the first one
    open_seconds: float = 20.0  # from the start of the process to the first frame
    retry_first: float = 1.0
    retry_longest: float = 60.0


@dataclass(frozen=True)
class CameraCounts:
    """Frames and faults since the camera was made. `dropped` were captured and replaced before anyone took them."""

    captured: int
    taken: int
    dropped: int
    stalls: int
    reconnects: int


def retry_delay(attempt: int, settings: LiveSettings, chance: float) -> float:
    """Seconds before trial number `attempt` + 1: doubling up to the longest, half of it left to `chance` in 0..1."""
    longest = min(settings.retry_longest, settings.retry_first * 2.0 ** min(attempt, 30))
    return longest * (0.5 + 0.5 * chance)


def wait_for_any(cameras: Iterable["LiveCamera"], timeout: float) -> None:
    """Return as soon as one of the cameras has news, a frame or a fault, or after `timeout` seconds."""
    wait([channel for camera in cameras for channel in camera.channels()], timeout)


class LiveCamera:
    """One live camera. A context manager for one thread; everything happens inside `newest`, so call it steadily.

    Frame indices go on over reconnections: a gap is what was dropped. CaptureError where the source is a file that does
    not loop: files are read by `read_file`.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        settings: LiveSettings = LiveSettings(),
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not source.live:
            raise CaptureError(f"{source.redacted}: is a file: read it with read_file, or give `loop` to play it live")
        self.name = name
        self.state: CameraState = "offline"
        self._source, self._settings, self._chance = source, settings, chance
        self._process: _CameraProcess | None = None
        self._killed: list[subprocess.Popen[bytes]] = []
        self._told: CameraState | None = None
        self._attempt, self._retry_at = 0, 0.0
        self._captured = self._taken = self._stalls = self._arrivals = 0
        self._closed = False

    def __enter__(self) -> "LiveCamera":
        self._supervise(time.monotonic())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process_id(self) -> int | None:
        """Of the capturing process; None while there is none."""
        return self._process.process.pid if self._process else None

    def channels(self) -> list[socket.socket]:
        """What becomes readable when there is news; for `wait_for_any`."""
        return [self._process.channel] if self._process else []

    def newest(self, timeout: float) -> Frame | None:
        """The newest frame not taken yet; waits up to `timeout` seconds for one. None where none came."""
        if self._closed:
            raise CaptureError(f"camera {self.name}: is closed: make a new one")
        deadline = time.monotonic() + timeout
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            self._supervise(time.monotonic())
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            wait_for_any([self], min(remaining, LONGEST_WAIT))

    def statistics(self) -> CameraCounts:
        """The counts until now."""
        written, waiting = 0, 0
        if self._process:
            written = self._process.frames.written
            waiting = int(written > self._process.taken)
        captured = self._captured + written
        dropped = captured - self._taken - waiting
        return CameraCounts(captured, self._taken, dropped, self._stalls, max(0, self._arrivals - 1))

    def close(self) -> None:
        """End the process and give back what it used; may be called twice."""
        self._closed = True
        self._end_process()
        deadline = time.monotonic() + BURIAL_SECONDS
        for process in self._killed:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("camera %s: process %d hangs in a driver and cannot be ended", self.name, process.pid)
        self._killed = []

    def _take(self) -> Frame | None:
        process = self._process
        if process is None:
            return None
        process.listen()
        picture = process.frames.newest(process.taken)
        if picture is None:
            return None
        if process.first_frame is None:
            self._arrivals += 1
            process.first_frame = picture.monotonic_time
        process.taken, process.last_frame = picture.number, picture.monotonic_time
        self._taken += 1
        if process.last_frame - process.first_frame > self._settings.stall_seconds:
            self._attempt = 0  # it has stayed long enough to count as well again
        self._tell("online", f"{picture.image.shape[1]}x{picture.image.shape[0]} from {self._source.redacted}")
        index = self._captured + picture.number - 1
        return Frame(self.name, index, picture.unix_time, picture.monotonic_time, picture.image)

    def _supervise(self, now: float) -> None:
        """Look after the process: start it when due, replace it when it ended or fell silent."""
        self._killed = [process for process in self._killed if process.poll() is None]
        process = self._process
        if process is None:
            if now >= self._retry_at:
                self._start(now)
        elif process.ended:
            self._lose("offline", process.fault or f"{self._source.redacted}: its capture process died", now)
        elif process.frames.written > process.taken:
            return  # a frame waits to be taken
        elif process.last_frame is None:
            if now - process.started > self._settings.open_seconds:
                self._lose("offline", f"{self._source.redacted}: no frame in {self._settings.open_seconds:g} s", now)
        elif now - process.last_frame > self._settings.stall_seconds:
            self._stalls += 1
            self._lose("stalled", f"{self._source.redacted}: no frame for {self._settings.stall_seconds:g} s", now)

    def _start(self, now: float) -> None:
        try:
            self._process = _CameraProcess(self._source, now)
        except OSError as fault:
            self._lose("offline", f"its capture process cannot be started: {fault}", now)

    def _lose(self, state: CameraState, reason: str, now: float) -> None:
        self._end_process()
        self._retry_at = now + retry_delay(self._attempt, self._settings, self._chance())
        self._attempt += 1
        self._tell(state, f"{reason}; trying again until it is back")

    def _end_process(self) -> None:
        if self._process is not None:
            self._captured += self._process.frames.written
            self._killed.append(self._process.end())
            self._process = None

    def _tell(self, state: CameraState, reason: str) -> None:
        """Log a change of state, once each way."""
        if state != self._told:
            level = logging.INFO if state == "online" else logging.WARNING
            log.log(level, "camera %s: %s: %s", self.name, state, reason)
        self.state = self._told = state


class _CameraProcess:
    """A running `edge.camera_process` with its shared memory and channel."""

    def __init__(self, source: Source, now: float) -> None:
        self.started = now
        self.first_frame: float | None = None
        self.last_frame: float | None = None
        self.taken = 0
        self.ended = False
        self.fault: str | None = None
        self.frames = SharedFrames.create()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.setblocking(False)
        self.channel.send(json.dumps(asdict(source)).encode())
        try:
            with theirs:
                self.process = _spawn(self.frames.descriptor, theirs.fileno())
        except OSError:
            self._release()
            raise

    def listen(self) -> None:
        """Read all that came over the channel; sets `fault` and `ended`."""
        while not self.ended:
            try:
                message = self.channel.recv(4096)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message = b""
            if not message:
                self.ended = True
            elif message != b"frame":
                self.fault = json.loads(message)["fault"]

    def end(self) -> subprocess.Popen[bytes]:
        """Kill the process without waiting for its death; returns it for the burial."""
        self.process.kill()
        self._release()
        return self.process

    def _release(self) -> None:
        self.channel.close()
        self.frames.close()


def _spawn(memory: int, channel: int) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", "edge.camera_process", str(memory), str(channel)],
        pass_fds=(memory, channel),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C at the terminal is the parent's affair
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
