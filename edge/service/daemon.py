"""The daemon: frames come in, the pipeline steps, messages go out. Shell.

It runs until SIGTERM or SIGINT, or until all its cameras are files and have been played to the end. SIGHUP reads the
configuration anew.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

from edge.assets import AssetError
from edge.broker import payload, requests
from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.payload import InterruptedEnds, ModelIdentity
from edge.broker.publisher import Publisher
from edge.cameras.feeds import Feed, open_feed, wait_for_frames
from edge.cameras.video_file import CaptureError
from edge.config.config_file import ConfigError, state_directory
from edge.config.config_file import load as load_config
from edge.config.schema import CameraConfig, Config
from edge.inference import Engine, EngineError
from edge.open_model import open_model
from edge.pipeline import PipelineSettings, StepResult
from edge.sensors import clock
from edge.sensors.prometheus_page import PrometheusPage
from edge.service import overload
from edge.service.announcements import Announcer
from edge.service.camera_session import CameraSession, RoundRobin
from edge.service.device_monitor import DeviceMonitor
from edge.service.file_permissions import unsafe_permissions
from edge.service.frame_batch import process_batch
from edge.service.health import Health
from edge.service.log_format import LogFormat, configure
from edge.service.request_handler import DaemonRequestHandler
from edge.service.settings import applied, changes, in_words, needs_restart, pipeline_settings, unknown_actions
from edge.service.settings import topics as configured_topics
from edge.service.systemd import notify, watchdog_interval
from edge.signals import Signals, StopError
from edge.sources import Frame
from edge.threads import ThreadError

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.25  # the longest wait for a frame
FLUSH_SECONDS = 10.0  # for what waits in the outbox when we end

Watch = Callable[[Frame, StepResult], None]


class DaemonError(Exception):
    """The daemon cannot go on; the message names what is wrong and the cure."""


def run(
    config: Config,
    path: Path | None = None,
    watch: Watch | None = None,
    engine: Engine | None = None,
    signals: Signals | None = None,
    log_format: LogFormat = "auto",
) -> int:
    """Run until stopped; the exit code. What keeps it from running is one sentence in the log and exit code 1.

    `path`: where SIGHUP finds the new configuration, None to ignore SIGHUP; `watch` sees every frame and what became
    of it; `engine`: one that the caller has opened and will close, None for the configured one; `signals`:
    what is heeded since before the configuration was read, None to begin here.
    """
    configure(log_format)
    logging.getLogger().setLevel(config.log.level.upper())
    for found in unsafe_permissions(config, path):
        log.warning("%s %s: %s", found.path, found.text, found.cure)
    try:
        with ExitStack() as owned:
            signals = signals or owned.enter_context(Signals(reloads=True))
            ready = engine or owned.enter_context(open_model(config, signals.interruptible(notify)))
            daemon = owned.enter_context(Daemon(config, ready, signals, path, watch))
            daemon.loop()
            return int(daemon.failed)
    except StopError:
        log.info("stopped before the engine was built")
        return 0
    except (EngineError, AssetError, CaptureError, DaemonError, ThreadError) as error:
        log.error("%s", error)
        return 1


class Daemon:
    """Everything that runs. A context manager; `loop` returns when it is time to end."""

    def __init__(
        self, config: Config, engine: Engine, signals: Signals, path: Path | None, watch: Watch | None
    ) -> None:
        """Open cameras and outbox. Raises CaptureError, DaemonError, ThreadError."""
        self._config, self._engine, self._path, self._watch = config, engine, path, watch
        self._signals = signals
        self._labels = self._engine.manifest.labels
        self._model = ModelIdentity(self._engine.manifest.name, self._engine.sha256)
        if wrong := unknown_actions(config, self._labels):
            raise DaemonError("; ".join(wrong))
        feeds = _opened(config.cameras)
        self._publisher = Publisher(config.mqtt, configured_topics(config), _outbox(config))
        self._announcer = Announcer(config, self._model, self._labels, self._publisher)
        self._device = DeviceMonitor(config.thermal.settings(), self._announcer.topics, config.outbox.max_age)
        self._page = PrometheusPage(config.metrics.address, config.metrics.port)
        self._health = Health(self._publisher, self._device, overload.remedies(engine.manifest, engine.runtime))
        self._sessions = {name: self._session(name, feed) for name, feed in feeds.items()}
        self._round_robin = RoundRobin(self._sessions.values())
        asked = partial(self.reload, quiet=True)
        self._request_handler = DaemonRequestHandler(
            path, self._labels, lambda: self._config, lambda: self._sessions, self._health_payload, asked
        )
        self._needs_restart: tuple[str, ...] = ()
        self._broker: dict[str, object] = {}  # last told
        self._telemetry_at = time.monotonic()
        self._alive_at = 0.0

    def __enter__(self) -> "Daemon":
        self._tell_status()
        cameras = ", ".join(self._sessions)
        source = f", as {self._path} says" if self._path else ""
        log.info("running %s with %s, cameras: %s%s", self._model.name, self._engine.runtime, cameras, source)
        notify("READY=1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        notify("STOPPING=1")
        for session in self._sessions.values():
            session.close("shutdown")
        self._store(self._device.close())
        self._page.close()
        self._publisher.close(FLUSH_SECONDS)
        log.info("stopped%s", self._left_behind())

    def _left_behind(self) -> str:
        """What becomes of the messages that have not been sent."""
        outbox = self._publisher.statistics().outbox
        waiting = outbox.rows - outbox.unsaved
        kept = f"; {waiting} messages wait for the next start" if waiting else ""
        return kept + (f"; {outbox.unsaved} are lost, which the disk did not take" if outbox.unsaved else "")

    @property
    def failed(self) -> bool:
        """True where a file could not be played."""
        return any(session.feed.failed for session in self._sessions.values())

    def loop(self) -> None:
        """Receive, step, send."""
        while not self._signals.stop_requested and not all(
            session.feed.finished for session in self._sessions.values()
        ):
            if self._signals.reload_requested:
                self._signals.reload_requested = False
                self.reload("SIGHUP")
            busy = self._advance()
            for session in self._sessions.values():
                session.update_state()
            self._answer()
            self._tend()
            if not busy:
                wait_for_frames([session.feed for session in self._sessions.values()], IDLE_SECONDS)

    def reload(self, asked_by: str, quiet: bool = False) -> tuple[str, ...]:
        """Read the configuration anew, and put what can change at once in force; all of it stays where it is wrong.

        Returns what is wrong, a sentence each. `quiet`: whoever asked gets the answer, and the log only what changes.
        """
        if self._path is None:
            return ()
        try:
            config = load_config(self._path)
            wrong = unknown_actions(config, self._labels) or self._apply(config, asked_by, quiet)
        except ConfigError as error:
            wrong = error.problems
        for problem in () if quiet else wrong:
            log.error("%s: %s; going on with the old configuration", self._path, problem)
        return wrong

    def _settings(self, camera: str) -> PipelineSettings:
        return pipeline_settings(self._config, camera, self._engine.manifest.start_scores)

    def _session(self, name: str, feed: Feed) -> CameraSession:
        return CameraSession(name, feed, self._settings(name), self._announcer, self._device.admits)

    def _advance(self) -> bool:
        """Take new frames, of as many cameras as the engine takes at once; False where there were none."""
        taken = self._round_robin.next(self._engine.largest_batch)
        if not taken:
            return False
        stopwatch = self._health.stopwatch
        stopwatch.start()
        for session, turn, state, step in process_batch(taken, self._engine, stopwatch.lap):
            session.handle_result(turn.frame, state, step)
            self._health.count_invalid(step.detections.invalid)
            if session.feed.live:
                stopwatch.record("capture_to_outbox", time.monotonic() - turn.frame.monotonic_time)
            if self._watch is not None:
                self._watch(turn.frame, step)
        return True

    def _answer(self) -> None:
        """What has been asked over MQTT."""
        for request in self._publisher.take_requests():
            self._publisher.publish_response(
                requests.answer(request, self._request_handler, self._announcer.topics, self._config.mqtt)
            )

    def _tend(self) -> None:
        """What is due now and then: a look at the device, a sign of life, telemetry, status."""
        now = time.monotonic()
        if not self._publisher.alive:
            raise DaemonError("the publisher has ended by a fault that is told above; systemd starts us anew")
        self._store(self._device.poll())
        self._live(now)
        self._health.check_overload(self._sessions)
        interval = self._config.telemetry.interval
        if interval and now - self._telemetry_at >= interval:
            self._telemetry_at = now
            told = self._health.telemetry_payload(self._sessions)
            self._announcer.telemetry(told)
            self._page.update(told)
        if self._publisher.statistics().broker_payload() != self._broker:
            self._tell_status()

    def _live(self, now: float) -> None:
        """Feed systemd's watchdog, as long as every stage gets on."""
        interval = watchdog_interval()
        if interval and now - self._alive_at >= interval:
            self._alive_at = now
            if self._health.all_stages_progress(self._sessions):
                notify("WATCHDOG=1")

    def _store(self, message: Message | None) -> None:
        if message is not None:
            self._publisher.publish_event(message)

    def _health_payload(self) -> dict[str, object]:
        return self._health.health_payload(self._sessions)

    def _tell_status(self) -> None:
        self._broker = self._publisher.statistics().broker_payload()
        self._announcer.status(self._config, self._needs_restart, self._broker)

    def _apply(self, wanted: Config, asked_by: str, quiet: bool) -> tuple[str, ...]:
        """Put what can change in force: all that concerns cameras, but all or nothing; what is wrong, else ()."""
        config = applied(self._config, wanted)
        try:
            feeds = _opened({name: config.cameras[name] for name in config.cameras if self._must_open(name, config)})
        except CaptureError as error:
            for name, session in self._sessions.items():
                session.feed.adopt(self._config.cameras[name])
            return (str(error),)
        waits = needs_restart(config, wanted)
        changed = (config, waits) != (self._config, self._needs_restart)
        said = in_words(changes(self._config, config), changes(config, wanted))
        self._config, self._needs_restart = config, waits
        self._rearrange(feeds)
        logging.getLogger().setLevel(config.log.level.upper())
        self._device.reconfigure(config.thermal.settings())
        if changed or not quiet:
            log.info("%s is in force, asked by %s: %s", self._path, asked_by, said)
            self._tell_status()
        return ()

    def _must_open(self, name: str, config: Config) -> bool:
        """True for a camera that is new, or whose change asks for opening it anew."""
        session = self._sessions.get(name)
        return session is None or not session.feed.adopt(config.cameras[name])

    def _rearrange(self, feeds: dict[str, Feed]) -> None:
        """Let go of cameras that are configured no more; go on with `feeds` where one has been opened."""
        for name in self._sessions.keys() - self._config.cameras.keys():
            self._sessions.pop(name).close("camera")
            self._announcer.clear_retained(name)
        for name, session in self._sessions.items():
            settings = self._settings(name)
            if name in feeds:
                session.replace_feed(feeds.pop(name), settings)
            session.settings = settings
        self._sessions |= {name: self._session(name, feed) for name, feed in feeds.items()}
        self._round_robin = RoundRobin(self._sessions.values())


def _opened(cameras: Mapping[str, CameraConfig]) -> dict[str, Feed]:
    """Feeds of all these cameras, or of none. Raises CaptureError."""
    feeds: dict[str, Feed] = {}
    with ExitStack() as owned:
        for name, camera in cameras.items():
            feeds[name] = open_feed(name, camera)
            owned.callback(feeds[name].close)
        owned.pop_all()
    return feeds


def _outbox(config: Config) -> Outbox:
    """The outbox, in which what a crash left open is given its end."""
    limits = OutboxLimits(config.outbox.max_rows, config.outbox.max_bytes)
    path = state_directory(config) / f"{config.device.name}.outbox.sqlite"
    return Outbox(path, limits, partial(_ends, config.outbox.max_age))


def _ends(max_age: float, open_steps: Sequence[Message], gap: int) -> InterruptedEnds:
    """The ends of events that an earlier run left open."""
    now = time.time()
    found = payload.end_interrupted(open_steps, now, clock.expiry(now, max_age, clock.synced(now)), gap)
    if found.ends:
        log.warning("%d events were going on when the last run was cut off; they end now", len(found.ends))
    if found.unreadable:
        log.error("%d events that the last run left open are none of ours; they are forgotten", len(found.unreadable))
    return found
