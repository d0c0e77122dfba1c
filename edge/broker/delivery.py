"""How delivery to the broker stands, as others are told of it."""

from dataclasses import dataclass

from edge.broker.outbox import OutboxStatistics
from edge.broker.payload import iso_time


@dataclass(frozen=True)
class Sent:
    """A message in flight. `row`: its id in the outbox, 0 for what is no event. `at`: when it went, monotonic, s."""

    row: int
    topic: str
    at: float


@dataclass(frozen=True)
class PublisherStatistics:
    """`fault`: why there is no connection, or why it does not hold; None while all is well or nothing has been tried.

    `last_fault`, `last_fault_at`: the newest one and its unix time (s), told on when it is over. `version`: of MQTT, 5
    or 3, as it is spoken now. `limits`: what the broker cannot do, a sentence each.
    """

    online: bool
    fault: str | None
    last_fault: str | None
    last_fault_at: float | None
    in_flight: int
    connections: int
    version: int
    dropped_requests: int
    outbox: OutboxStatistics
    limits: tuple[str, ...] = ()

    @property
    def refused(self) -> int:
        """Messages that the broker would not take."""
        return self.outbox.refused

    def broker(self) -> dict[str, object]:
        """For `status` and health: how the connection has held."""
        return {
            "online": self.online,
            "fault": self.fault,
            "last_fault": self.last_fault,
            "last_fault_at": None if self.last_fault_at is None else iso_time(self.last_fault_at),
            "connections": self.connections,
            "version": {5: "5", 3: "3.1.1"}[self.version],
            "limits": list(self.limits),
        }

    def queue(self) -> dict[str, object]:
        """For `telemetry` and health: what waits, and whether a crash would cost it."""
        outbox = self.outbox
        return {
            "rows": outbox.rows,
            "bytes": outbox.size,
            "in_flight": self.in_flight,
            "in_memory": outbox.in_memory,
            "unsaved": outbox.unsaved,
        }


def lost(outbox: OutboxStatistics) -> dict[str, int]:
    """What did not get out since the outbox's file was made, by kind."""
    return {
        "updates": outbox.dropped_updates,
        "events": outbox.dropped_events,
        "expired": outbox.expired,
        "refused": outbox.refused,
        "damaged": outbox.damaged,
    }
