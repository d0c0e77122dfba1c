"""The daemon: frames come in, the pipeline steps, messages go out. Shell.

It runs until SIGTERM or SIGINT, or until all its cameras are files and have been played to the end. SIGHUP reads the
configuration anew.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from edge import pipeline, telemetry
from edge.assets import AssetError
from edge.capture import CaptureError
from edge.config import ConfigError, load, state_directory
from edge.engine import EngineError
from edge.feeds import Feed, open_feed, wait_for_frames
from edge.inference import Engine
from edge.mqtt import Publisher
from edge.outbox import Limits, Outbox
from edge.payload import Model
from edge.pipeline import Step
from edge.runtimes import open_model
from edge.schema import Camera, Config
from edge.settings import applied, needs_restart, pipeline_settings, unknown_actions
from edge.settings import topics as configured_topics
from edge.signals import Signals, StopError
from edge.sources import Frame
from edge.station import Rota, Station
from edge.systemd import notify, watchdog_interval
from edge.teller import Teller

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.25  # the longest wait for a frame
FLUSH_SECONDS = 10.0  # for what waits in the outbox when we end

Watch = Callable[[Frame, Step], None]


class DaemonError(Exception):
    """The daemon cannot go on; the message names what is wrong and the cure."""


def run(config: Config, path: Path | None = None, watch: Watch | None = None, engine: Engine | None = None) -> int:
    """Run until stopped; the exit code. What keeps it from running is one sentence in the log and exit code 1.

    `path`: where SIGHUP finds the new configuration, None to ignore SIGHUP; `watch` sees every frame and what became
    of it; `engine`: one that the caller has opened and will close, None for the configured one.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(config.log.level.upper())
    try:
        with Signals(reloads=True) as signals, ExitStack() as owned:
            ready = engine or owned.enter_context(open_model(config, signals.until_stopped(notify)))
            daemon = owned.enter_context(Daemon(config, ready, signals, path, watch))
            daemon.loop()
            return int(daemon.failed)
    except StopError:
        log.info("stopped before the engine was built")
        return 0
    except (EngineError, AssetError, CaptureError, DaemonError) as error:
        log.error("%s", error)
        return 1


class Daemon:
    """Everything that runs. A context manager; `loop` returns when it is time to end."""

    def __init__(
        self, config: Config, engine: Engine, signals: Signals, path: Path | None, watch: Watch | None
    ) -> None:
        """Open cameras and outbox. Raises CaptureError, DaemonError."""
        self._config, self._engine, self._path, self._watch = config, engine, path, watch
        self._signals = signals
        self._labels = self._engine.manifest.labels
        self._model = Model(self._engine.manifest.name, self._engine.sha256)
        if wrong := unknown_actions(config, self._labels):
            raise DaemonError("; ".join(wrong))
        feeds = _opened(config.cameras)
        self._publisher = Publisher(config.mqtt, configured_topics(config), _outbox(config))
        self._teller = Teller(config, self._model, self._labels, self._publisher)
        self._stations = {name: self._station(name, feed) for name, feed in feeds.items()}
        self._rota = Rota(self._stations.values())
        self._stopwatch = telemetry.Stopwatch()
        self._needs_restart: tuple[str, ...] = ()
        self._telemetry_at = self._counted_at = time.monotonic()
        self._counted: dict[str, int] = {}
        self._alive_at = 0.0

    def __enter__(self) -> "Daemon":
        self._teller.status(self._config, self._needs_restart)
        log.info("running %s with %s, cameras: %s", self._model.name, self._engine.runtime, ", ".join(self._stations))
        notify("READY=1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        notify("STOPPING=1")
        for station in self._stations.values():
            station.close("shutdown")
        self._publisher.close(FLUSH_SECONDS)
        waiting = self._publisher.statistics().outbox.rows
        log.info("stopped%s", f"; {waiting} messages wait for the next start" if waiting else "")

    @property
    def failed(self) -> bool:
        """True where a file could not be played."""
        return any(station.feed.failed for station in self._stations.values())

    def loop(self) -> None:
        """Receive, step, send."""
        while not self._signals.stop and not all(station.feed.finished for station in self._stations.values()):
            if self._signals.reload:
                self._signals.reload = False
                self.reload()
            busy = self._advance()
            for station in self._stations.values():
                station.look_after()
            self._tend()
            if not busy:
                wait_for_frames([station.feed for station in self._stations.values()], IDLE_SECONDS)

    def reload(self) -> tuple[str, ...]:
        """Read the configuration anew, and put what can change at once in force; all of it stays where it is wrong.

        Returns what is wrong, a sentence each.
        """
        if self._path is None:
            return ()
        try:
            config = load(self._path)
            wrong = unknown_actions(config, self._labels) or self._apply(config)
        except ConfigError as error:
            wrong = error.problems
        for problem in wrong:
            log.error("%s: %s; going on with the old configuration", self._path, problem)
        return wrong

    def _station(self, name: str, feed: Feed) -> Station:
        return Station(name, feed, pipeline_settings(self._config, name), self._teller)

    def _advance(self) -> bool:
        """Take new frames, of as many cameras as the engine takes at once; False where there were none."""
        taken = self._rota.next(self._engine.largest_batch)
        if not taken:
            return False
        self._stopwatch.start()
        made = pipeline.steps([turn for _, turn in taken], self._engine, self._stopwatch.lap)
        for (station, turn), (state, step) in zip(taken, made, strict=True):
            station.took(turn.frame, state, step)
            if station.feed.live:
                self._stopwatch.record("capture_to_outbox", time.monotonic() - turn.frame.monotonic_time)
            if self._watch is not None:
                self._watch(turn.frame, step)
        return True

    def _tend(self) -> None:
        """What is due now and then: a sign of life, telemetry."""
        now = time.monotonic()
        if not self._publisher.alive:
            raise DaemonError("the publisher has ended by a fault that is told above; systemd starts us anew")
        interval = watchdog_interval()
        if interval and now - self._alive_at >= interval:
            notify("WATCHDOG=1")
            self._alive_at = now
        interval = self._config.telemetry.interval
        if interval and now - self._telemetry_at >= interval:
            self._telemetry_at = now
            self._teller.telemetry(self._telemetry(now))

    def _telemetry(self, now: float) -> dict[str, object]:
        counts = {name: station.frames for name, station in self._stations.items()}
        seconds, self._counted_at = now - self._counted_at, now
        before, self._counted = self._counted, counts
        sent = self._publisher.statistics()
        return {
            "schema": 1,
            "fps": telemetry.rates(before, counts, seconds),
            "latency_ms": self._stopwatch.latencies(),
            "frames": counts,
            "dropped": {name: station.feed.dropped for name, station in self._stations.items()},
            "queue": {"rows": sent.outbox.rows, "bytes": sent.outbox.size, "in_flight": sent.in_flight},
            "lost": {
                "updates": sent.outbox.dropped_updates,
                "events": sent.outbox.dropped_events,
                "expired": sent.outbox.expired,
                "refused": sent.refused,
            },
            "connections": sent.connections,
            "temperatures_c": telemetry.temperatures(),
            "memory": telemetry.memory(),
            "cpu": telemetry.processor(),
        }

    def _apply(self, wanted: Config) -> tuple[str, ...]:
        """Put what can change in force: all that concerns cameras, but all or nothing; what is wrong, else ()."""
        config = applied(self._config, wanted)
        try:
            feeds = _opened({name: config.cameras[name] for name in config.cameras if self._must_open(name, config)})
        except CaptureError as error:
            for name, station in self._stations.items():
                station.feed.adopt(self._config.cameras[name])
            return (str(error),)
        self._config, self._needs_restart = config, needs_restart(config, wanted)
        self._rearrange(feeds)
        logging.getLogger().setLevel(config.log.level.upper())
        later = f"; after a restart: {', '.join(self._needs_restart)}" if self._needs_restart else ""
        log.info("%s is in force%s", self._path, later)
        self._teller.status(config, self._needs_restart)
        return ()

    def _must_open(self, name: str, config: Config) -> bool:
        """True for a camera that is new, or whose change asks for opening it anew."""
        station = self._stations.get(name)
        return station is None or not station.feed.adopt(config.cameras[name])

    def _rearrange(self, feeds: dict[str, Feed]) -> None:
        """Let go of cameras that are configured no more; go on with `feeds` where one has been opened."""
        for name in self._stations.keys() - self._config.cameras.keys():
            self._stations.pop(name).close("camera")
            self._teller.forget(name)
        for name, station in self._stations.items():
            settings = pipeline_settings(self._config, name)
            if name in feeds:
                station.reopen(feeds.pop(name), settings)
            station.settings = settings
        self._stations |= {name: self._station(name, feed) for name, feed in feeds.items()}
        self._rota = Rota(self._stations.values())


def _opened(cameras: Mapping[str, Camera]) -> dict[str, Feed]:
    """Feeds of all these cameras, or of none. Raises CaptureError."""
    feeds: dict[str, Feed] = {}
    with ExitStack() as owned:
        for name, camera in cameras.items():
            feeds[name] = open_feed(name, camera)
            owned.callback(feeds[name].close)
        owned.pop_all()
    return feeds


def _outbox(config: Config) -> Outbox:
    limits = Limits(config.outbox.max_rows, config.outbox.max_bytes)
    return Outbox(state_directory(config) / f"{config.device.name}.outbox.sqlite", limits)
