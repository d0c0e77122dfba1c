"""Frames from live cameras: a process per camera, the newest frame wins, a lost camera comes back. Shell.

Files are read by `edge.video_file`, whose names are offered here too.
"""

import logging
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from types import TracebackType
from typing import Literal

from edge.camera_link import PROGRAM, CameraLink
from edge.shared_frames import Picture
from edge.sources import Frame, Polygon, Source
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

    stall_seconds: float = 5.0  # without a frame, after the first one, or with the same picture again and again
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
    not loop: files are read by `read_file`. `program` is the capture process's command.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        settings: LiveSettings = LiveSettings(),
        chance: Callable[[], float] = random.random,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        if not source.live:
            raise CaptureError(f"{source.redacted}: is a file: read it with read_file, or give `loop` to play it live")
        self.name = name
        self.state: CameraState = "offline"
        self.settings = settings
        self.source = source
        self._chance, self._program = chance, program
        self._process: CameraLink | None = None
        self._killed: list[subprocess.Popen[bytes]] = []
        self._told: CameraState | None = None
        self._attempt, self._retry_at = 0, 0.0
        self._frozen: int | None = None  # the picture that was the same for too long, until another one comes
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

    def mask(self, mask: Sequence[Polygon]) -> None:
        """Blacken other polygons from now on, without a gap in the frames."""
        self.source = replace(self.source, mask=tuple(mask))
        if self._process:
            self._process.mask(mask)

    def statistics(self) -> CameraCounts:
        """The counts until now."""
        written, waiting = 0, 0
        if self._process:
            written = self._process.written
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
        picture = process.newest() if process else None
        if process is None or picture is None or self._repeats(picture):
            return None
        if self.state != "online":
            self._arrivals += 1
        self._taken += 1
        if picture.monotonic_time - (process.first_frame or 0.0) > self.settings.stall_seconds:
            self._attempt = 0  # it has stayed long enough to count as well again
        size = f"{picture.image.shape[1]}x{picture.image.shape[0]}"
        self._tell("online", f"{size} from {self.source.redacted} through {process.through}")
        index = self._captured + picture.number - 1
        return Frame(self.name, index, picture.unix_time, picture.monotonic_time, picture.image)

    def _repeats(self, picture: Picture) -> bool:
        """True where this picture has been the same for too long; then the process is made anew, ever more rarely.

        It may be a camera that hangs, or a scene in which nothing at all changes: so it is watched all the time.
        """
        if picture.fingerprint != self._frozen:
            self._frozen = None
        same = picture.monotonic_time - picture.since
        settings = self.settings
        if self.source.kind == "file" or same <= settings.stall_seconds:
            return self._frozen is not None
        if self._frozen is None:
            self._frozen = picture.fingerprint
            self._stalled(f"the same picture for {settings.stall_seconds:g} s", picture.monotonic_time)
        elif same > max(settings.stall_seconds, settings.retry_longest):
            self._attempt = 0  # it does give pictures: it need not be waited for
            self._lose("stalled", f"{self.source.redacted}: still the same picture", picture.monotonic_time)
        return True

    def _supervise(self, now: float) -> None:
        """Look after the process: start it when due, replace it when it ended or fell silent."""
        self._killed = [process for process in self._killed if process.poll() is None]
        process, settings = self._process, self.settings
        if process is None:
            if now >= self._retry_at:
                self._start(now)
        elif process.ended:
            self._lose("offline", process.fault or f"{self.source.redacted}: its capture process died", now)
        elif process.written > process.taken:
            return  # a frame waits to be taken
        elif process.last_frame is None:
            if now - process.started > settings.open_seconds:
                self._lose("offline", f"{self.source.redacted}: no frame in {settings.open_seconds:g} s", now)
        elif now - process.last_frame > settings.stall_seconds:
            self._stalled(f"no frame for {settings.stall_seconds:g} s", now)

    def _start(self, now: float) -> None:
        try:
            self._process = CameraLink(self.source, now, self._program)
        except OSError as fault:
            self._lose("offline", f"its capture process cannot be started: {fault}", now)

    def _stalled(self, what: str, now: float) -> None:
        self._stalls += 1
        self._lose("stalled", f"{self.source.redacted}: {what}", now)

    def _lose(self, state: CameraState, reason: str, now: float) -> None:
        self._end_process()
        self._retry_at = now + retry_delay(self._attempt, self.settings, self._chance())
        self._attempt += 1
        self._tell(state, f"{reason}; trying again until it is back")

    def _end_process(self) -> None:
        if self._process is not None:
            self._captured += self._process.written
            self._killed.append(self._process.end())
            self._process = None

    def _tell(self, state: CameraState, reason: str) -> None:
        """Log a change of state, once each way."""
        if state != self._told:
            level = logging.INFO if state == "online" else logging.WARNING
            log.log(level, "camera %s: %s: %s", self.name, state, reason)
        self.state = self._told = state
