"""How the daemon is doing: what telemetry, health and systemd's watchdog are told. Shell: reads the clock."""

import logging
import time
from collections.abc import Mapping

from edge import detector
from edge.broker import delivery
from edge.broker.publisher import Publisher
from edge.service import liveness as progress
from edge.service import load, telemetry
from edge.service.camera_session import CameraSession
from edge.service.device_watch import DeviceWatch
from edge.service.liveness import Mark, Progress

log = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds that a stage may take to get on, above what a camera is given to come back


class Condition:
    """Watches the stages get on; for the thread of the daemon's loop."""

    def __init__(self, publisher: Publisher, device: DeviceWatch, cure: str = "") -> None:
        """`cure`: what helps where the machine is too slow."""
        self.stopwatch = telemetry.Stopwatch()
        self._publisher, self._device, self._cure = publisher, device, cure
        self._load = load.initial(time.monotonic())
        self._invalid = 0  # answers of the network that no network may give
        self._progress: Progress = {}
        self._standing: Mapping[str, float] = {}  # stages that are told to be late, since when
        self._counted_at = time.monotonic()
        self._counted: dict[str, int] = {}

    def late(self, sessions: Mapping[str, CameraSession]) -> tuple[str, ...]:
        """Words for each stage that should get on and does not."""
        now = self._look(sessions)
        return progress.late(self._progress, now)

    def alive(self, sessions: Mapping[str, CameraSession]) -> bool:
        """Whether every stage gets on; one that ceases to is logged once, and once more when that is over."""
        now = self._look(sessions)
        found = progress.news(self._standing, self._progress, now)
        self._standing = found.standing
        for sentence in found.begun:
            log.error("%s; as long as that lasts systemd hears nothing, and will start us anew", sentence)
        for sentence in found.over:
            log.info("%s", sentence)
        return not found.standing

    def keep_up(self, sessions: Mapping[str, CameraSession]) -> None:
        """See whether the machine keeps up with its live cameras; that it does not is logged once, and its end."""
        now = time.monotonic()
        if not load.is_due(self._load, now):
            return
        counts = {
            name: (session.feed.counts().captured, session.frames + session.skipped + session.failed)
            for name, session in sessions.items()
            if session.feed.live
        }
        before, self._load = self._load, load.look(self._load, counts, now)
        if self._load.overloaded and not before.overloaded:
            log.warning("%s", load.sentence(self._load.overloaded, self._cure))
        elif before.overloaded and not self._load.overloaded:
            log.info("this machine keeps up with its cameras again")

    def count_invalid(self, answers: int) -> None:
        """Count answers of the network that were left out; the first are logged."""
        if answers and not self._invalid:
            fate = "they and all later ones are left out and counted as `invalid`"
            log.error("%s", detector.told_of_invalid(answers, fate))
        self._invalid += answers

    def telemetry(self, sessions: Mapping[str, CameraSession]) -> dict[str, object]:
        """The message of docs/telemetry.md; rates are of the time since the last call."""
        now = time.monotonic()
        taken = {name: session.frames for name, session in sessions.items()}
        counts = {name: session.feed.counts() for name, session in sessions.items()}
        fps = telemetry.rates(self._counted, taken, now - self._counted_at)
        self._counted, self._counted_at = taken, now
        sent = self._publisher.statistics()
        latencies = self.stopwatch.latencies()
        if arrived := telemetry.percentiles(self._publisher.arrival_seconds):
            latencies["capture_to_puback"] = arrived
        return {
            "schema": 1,
            "fps": fps,
            "latency_ms": latencies,
            "frames": taken,
            "dropped": {name: one.dropped for name, one in counts.items()},
            "failed": {name: session.failed for name, session in sessions.items()},
            "overloaded": {name: name in self._load.overloaded for name in self._load.counts},
            "invalid": self._invalid,
            "stalls": {name: one.stalls for name, one in counts.items()},
            "reconnects": {name: one.reconnects for name, one in counts.items()},
            "queue": sent.queue(),
            "lost": delivery.lost(sent.outbox),
            "connections": sent.connections,
            **self._device.payload(),
        }

    def health(self, sessions: Mapping[str, CameraSession]) -> dict[str, object]:
        """What a request for health is answered."""
        sent = self._publisher.statistics()
        late = self.late(sessions)
        failing = [name for name, session in sessions.items() if session.failing]
        return {
            "well": not (late or failing or self._load.overloaded),
            "late": list(late),
            "failing": failing,
            "overloaded": {
                name: {"given": round(rates.given, 1), "taken": round(rates.taken, 1)}
                for name, rates in self._load.overloaded.items()
            },
            "cameras": {name: session.feed.state for name, session in sessions.items()},
            "broker": sent.broker(),
            "queue": sent.queue(),
            "lost": delivery.lost(sent.outbox),
            **self._device.payload(),
        }

    def _look(self, sessions: Mapping[str, CameraSession]) -> float:
        """See how far the stages have got; when that was (monotonic, s)."""
        now = time.monotonic()
        self._progress = progress.look(self._progress, _marks(sessions, self._publisher), now)
        return now


def _marks(sessions: Mapping[str, CameraSession], publisher: Publisher) -> dict[str, Mark]:
    """What each stage shows that has something to do: a camera that is away has not, nor has the network then.

    A frame that could not be processed counts as progress: to start anew would not help against what a camera sends.
    """
    online = {name: session for name, session in sessions.items() if session.feed.state == "online"}
    marks = {
        f"camera {name}": Mark(session.feed.counts().captured, session.stall_seconds + PATIENCE)
        for name, session in online.items()
    }
    marks["publisher"] = Mark(publisher.turned, PATIENCE)
    if online:
        handled = sum(session.frames + session.skipped + session.failed for session in sessions.values())
        longest = max(session.stall_seconds for session in online.values())
        marks["network"] = Mark(handled, longest + PATIENCE)
    return marks
