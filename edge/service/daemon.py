"""The daemon: receives frames, steps the pipelines, publishes events. Shell.

It runs until SIGTERM or SIGINT, or until all its cameras are files and have ended. SIGHUP reloads the configuration.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

from edge.broker import payload, requests
from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.payload import InterruptedEnds, ModelIdentity
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics
from edge.cameras.video_file import CaptureError
from edge.clip import least_rate
from edge.config.config_file import state_directory
from edge.config.schema import Config, OutboxConfig
from edge.history.history import History
from edge.inference import Engine, EngineError
from edge.open_model import open_model
from edge.pipeline import FrameInput, StepResult
from edge.sensors import clock
from edge.sensors.prometheus_page import PrometheusPage
from edge.service import overload
from edge.service.announcements import Announcer
from edge.service.argus_restart import ArgusRestart
from edge.service.camera_session import CameraSession
from edge.service.camera_sessions import CameraSessions, open_feeds
from edge.service.camera_switches import CameraSwitches
from edge.service.device_monitor import DeviceMonitor
from edge.service.file_permissions import unsafe_permissions
from edge.service.frame_batch import ProcessedFrame, process_batch
from edge.service.health import Health, runtime_payload
from edge.service.log_format import LogFormat, configure
from edge.service.page_requests import PageRequestHandler
from edge.service.reload import ReloadableConfig
from edge.service.request_handler import DaemonRequestHandler
from edge.service.settings import all_pipeline_settings, model_warnings, unknown_actions
from edge.service.settings import topics as configured_topics
from edge.service.systemd import announce_start, notify, watchdog_interval
from edge.shipped_files import AssetError
from edge.signals import Signals, StopError
from edge.sources import Frame
from edge.threads import ThreadError
from edge.web.live_page import LivePage

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.25  # the longest wait for a frame
FLUSH_SECONDS = 10.0  # for sending what waits in the outbox at the end

FrameObserver = Callable[[Frame, StepResult], None]


class DaemonError(Exception):
    """The daemon cannot continue; the message names the problem and the remedy."""


def run(
    config: Config,
    path: Path | None = None,
    observe: FrameObserver | None = None,
    engine: Engine | None = None,
    signals: Signals | None = None,
    log_format: LogFormat = "auto",
) -> int:
    """Run until stopped; the exit code. An error that prevents that is one sentence in the log and exit code 1.

    `path`: the file that SIGHUP reloads, None to ignore SIGHUP; `observe` is called with every frame and its result;
    `engine`: one that the caller has opened and will close, None for the configured one; `signals`: recorded since
    before the configuration was read, None to start here.
    """
    configure(log_format)
    logging.getLogger().setLevel(config.log.level.upper())
    for found in unsafe_permissions(config, path):
        log.warning("%s %s: %s", found.path, found.text, found.remedy)
    try:
        with ExitStack() as owned:
            signals = signals or owned.enter_context(Signals(reloads=True))
            ready = engine or owned.enter_context(
                open_model(config.model, state_directory(config.outbox), announce_start, signals.raise_if_stopped)
            )
            daemon = owned.enter_context(Daemon(config, ready, signals, path, observe))
            daemon.loop()
            return int(daemon.failed)
    except StopError:
        log.info("stopped before the engine was built")
        return 0
    except (EngineError, AssetError, CaptureError, DaemonError, ThreadError) as error:
        log.error("%s", error)
        return 1


class Daemon:
    """Everything that runs, as a context manager."""

    def __init__(
        self, config: Config, engine: Engine, signals: Signals, path: Path | None, observe: FrameObserver | None
    ) -> None:
        """Open the cameras and the outbox. Raises CaptureError, DaemonError, ThreadError."""
        self._engine, self._signals, self._observe = engine, signals, observe
        labels, self._model = engine.manifest.labels, ModelIdentity(engine.manifest.name, engine.sha256)
        if problems := unknown_actions(config, labels):
            raise DaemonError("; ".join(problems))
        topics = configured_topics(config)
        self._switches = CameraSwitches(
            state_directory(config.outbox) / f"{topics.device}.cameras.json",
            tuple(config.cameras),
            config.mqtt.allow_camera_switch,
        )
        feeds = open_feeds(config.cameras, self._switches.disabled)
        self._publisher = Publisher(config.mqtt, topics, _outbox(config.outbox, topics.device))
        self._history = History(config, partial(_publish_picture, self._publisher, topics))
        self._announcer = Announcer(
            topics, config.mqtt, config.outbox, self._model, labels, self._publisher, self._history
        )
        self._device = DeviceMonitor(config.thermal.settings(), topics, config.outbox.max_age)
        self._argus = ArgusRestart(config.restart_argus)
        self._page = PrometheusPage(config.metrics.address, config.metrics.port)
        self._live_page = LivePage(config, engine.manifest, path=path)
        self._health = Health(self._publisher, self._device, "", runtime_payload(engine), self._history.payload)
        self._consider_tiles(config)
        settings = all_pipeline_settings(config, engine.manifest.start_scores)
        self._sessions = CameraSessions(feeds, settings, self._announcer, self._device.admit_frame)
        self._running = ReloadableConfig(config, path, labels, self._apply, self._publish_status)
        self._request_handler = DaemonRequestHandler(self._running, self._sessions, self._health, self._switches)
        self._page_requests = PageRequestHandler(self._running, engine.manifest.start_scores)
        self._broker: dict[str, object] = {}  # last published
        self._telemetry_at = time.monotonic()
        self._watchdog_at = 0.0

    def __enter__(self) -> "Daemon":
        self._publish_status()
        source = f", configured by {self._running.path}" if self._running.path else ""
        cameras = ", ".join(self._sessions)
        log.info("running %s with %s, cameras: %s%s", self._model.name, self._engine.runtime, cameras, source)
        notify("READY=1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        notify("STOPPING=1")
        self._sessions.close()
        self._publish_event(self._device.close())
        self._page.close()
        self._live_page.close()
        self._history.close()
        self._publisher.close(FLUSH_SECONDS)
        log.info("stopped%s", self._unsent())

    @property
    def failed(self) -> bool:
        """True where a file could not be played."""
        return self._sessions.failed

    def loop(self) -> None:
        """Receive frames, step the pipelines, publish what follows, until a stop is requested or all files end."""
        while not (self._signals.stop_requested or self._sessions.finished):
            if self._signals.reload_requested:
                self._signals.reload_requested = False
                self._running.reload("SIGHUP")
            inputs = self._sessions.next_inputs(self._engine.largest_batch)
            for processed in self._step(inputs):
                self._publish(processed)
            self._sessions.update_states()
            self._answer_requests()
            self._housekeeping()
            if not inputs:
                self._sessions.wait_for_frames(IDLE_SECONDS)

    def _step(self, inputs: Sequence[tuple[CameraSession, FrameInput]]) -> Iterator[ProcessedFrame]:
        """Run the pipelines on one new frame each of several cameras."""
        self._health.stopwatch.start()
        return process_batch(inputs, self._engine, self._health.stopwatch.lap)

    def _publish(self, processed: ProcessedFrame) -> None:
        """Publish what follows from a frame."""
        session, frame, state, result = processed
        session.handle_result(frame, state, result)
        self._health.count_invalid(result.detections.invalid)
        if session.feed.live:
            self._health.stopwatch.record("capture_to_outbox", time.monotonic() - frame.monotonic_time)
        with session.isolating_faults(frame):
            self._live_page.frame(frame, state.events, result)
        if self._observe is not None:
            self._observe(frame, result)

    def _answer_requests(self) -> None:
        """Answer the requests that have arrived over MQTT, and those of the live page."""
        self._live_page.answer(self._page_requests)
        for request in self._publisher.take_requests():
            response = requests.answer(
                request, self._request_handler, self._announcer.topics, self._running.config.mqtt
            )
            self._publisher.publish_response(response)

    def _housekeeping(self) -> None:
        """Do what is due between frames: sensors, watchdog, overload, telemetry, status."""
        now = time.monotonic()
        if not self._publisher.alive:
            raise DaemonError("the publisher has failed, see the error above; systemd restarts the daemon")
        self._publish_event(self._device.poll())
        self._feed_watchdog(now)
        self._health.check_overload(self._sessions)
        self._argus.check([session.feed for session in self._sessions.values()], now)
        self._publish_telemetry(now)
        self._live_page.state(partial(self._health.page_payload, self._sessions))
        if self._publisher.statistics().broker_payload() != self._broker:
            self._publish_status()

    def _feed_watchdog(self, now: float) -> None:
        """Feed systemd's watchdog, as long as every stage makes progress."""
        interval = watchdog_interval()
        if interval and now - self._watchdog_at >= interval:
            self._watchdog_at = now
            if self._health.check_progress(self._sessions):
                notify("WATCHDOG=1")

    def _publish_telemetry(self, now: float) -> None:
        """Publish the telemetry, over MQTT and to Prometheus, where it is due."""
        interval = self._running.config.telemetry.interval
        if interval and now - self._telemetry_at >= interval:
            self._telemetry_at = now
            telemetry = self._health.telemetry_payload(self._sessions)
            self._announcer.telemetry(telemetry)
            self._page.update(telemetry)

    def _publish_event(self, message: Message | None) -> None:
        if message is not None:
            self._publisher.publish_event(message)

    def _publish_status(self) -> None:
        self._broker = self._publisher.statistics().broker_payload()
        self._announcer.status(self._running.config, self._running.needs_restart, self._broker)

    def _apply(self, config: Config) -> None:
        """Put a reloaded configuration in force. Raises CaptureError, and changes nothing then."""
        self._sessions.reconfigure(config.cameras, all_pipeline_settings(config, self._engine.manifest.start_scores))
        self._switches.keep_only(tuple(config.cameras))
        self._history.reconfigure(config)
        self._live_page.reconfigure(config)
        self._device.reconfigure(config.thermal.settings())
        self._argus.allowed = config.restart_argus
        self._consider_tiles(config)
        logging.getLogger().setLevel(config.log.level.upper())

    def _consider_tiles(self, config: Config) -> None:
        """Say which cameras' tiles need several calls of the network, and name fewer tiles where it is too slow."""
        for sentence in model_warnings(config, self._engine):
            log.warning("%s", sentence)
        tiled = any(camera.tiling().count > 1 for camera in config.cameras.values())
        manifest = self._engine.manifest
        self._health.remedies = overload.remedies(manifest, self._engine.runtime, tiled)
        self._health.least_rate = least_rate(manifest.clip, manifest.rate) if manifest.clip else 0.0

    def _unsent(self) -> str:
        """What becomes of the messages that have not been sent."""
        outbox = self._publisher.statistics().outbox
        waiting = outbox.rows - outbox.unsaved
        kept = f"; {waiting} messages wait for the next start" if waiting else ""
        return kept + (f"; {outbox.unsaved} are lost, as the disk could not be written" if outbox.unsaved else "")


def _publish_picture(
    publisher: Publisher, topics: Topics, camera: str, action: str, event_id: str, jpeg: bytes
) -> None:
    """Publish an event's best picture, in the place of that of its beginning."""
    publisher.publish_snapshot(topics.snapshot(camera, action), jpeg, event_id)


def _outbox(settings: OutboxConfig, device: str) -> Outbox:
    """Open the outbox, ending the events that a crash left open."""
    limits = OutboxLimits(settings.max_rows, settings.max_bytes)
    return Outbox(state_directory(settings) / f"{device}.outbox.sqlite", limits, partial(_ends, settings.max_age))


def _ends(max_age: float, open_steps: Sequence[Message], gap: int) -> InterruptedEnds:
    """The ends of the events that an earlier run left open."""
    now = time.time()
    found = payload.end_interrupted(open_steps, now, clock.expiry(now, max_age, clock.synced(now)), gap)
    if found.ends:
        log.warning("%d events were open when the last run was interrupted; they end now", len(found.ends))
    if found.unreadable:
        log.error("%d events left open by the last run cannot be read; they are dropped", len(found.unreadable))
    return found
