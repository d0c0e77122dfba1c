"""Live cameras: one capture process per camera, the newest frame wins, and a lost camera is reconnected. Shell."""

import logging
import random
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from types import TracebackType

from edge.cameras import argus
from edge.cameras.backend_memory import STABLE_SECONDS, BackendMemory
from edge.cameras.camera_log import CameraLog, CameraState
from edge.cameras.capture_process import PROGRAM, CaptureProcess
from edge.cameras.ending_processes import EndingProcesses, wait_for_all
from edge.cameras.shared_frames import SharedFrame
from edge.cameras.video_file import CaptureError
from edge.sources import Frame, Polygon, Source

MAX_WAIT = 0.25  # seconds between two checks of a silent camera
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


def close_cameras(cameras: Sequence["LiveCamera"]) -> None:
    """Close them all at the same time: each process releases its camera, or is killed after three seconds."""
    for camera in cameras:
        camera.release()
    wait_for_all([camera.ending for camera in cameras])
    for camera in cameras:
        for process in camera.ending.forget():
            log.warning("camera %s: process %d hangs in a driver and cannot be killed", camera.name, process)


class LiveCamera:
    """One live camera and its capture process. A context manager for one thread.

    The process is supervised inside `newest`, so call it regularly. Frame indices continue across reconnections: a gap
    is what was dropped. `program` is the capture process's command. Raises CaptureError for a file without `loop`.
    `ending`: its former processes. `stuck_service`: the one without whose restart it may not come back, or "".
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
        self.ending = EndingProcesses()
        self.stuck_service = ""
        self.source = source
        self._jitter, self._program = jitter, program
        self._process: CaptureProcess | None = None
        self._transport = source.preferred_transport  # of an RTSP camera: the one that worked last
        self._backends = BackendMemory()
        self._log = CameraLog(name)
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

    def release(self) -> None:
        """Begin to close: have the process release the camera, without waiting for it."""
        self._closed = True
        self._end_process()

    def close(self) -> None:
        """Release the camera, end the process and free its resources; may be called twice."""
        close_cameras([self])

    def _take(self) -> Frame | None:
        process = self._process
        taken = process.newest() if process else None
        self._log.notes(process.notes if process else ())
        if process is None or taken is None:
            return None
        self._watch_for_freeze(taken)
        if self._frozen_fingerprint is not None:
            return None
        if self.state != "online":
            self._times_online += 1
        self._taken += 1
        self._transport, self.stuck_service = process.transport, ""
        online = taken.monotonic_time - (process.first_frame or 0.0)
        if online > self.settings.stall_seconds:
            self._attempts = 0  # online long enough to have recovered
        if online > STABLE_SECONDS:
            self._backends = self._backends.with_success(process.attempt)
        size = f"{taken.image.shape[1]}x{taken.image.shape[0]}"
        self._set_state("online", f"{size} from {self.source.redacted} through {process.through}")
        index = self._captured + taken.number - 1
        if due := self._backends.due(taken.monotonic_time):
            self._give_up("offline", f"{self.source.redacted}: {due} hung before and is due again", 0.0)
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
        self.ending.poll(now)
        if process is None:
            if now >= self._retry_at and not self.ending.releasing:
                self._start(now)
        elif process.ended:
            if process.fault is None:
                self._blame(process, "has died", now)
            self.stuck_service = process.service
            self._give_up("offline", process.fault or f"{shown}: its capture process died", now)
        elif process.written > process.taken:
            return  # a frame waits to be taken
        elif process.last_frame is None:
            limit = settings.open_seconds if process.opening else settings.start_seconds
            if now - process.since > limit:
                self._blame(process, f"gives no frame in {limit:g} s", now)
                self._give_up("offline", f"{shown}: no frame in {limit:g} s{self._suspicion()}", now)
        elif now - process.last_frame > settings.stall_seconds:
            self._stalls += 1
            self._blame(process, "stops soon after its first frames", now)
            self._give_up("stalled", f"{shown}: no frame for {settings.stall_seconds:g} s", now)

    def _suspicion(self) -> str:
        """The service that may be stuck where a camera says nothing at all."""
        self.stuck_service = argus.SERVICE if self.source.kind == "csi" else ""
        return f": {argus.SILENT}" if self.stuck_service else ""

    def _blame(self, process: CaptureProcess, fault: str, now: float) -> None:
        """Remember that the backend in use has failed without a reason of the camera's own."""
        name, alternative = process.attempt, process.alternative
        if not name:
            return
        if process.first_frame is None or process.last_frame is None:
            self._backends = self._backends.with_hang(name, alternative, now)
        else:
            seconds = process.last_frame - process.first_frame
            self._backends = self._backends.with_stall(name, alternative, seconds, now)
        hang = self._backends.latest(name)
        if hang is not None and hang.since == now:
            minutes = f"{hang.seconds / 60:g} minutes"
            self._log.once(f"{name} {fault}: {alternative} is tried before it for the next {minutes}")

    def _start(self, now: float) -> None:
        shown = self.source.redacted
        if self.ending.hanging >= MAX_HANGING:
            fault = f"{self.ending.hanging} of its processes hang in a driver and cannot be killed"
            self._give_up("offline", f"{shown}: {fault}: unplug the camera, or restart this device", now)
            return
        self._backends = self._backends.begin(now)
        source = replace(self.source, preferred_transport=self._transport, avoided=self._backends.avoided)
        try:
            self._process = CaptureProcess(source, now, self._program)
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
            self.ending.add(self._process.end(), time.monotonic())
            self._process = None

    def _set_state(self, state: CameraState, reason: str) -> None:
        """Log going online, and each reason for being lost once until the camera is online again."""
        if state != "online":
            self._log.lost(state, reason)
        elif self.state != "online":
            self._log.online(reason)
        if state == "online":
            self._log.recovered()
            reason = ""
        self.state, self.reason = state, reason
