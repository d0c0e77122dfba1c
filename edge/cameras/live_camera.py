"""Live cameras: one capture process per camera, the newest frame wins, and a lost camera is reconnected. Shell."""

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
from edge.cameras.video_file import CaptureError
from edge.sources import Frame, Polygon, Source

CameraState = Literal["online", "stalled", "offline"]
MAX_WAIT = 0.25  # seconds between two checks of a silent camera
REAP_SECONDS = 5.0  # how long close() waits for a killed process; one that hangs in a driver is left to the kernel
MAX_HANGING = 3  # killed processes still alive, after which no more are started: each holds memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveSettings:
    """When a camera is considered lost and when it is retried; all in seconds."""

    stall_seconds: float = 5.0  # without a new frame, or with one image repeated
    start_seconds: float = 120.0  # until a process opens its camera: GStreamer's first scan of its plugins is slow
    open_seconds: float = 20.0  # from then to the first frame
    min_retry: float = 1.0
    max_retry: float = 60.0


@dataclass(frozen=True)
class CameraCounts:
    """Frames and faults since the `LiveCamera` was created; `dropped` frames were replaced before they were taken."""

    captured: int
    taken: int
    dropped: int
    stalls: int
    reconnects: int


def retry_delay(attempt: int, settings: LiveSettings, jitter: float) -> float:
    """Seconds before retry `attempt` + 1: doubled each time up to `max_retry`, half of it scaled by `jitter` (0..1)."""
    longest = min(settings.max_retry, settings.min_retry * 2.0 ** min(attempt, 30))
    return longest * (0.5 + 0.5 * jitter)


def wait_for_any(cameras: Iterable["LiveCamera"], timeout: float) -> None:
    """Return as soon as one of the cameras has a frame or a fault, or after `timeout` seconds."""
    wait([channel for camera in cameras for channel in camera.channels()], timeout)


class LiveCamera:
    """One live camera and its capture process. A context manager for one thread.

    The process is supervised inside `newest`, so call it regularly. Frame indices continue across reconnections: a gap
    is what was dropped. `program` is the capture process's command. Raises CaptureError for a file without `loop`.
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
            raise CaptureError(f"{source.redacted}: is a file: read it with read_file, or set `loop` to play it live")
        self.name = name
        self.state: CameraState = "offline"
        self.reason = ""  # why it is not online: a sentence
        self.settings = settings
        self.killed = KilledProcesses()
        self.source = source
        self._jitter, self._program = jitter, program
        self._process: CaptureProcess | None = None
        self._transport = source.preferred_transport  # of an RTSP camera: the one that worked last
        self._logged_reasons: set[str] = set()  # since it was last online
        self._logged_notes: set[str] = set()
        self._attempts, self._retry_at = 0, 0.0
        self._frozen_fingerprint: int | None = None  # of the image that was repeated for too long, until it changes
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
        """Id of the capture process; None while there is none."""
        return self._process.process.pid if self._process else None

    def channels(self) -> list[socket.socket]:
        """The sockets that become readable when there is a frame or a fault; for `wait_for_any`."""
        return [self._process.channel] if self._process else []

    def newest(self, timeout: float) -> Frame | None:
        """The newest frame not taken yet, or None if none arrives within `timeout` seconds."""
        if self._closed:
            raise CaptureError(f"camera {self.name}: is closed: create a new one")
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
        """Replace the mask, without a gap in the frames."""
        self.source = replace(self.source, mask=tuple(mask))
        if self._process:
            self._process.mask(mask)

    def counts(self) -> CameraCounts:
        """Frames and faults so far."""
        written, waiting = 0, 0
        if self._process:
            written = self._process.written
            waiting = int(written > self._process.taken)
        captured = self._captured + written
        dropped = captured - self._taken - waiting
        return CameraCounts(captured, self._taken, dropped, self._stalls, max(0, self._times_online - 1))

    def close(self) -> None:
        """Kill the process and free its resources; may be called twice."""
        self._closed = True
        self._end_process()
        for process in self.killed.reap(REAP_SECONDS):
            log.warning("camera %s: process %d hangs in a driver and cannot be killed", self.name, process)

    def _take(self) -> Frame | None:
        process = self._process
        taken = process.newest() if process else None
        self._log_notes(process.notes if process else ())
        if process is None or taken is None:
            return None
        self._watch_for_freeze(taken)
        if self._frozen_fingerprint is not None:
            return None
        if self.state != "online":
            self._times_online += 1
        self._taken += 1
        self._transport = process.transport
        if taken.monotonic_time - (process.first_frame or 0.0) > self.settings.stall_seconds:
            self._attempts = 0  # online long enough to have recovered
        size = f"{taken.image.shape[1]}x{taken.image.shape[0]}"
        self._set_state("online", f"{size} from {self.source.redacted} through {process.through}")
        index = self._captured + taken.number - 1
        return Frame(self.name, index, taken.unix_time, taken.monotonic_time, taken.image)

    def _watch_for_freeze(self, taken: SharedFrame) -> None:
        """Restart the process of a camera that repeats one image for too long, then again every `max_retry` seconds.

        It may be a camera that hangs, or a scene in which nothing at all changes: so it is watched all the time.
        """
        if taken.fingerprint != self._frozen_fingerprint:
            self._frozen_fingerprint = None
        unchanged = taken.monotonic_time - taken.unchanged_since
        settings = self.settings
        if self.source.kind == "file" or unchanged <= settings.stall_seconds:
            return
        first = self._frozen_fingerprint is None
        if first or unchanged > max(settings.stall_seconds, settings.max_retry):
            self._frozen_fingerprint = taken.fingerprint
            self._attempts = 0  # it does send images: no need to wait longer each time
            self._stalls += first
            reason = f"{self.source.redacted}: the same picture for {settings.stall_seconds:g} s"
            self._give_up("stalled", reason, taken.monotonic_time)

    def _supervise(self, now: float) -> None:
        """Start the process when due; replace one that has ended or fallen silent."""
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
            limit = settings.open_seconds if process.opening else settings.start_seconds
            if now - process.since > limit:
                self._give_up("offline", f"{shown}: no frame in {limit:g} s", now)
        elif now - process.last_frame > settings.stall_seconds:
            self._stalls += 1
            self._give_up("stalled", f"{shown}: no frame for {settings.stall_seconds:g} s", now)

    def _start(self, now: float, hanging: int) -> None:
        shown = self.source.redacted
        if hanging >= MAX_HANGING:
            fault = f"{hanging} of its processes hang in a driver and cannot be killed"
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
        """Log the process's notes, each of them once for as long as this camera exists."""
        for note in notes:
            if note not in self._logged_notes and len(self._logged_notes) < MAX_NOTES:
                self._logged_notes.add(note)
                log.warning("camera %s: %s", self.name, note)

    def _set_state(self, state: CameraState, reason: str) -> None:
        """Log going online, and each reason for being lost once until the camera is online again."""
        if state == "online":
            if self.state != "online":
                log.info("camera %s: online: %s", self.name, reason)
            self._logged_reasons.clear()
            reason = ""
        elif reason not in self._logged_reasons:
            log.warning("camera %s: %s: %s; trying again", self.name, state, reason)
            self._logged_reasons.add(reason)
        self.state, self.reason = state, reason
