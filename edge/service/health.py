"""The daemon's health: stalled stages, overload, and the payloads of telemetry and `health`. Shell: reads the clock."""

import logging
import time
from collections.abc import Callable, Mapping

from edge import detector
from edge.broker.publisher import Publisher
from edge.inference import Engine
from edge.service import liveness, overload, stage_timing
from edge.service.camera_session import CameraSession
from edge.service.device_monitor import DeviceMonitor
from edge.service.liveness import Heartbeat, StageStates

log = logging.getLogger(__name__)

STAGE_TIMEOUT = 30.0  # seconds without progress, on top of the stall_seconds of the slowest camera


class Health:
    """Watches the stages of the daemon; used by the thread of its loop alone."""

    def __init__(
        self,
        publisher: Publisher,
        device: DeviceMonitor,
        remedies: str = "",
        runtime: Mapping[str, str | None] | None = None,
        history: Callable[[], dict[str, object] | None] = lambda: None,
    ) -> None:
        """`remedies`: what helps where the machine is too slow. `runtime`: that of `runtime_payload`.

        `history`: what is told of the event store, None where there is none.
        """
        self._runtime, self._history = runtime, history
        self.stopwatch = stage_timing.Stopwatch()
        self._publisher, self._device, self.remedies = publisher, device, remedies
        self.least_rate = 0.0  # frames per second that the model's clips need
        self._overload = overload.initial(time.monotonic())
        self._invalid = 0  # invalid outputs of the network
        self._stages: StageStates = {}
        self._stalled_since: Mapping[str, float] = {}  # by stage, of those logged as stalled
        self._counted_at = time.monotonic()
        self._counted: dict[str, int] = {}

    def stalled_stages(self, sessions: Mapping[str, CameraSession]) -> tuple[str, ...]:
        """A sentence for each stage that is stalled."""
        now = self._update_stages(sessions)
        return liveness.stalled(self._stages, now)

    def check_progress(self, sessions: Mapping[str, CameraSession]) -> bool:
        """Log each stall that begins or ends; True while every stage makes progress."""
        now = self._update_stages(sessions)
        found = liveness.changes(self._stalled_since, self._stages, now)
        self._stalled_since = found.stalled_since
        for sentence in found.stalled:
            log.error("%s; until that changes the watchdog is not fed, and systemd will restart the daemon", sentence)
        for sentence in found.recovered:
            log.info("%s", sentence)
        return not found.stalled_since

    def check_overload(self, sessions: Mapping[str, CameraSession]) -> None:
        """Check whether the machine keeps up with its live cameras; log when overload begins and ends."""
        now = time.monotonic()
        if not overload.is_due(self._overload, now):
            return
        counts = {
            name: (session.feed.counts().captured, session.frames + session.skipped + session.failed)
            for name, session in sessions.items()
            if session.feed.live
        }
        before, self._overload = self._overload, overload.update(self._overload, counts, now)
        if self._overload.overloaded and not before.overloaded:
            log.warning("%s", overload.warning_text(self._overload.overloaded, self.remedies, self.least_rate))
        elif before.overloaded and not self._overload.overloaded:
            log.info("this machine keeps up with its cameras again")

    def count_invalid(self, outputs: int) -> None:
        """Count the network's outputs that were left out as invalid; the first are logged."""
        if outputs and not self._invalid:
            fate = "these and all later ones are dropped and counted as `invalid`"
            log.error("%s", detector.invalid_outputs_message(outputs, fate))
        self._invalid += outputs

    def telemetry_payload(self, sessions: Mapping[str, CameraSession]) -> dict[str, object]:
        """The message of docs/telemetry.md; rates are of the time since the last call."""
        now = time.monotonic()
        taken = {name: session.frames for name, session in sessions.items()}
        counts = {name: session.feed.counts() for name, session in sessions.items()}
        fps = stage_timing.rates(self._counted, taken, now - self._counted_at)
        self._counted, self._counted_at = taken, now
        sent = self._publisher.statistics()
        latencies = self.stopwatch.latencies()
        if arrived := stage_timing.percentiles(self._publisher.delivery_seconds):
            latencies["capture_to_puback"] = arrived
        return {
            "schema": 1,
            "fps": fps,
            "latency_ms": latencies,
            "frames": taken,
            "dropped": {name: one.dropped for name, one in counts.items()},
            "failed": {name: session.failed for name, session in sessions.items()},
            "overloaded": {name: name in self._overload.overloaded for name in self._overload.counts},
            "disabled": {name: session.feed.state == "disabled" for name, session in sessions.items()},
            "invalid": self._invalid,
            "runtime": self._runtime,
            "stalls": {name: one.stalls for name, one in counts.items()},
            "reconnects": {name: one.reconnects for name, one in counts.items()},
            "queue": sent.queue_payload(),
            "lost": sent.outbox.lost_payload(),
            "history": self._history(),
            "connections": sent.connections,
            **self._device.payload(),
        }

    def health_payload(self, sessions: Mapping[str, CameraSession]) -> dict[str, object]:
        """The answer to a `health` request."""
        sent = self._publisher.statistics()
        stalled = self.stalled_stages(sessions)
        failing = [name for name, session in sessions.items() if session.failing]
        return {
            "well": not (stalled or failing or self._overload.overloaded),
            "late": list(stalled),
            "failing": failing,
            "overloaded": {
                name: {"given": round(rates.captured, 1), "taken": round(rates.processed, 1)}
                for name, rates in self._overload.overloaded.items()
            },
            "runtime": self._runtime,
            "cameras": {name: session.feed.state for name, session in sessions.items()},
            "broker": sent.broker_payload(),
            "queue": sent.queue_payload(),
            "lost": sent.outbox.lost_payload(),
            "history": self._history(),
            **self._device.payload(),
        }

    def page_payload(self, sessions: Mapping[str, CameraSession]) -> dict[str, object]:
        """What the live page shows: health, and of what frame rates and latencies come."""
        return {
            "at": time.monotonic(),
            "health": self.health_payload(sessions),
            "frames": {name: session.frames for name, session in sessions.items()},
            "latency_ms": self.stopwatch.latencies(),
        }

    def _update_stages(self, sessions: Mapping[str, CameraSession]) -> float:
        """Take the stages' heartbeats; the time of that (monotonic, s)."""
        now = time.monotonic()
        self._stages = liveness.update(self._stages, _heartbeats(sessions, self._publisher), now)
        return now


def runtime_payload(engine: Engine) -> dict[str, str | None]:
    """What runs the model, who prepares its frames, and why that is not what was configured."""
    return {"name": engine.runtime, "preprocessing": engine.preprocessor, "fallback": engine.fallback or None}


def _heartbeats(sessions: Mapping[str, CameraSession], publisher: Publisher) -> dict[str, Heartbeat]:
    """The heartbeat of each stage that has work: offline cameras have none, nor has the network without cameras.

    A frame whose processing failed counts as progress: a restart would not help against what a camera sends.
    """
    online = {name: session for name, session in sessions.items() if session.feed.state == "online"}
    heartbeats = {
        f"camera {name}": Heartbeat(session.feed.counts().captured, session.stall_seconds + STAGE_TIMEOUT)
        for name, session in online.items()
    }
    heartbeats["publisher"] = Heartbeat(publisher.last_active, STAGE_TIMEOUT)
    if online:
        handled = sum(session.frames + session.skipped + session.failed for session in sessions.values())
        longest = max(session.stall_seconds for session in online.values())
        heartbeats["network"] = Heartbeat(handled, longest + STAGE_TIMEOUT)
    return heartbeats
