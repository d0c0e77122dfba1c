"""Frames from live cameras: a process per camera, the newest frame wins, a lost camera comes back. Shell.

Files are read by `edge.cameras.video_file`, whose names are offered here too.
"""

import logging
import random
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from types import TracebackType
from typing import Literal

from edge.cameras.capture_process import MAX_NOTES, PROGRAM, CaptureProcess, KilledProcesses
from edge.cameras.shared_frames import SharedFrame
from edge.cameras.video_file import CaptureError, VideoInfo, probe, read_file
from edge.sources import Frame, Polygon, Source

__all__ = [
    "CameraCounts", "CameraState", "CaptureError", "Frame", "LiveCamera", "LiveSettings", "VideoInfo",
    "probe", "read_file", "retry_delay", "wait_for_any",
]  # fmt: skip

CameraState = Literal["online", "stalled", "offline"]
MAX_WAIT = 0.25  # seconds between two looks at a silent camera
REAP_SECONDS = 5.0  # how long close() waits for a killed process; one that hangs in a driver is left to the kernel
MAX_HANGING = 3  # killed processes that will not die, after which no more are made: each holds memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveSettings:
    """When a camera counts as lost and how it is tried again; all in seconds."""

    stall_seconds: float = 5.0  # without a frame, after the first one, or with the same picture again and again
    start_seconds: float = 120.0  # until a process opens its camera: GStreamer's first look at its plugins takes long
    open_seconds: float = 20.0  # from then to the first frame
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


def retry_delay(attempt: int, settings: LiveSettings, jitter: float) -> float:
    """Seconds before trial number `attempt` + 1: doubling up to the longest, half of it left to `jitter` in 0..1."""
    longest = min(settings.retry_longest, settings.retry_first * 2.0 ** min(attempt, 30))
    return longest * (0.5 + 0.5 * jitter)


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
        jitter: Callable[[], float] = random.random,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        if not source.live:
            raise CaptureError(f"{source.redacted}: is a file: read it with read_file, or give `loop` to play it live")
        self.name = name
        self.state: CameraState = "offline"
        self.reason = ""  # why it is not online, a sentence
        self.settings = settings
        self.killed = KilledProcesses()
        self.source = source
        self._jitter, self._program = jitter, program
        self._process: CaptureProcess | None = None
        self._transport = source.preferred_transport  # what carried the pictures of an RTSP camera last
        self._logged_reasons: set[str] = set()  # reasons since it was online
        self._logged_notes: set[str] = set()
        self._attempts, self._retry_at = 0, 0.0
        self._frozen_fingerprint: int | None = (
            None  # the picture that was the same for too long, until another one comes
        )
        self._captured = self._taken = self._stalls = self._times_online = 0
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
            wait_for_any([self], min(remaining, MAX_WAIT))

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
        return CameraCounts(captured, self._taken, dropped, self._stalls, max(0, self._times_online - 1))

    def close(self) -> None:
        """End the process and give back what it used; may be called twice."""
        self._closed = True
        self._end_process()
        for process in self.killed.reap(REAP_SECONDS):
            log.warning("camera %s: process %d hangs in a driver and cannot be ended", self.name, process)

    def _take(self) -> Frame | None:
        process = self._process
        picture = process.newest() if process else None
        self._log_notes(process.notes if process else ())
        if process is None or picture is None or self._is_frozen(picture):
            return None
        if self.state != "online":
            self._times_online += 1
        self._taken += 1
        self._transport = process.transport
        if picture.monotonic_time - (process.first_frame or 0.0) > self.settings.stall_seconds:
            self._attempts = 0  # it has stayed long enough to count as well again
        size = f"{picture.image.shape[1]}x{picture.image.shape[0]}"
        self._set_state("online", f"{size} from {self.source.redacted} through {process.through}")
        index = self._captured + picture.number - 1
        return Frame(self.name, index, picture.unix_time, picture.monotonic_time, picture.image)

    def _is_frozen(self, picture: SharedFrame) -> bool:
        """True where this picture has been the same for too long; then the process is made anew, ever more rarely.

        It may be a camera that hangs, or a scene in which nothing at all changes: so it is watched all the time.
        """
        if picture.fingerprint != self._frozen_fingerprint:
            self._frozen_fingerprint = None
        same = picture.monotonic_time - picture.unchanged_since
        settings = self.settings
        if self.source.kind == "file" or same <= settings.stall_seconds:
            return self._frozen_fingerprint is not None
        first = self._frozen_fingerprint is None
        if first or same > max(settings.stall_seconds, settings.retry_longest):
            self._frozen_fingerprint, self._attempts = (
                picture.fingerprint,
                0,
            )  # it does give pictures: it need not be waited for
            self._stalls += first
            reason = f"{self.source.redacted}: the same picture for {settings.stall_seconds:g} s"
            self._give_up("stalled", reason, picture.monotonic_time)
        return True

    def _supervise(self, now: float) -> None:
        """Look after the process: start it when due, replace it when it ended or fell silent."""
        process, settings, shown = self._process, self.settings, self.source.redacted
        hanging = self.killed.alive()
        if process is None:
            if now >= self._retry_at:
                self._start(now, hanging)
        elif process.ended:
            self._give_up("offline", process.fault or f"{shown}: its capture process died", now)
        elif process.written > process.taken:
            return  # a frame waits to be taken
        elif process.last_frame is None:
            patience = settings.open_seconds if process.opening else settings.start_seconds
            if now - process.since > patience:
                self._give_up("offline", f"{shown}: no frame in {patience:g} s", now)
        elif now - process.last_frame > settings.stall_seconds:
            self._stalls += 1
            self._give_up("stalled", f"{shown}: no frame for {settings.stall_seconds:g} s", now)

    def _start(self, now: float, hanging: int) -> None:
        shown = self.source.redacted
        if hanging >= MAX_HANGING:
            fault = f"{hanging} of its processes hang in a driver and cannot be ended"
            self._give_up("offline", f"{shown}: {fault}: unplug the camera, or restart this device", now)
            return
        try:
            self._process = CaptureProcess(
                replace(self.source, preferred_transport=self._transport), now, self._program
            )
        except OSError as error:
            self._give_up("offline", f"{shown}: its capture process cannot be started: {error}", now)

    def _give_up(self, state: CameraState, reason: str, now: float) -> None:
        self._end_process()
        self._retry_at = now + retry_delay(self._attempts, self.settings, self._jitter())
        self._attempts += 1
        self._set_state(state, reason)

    def _end_process(self) -> None:
        if self._process is not None:
            self._captured += self._process.written
            self.killed.add(self._process.end())
            self._process = None

    def _log_notes(self, notes: Sequence[str]) -> None:
        """Log what a process tells besides, each sentence once for good."""
        for note in notes:
            if note not in self._logged_notes and len(self._logged_notes) < MAX_NOTES:
                self._logged_notes.add(note)
                log.warning("camera %s: %s", self.name, note)

    def _set_state(self, state: CameraState, reason: str) -> None:
        """Log a change of state, and each reason once until it is over."""
        if state == "online":
            if self.state != "online":
                log.info("camera %s: online: %s", self.name, reason)
            self._logged_reasons.clear()
            reason = ""
        elif reason not in self._logged_reasons:
            log.warning("camera %s: %s: %s; trying again", self.name, state, reason)
            self._logged_reasons.add(reason)
        self.state, self.reason = state, reason
