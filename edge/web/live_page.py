"""The live page as the daemon has it: it takes what somebody looks at, and never waits. Shell: a thread.

The thread encodes pictures and hands them to the page's process, which is started again, with growing pauses, whenever
it ends. Only the newest picture of each camera waits.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from edge import __version__, packages, threads
from edge.config.config_file import state_directory
from edge.config.schema import Config
from edge.events import EventState
from edge.history.event_store import store_path
from edge.packages import MissingPackageError
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.threads import ThreadError
from edge.web.live_frame import jpeg, people
from edge.web.page_process import PageProcess, PageProcessError
from edge.web.page_settings import PageSettings

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2  # between two looks at what the page asks for
STATE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until it is started again
GOOD_SECONDS = 60.0  # of a run, after which the pauses begin anew
CLOSE_SECONDS = 5.0

Start = Callable[[PageSettings], PageProcess]
Waiting = tuple[dict[str, object], Frame]


class LivePage:
    """For the thread of the daemon's loop."""

    def __init__(self, config: Config, labels: Sequence[str], start: Start = PageProcess) -> None:
        self._labels, self._start, self._config = labels, start, config
        self._feeder: _Feeder | None = None
        self._begin(config)

    def frame(self, frame: Frame, state: EventState, result: StepResult) -> None:
        """Hand over a frame if somebody looks at its camera; `state`: after it."""
        if self._feeder is None or not self._feeder.wants(frame):
            return
        seen = people(frame, state, result, self._labels, self._config.mqtt.people_score)
        self._feeder.put(frame, {"people": seen, "index": frame.index, "time": frame.unix_time})

    def state(self, read: Callable[[], Mapping[str, object]]) -> None:
        """Hand over the daemon's state, once a second, while somebody looks; `read`: called for it."""
        if self._feeder is not None and self._feeder.wants_state():
            self._feeder.put_state(read())

    def reconfigure(self, config: Config) -> None:
        """Apply a reloaded configuration."""
        before, self._config = self._config, config
        if config.web != before.web:
            former, self._feeder = self._feeder, None
            self._begin(config, None if former is None else former.end())

    def close(self) -> None:
        """End the page."""
        if self._feeder is not None:
            self._feeder.end().join(CLOSE_SECONDS)
            self._feeder = None

    def _begin(self, config: Config, former: threading.Thread | None = None) -> None:
        """Start the page, once the `former` one has released its port."""
        if not config.web.enabled:
            return
        try:
            for package in ("aiohttp", "argon2"):
                packages.require(package)
            self._feeder = _Feeder(page_settings(config), config.web.fps, config.web.width, self._start, former)
        except (MissingPackageError, ThreadError) as error:
            log.error("live page: %s; everything else goes on", error)


class _Feeder:
    """The thread, and what waits for it."""

    def __init__(
        self, settings: PageSettings, fps: float, width: int, start: Start, former: threading.Thread | None
    ) -> None:
        """Raises ThreadError."""
        self._settings, self._interval, self._width, self._start = settings, 1 / fps, width, start
        self._lock, self._filled = threading.Lock(), threading.Event()
        self._watched: frozenset[str] = frozenset()
        self._viewers = 0
        self._waiting: dict[str, Waiting] = {}  # by camera
        self._taken_at: dict[str, float] = {}  # monotonic, s, by camera
        self._state: Mapping[str, object] | None = None
        self._state_at = 0.0
        self._closed = False
        self._fault = ""  # last logged
        self._thread = threads.start("live page", self._run, former)

    def wants(self, frame: Frame) -> bool:
        """Whether somebody looks at its camera, and it is time for another picture."""
        due = self._taken_at.get(frame.camera, 0.0) + self._interval
        return frame.camera in self._watched and time.monotonic() >= due

    def put(self, frame: Frame, about: dict[str, object]) -> None:
        """Take a frame; one of its camera that waits still gives way."""
        self._taken_at[frame.camera] = time.monotonic()
        with self._lock:
            self._waiting[frame.camera] = (about, frame)
        self._filled.set()

    def wants_state(self) -> bool:
        """Whether somebody looks, and it is time."""
        return bool(self._viewers) and time.monotonic() - self._state_at >= STATE_SECONDS

    def put_state(self, state: Mapping[str, object]) -> None:
        """Take the daemon's state."""
        self._state_at = time.monotonic()
        with self._lock:
            self._state = state
        self._filled.set()

    def end(self) -> threading.Thread:
        """Have process and thread end, without waiting; the thread."""
        self._closed = True
        self._filled.set()
        return self._thread

    def _run(self, former: threading.Thread | None) -> None:
        if former is not None:
            former.join(CLOSE_SECONDS)
        pause = FIRST_PAUSE
        while not self._closed:
            began = time.monotonic()
            try:
                self._serve()
            except PageProcessError as error:
                self._log_fault(str(error))
            self._viewers, self._watched = 0, frozenset()
            pause = FIRST_PAUSE if time.monotonic() - began > GOOD_SECONDS else min(LONGEST_PAUSE, 2 * pause)
            self._wait(pause)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._closed and time.monotonic() < until:
            self._filled.wait(POLL_SECONDS)
            self._filled.clear()

    def _serve(self) -> None:
        """Feed one process until it ends. Raises PageProcessError."""
        process = self._start(self._settings)
        try:
            while not self._closed:
                self._filled.wait(POLL_SECONDS)
                self._filled.clear()
                for message in process.receive():
                    self._handle(message.header)
                self._send(process)
        finally:
            process.close()

    def _send(self, process: PageProcess) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            state, self._state = self._state, None
        if state is not None:
            process.send({"kind": "state", "state": state})
        for camera, (about, frame) in waiting.items():
            content = jpeg(frame.image, self._width)
            if content:
                process.send({"kind": "frame", "camera": camera, **about}, content)

    def _handle(self, header: Mapping[str, object]) -> None:
        """What the process says; of what is not understood nothing is done."""
        kind, text = header.get("kind"), str(header.get("text", ""))[:500]
        cameras, viewers = header.get("cameras"), header.get("viewers")
        if kind == "watched" and isinstance(cameras, list) and isinstance(viewers, int):
            if viewers > self._viewers:
                self._state_at = 0.0  # a newcomer waits for nothing
            self._watched, self._viewers = frozenset(map(str, cameras)), viewers
        elif kind == "listening":
            self._fault = ""
            log.info("live page: %s", text)
        elif kind == "fault":
            raise PageProcessError(text)
        elif kind == "note":
            log.warning("live page: %s", text)

    def _log_fault(self, text: str) -> None:
        if text != self._fault:
            log.error("live page: %s; it is started again, everything else goes on", text)
        self._fault = text


def page_settings(config: Config) -> PageSettings:
    """What the page's process has to know of a configuration."""
    table = config.web
    store = store_path(state_directory(config.outbox), config.device.name).absolute()
    return PageSettings(
        config.device.name, __version__, table.address, table.port, table.hosts, str(table.password_file or ""),
        str(table.cert or ""), str(table.key or ""), str(store),
    )  # fmt: skip
