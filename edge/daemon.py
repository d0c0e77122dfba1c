"""The daemon: frames come in, the pipeline steps, messages go out. Shell.

It runs until SIGTERM or SIGINT, or until all its cameras are files and have been played to the end. SIGHUP reads the
configuration anew.
"""

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from edge import __version__, events, pipeline, telemetry, topics
from edge.assets import AssetError
from edge.capture import CaptureError
from edge.config import ConfigError, fingerprint, load, state_directory
from edge.engine import EngineError
from edge.events import Event
from edge.feeds import Feed, open_feed, wait_for_frames
from edge.inference import Engine
from edge.mqtt import Publisher
from edge.outbox import Limits, Message, Outbox
from edge.payload import Model, event_payload
from edge.pipeline import CameraState, PipelineSettings, Step
from edge.runtimes import open_model
from edge.schema import Config
from edge.settings import applied, needs_restart, pipeline_settings, unknown_actions
from edge.settings import topics as configured_topics
from edge.signals import Signals, StopError
from edge.sources import Frame
from edge.systemd import notify, watchdog_interval

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.25  # the longest wait for a frame
FLUSH_SECONDS = 10.0  # for what waits in the outbox when we end
ACTIVE_SECONDS = 1.0  # between two messages about a camera's live tubes

Watch = Callable[[Frame, Step], None]


class DaemonError(Exception):
    """The daemon cannot go on; the message names what is wrong and the cure."""


@dataclass(frozen=True, eq=False)
class Station:
    """One camera between two frames. `active`: the last message about live tubes; `active_at`: when, monotonic s."""

    feed: Feed
    settings: PipelineSettings
    pipeline: CameraState
    state: str = ""
    frames: int = 0
    active: bytes = b""
    active_at: float = 0.0


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
        wrong = unknown_actions(config, self._labels)
        if wrong:
            raise DaemonError("; ".join(wrong))
        self._topics = configured_topics(config)
        self._stations = {name: self._station(name) for name in config.cameras}
        self._stopwatch = telemetry.Stopwatch()
        self._needs_restart: tuple[str, ...] = ()
        outbox = state_directory(config) / f"{config.device.name}.outbox.sqlite"
        limits = Limits(config.outbox.max_rows, config.outbox.max_bytes)
        self._publisher = Publisher(config.mqtt, self._topics, Outbox(outbox, limits))
        self._telemetry_at = self._counted_at = time.monotonic()
        self._counted: dict[str, int] = {}
        self._alive_at = 0.0

    def __enter__(self) -> "Daemon":
        self._tell_status()
        log.info("running %s with %s, cameras: %s", self._model.name, self._engine.runtime, ", ".join(self._stations))
        notify("READY=1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        notify("STOPPING=1")
        for name, station in self._stations.items():
            self._end(name, station, "shutdown")
            self._publisher.keep(self._topics.state(name), b"offline")
            station.feed.close()
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
                self._read_configuration()
            advanced = [self._advance(name) for name in self._stations]
            self._tend()
            if not any(advanced):
                wait_for_frames([station.feed for station in self._stations.values()], IDLE_SECONDS)

    def _station(self, name: str) -> Station:
        feed = open_feed(name, self._config.cameras[name])
        return Station(feed, pipeline_settings(self._config, name), _fresh(name))

    def _advance(self, name: str) -> bool:
        """Take one frame of a camera; False where it had none."""
        station = self._stations[name]
        frame = station.feed.newest()
        if frame is not None:
            self._stopwatch.start()
            state, step = pipeline.step(station.pipeline, frame, self._engine, station.settings, self._stopwatch.lap)
            self._send(name, step.events)
            if station.feed.live:
                self._stopwatch.record("capture_to_outbox", time.monotonic() - frame.monotonic_time)
            station = self._with_active(replace(station, pipeline=state, frames=station.frames + 1), name, step)
            if self._watch is not None:
                self._watch(frame, step)
        self._stations[name] = self._with_state(station, name)
        return frame is not None

    def _with_active(self, station: Station, name: str, step: Step) -> Station:
        """Tell how many tubes are live, where that has changed, at most once a second."""
        now = time.monotonic()
        found = topics.encode(topics.active_payload(self._labels, [tube_box.label for tube_box in step.tube_boxes]))
        if found == station.active or now - station.active_at < ACTIVE_SECONDS:
            return station
        self._publisher.keep(self._topics.active(name), found, qos=0)
        return replace(station, active=found, active_at=now)

    def _with_state(self, station: Station, name: str) -> Station:
        """Tell a change of the camera's state; what goes on in front of a camera that goes away has ended."""
        state = station.feed.state
        if state == station.state:
            return station
        self._publisher.keep(self._topics.state(name), state.encode())
        if station.state == "online":
            self._end(name, station, "camera")
            station = replace(station, pipeline=_fresh(name), active=b"")
        return replace(station, state=state)

    def _end(self, name: str, station: Station, reason: str) -> None:
        """Nothing goes on in front of this camera any more."""
        self._send(name, events.close(station.pipeline.events, station.feed.now(), reason))
        if station.active:
            nobody = topics.encode(topics.active_payload(self._labels, ()))
            self._publisher.keep(self._topics.active(name), nobody, qos=0)

    def _send(self, camera: str, happened: Sequence[Event]) -> None:
        """Hand events to the publisher, who stores them before they are sent."""
        for event in happened:
            now = time.time()
            payload = event_payload(event, self._config.device.name, camera, self._model, now)
            topic = self._topics.event(camera, event.action)
            expires = now + self._config.outbox.max_age
            self._publisher.event(
                Message(topic, topics.encode(payload), event.event_id, event.seq, event.type, expires)
            )

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
            self._publisher.tell(self._topics.telemetry, topics.encode(self._telemetry(now)))

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

    def _tell_status(self) -> None:
        config = self._config
        payload = topics.status_payload(
            __version__,
            {"name": self._model.name, "sha256": self._model.sha256},
            self._labels,
            fingerprint(config),
            {name: camera.described().redacted for name, camera in config.cameras.items()},
            self._needs_restart,
        )
        self._publisher.keep(self._topics.status, topics.encode(payload))

    def _read_configuration(self) -> None:
        """Take over what can change while running; keep everything where the file is wrong."""
        self._signals.reload = False
        if self._path is None:
            return
        try:
            config = load(self._path)
            wrong = unknown_actions(config, self._labels)
        except ConfigError as error:
            wrong = error.problems
        for problem in wrong:
            log.error("%s: %s; going on with the old configuration", self._path, problem)
        if not wrong:
            self._apply(config)

    def _apply(self, wanted: Config) -> None:
        self._config = config = applied(self._config, wanted)
        self._needs_restart = needs_restart(config, wanted)
        for name, station in self._stations.items():
            self._stations[name] = replace(station, settings=pipeline_settings(config, name))
        logging.getLogger().setLevel(config.log.level.upper())
        later = f"; after a restart: {', '.join(self._needs_restart)}" if self._needs_restart else ""
        log.info("%s is in force%s", self._path, later)
        self._tell_status()


def _fresh(camera: str) -> CameraState:
    """A camera's pipeline before its first frame, with event ids that no other run has."""
    return pipeline.initial(camera, uuid.uuid4().hex)
