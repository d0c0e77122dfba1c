"""What is known of messages under way, and the statistics of publisher and outbox. Pure."""

from collections import deque
from dataclasses import dataclass

from edge.broker.message import Message
from edge.broker.payload import iso_time

MAX_PENDING = 10_000  # the newest steps that wait for their acknowledgement
MAX_DURATIONS = 1000

StepKey = tuple[str, int]  # event_id, seq


@dataclass(frozen=True)
class InFlight:
    """A message that is not acknowledged yet. `row`: its id in the outbox, 0 for what is no event.

    `sent_at`: monotonic, s.
    """

    row: int
    topic: str
    sent_at: float


@dataclass(frozen=True)
class OutboxStatistics:
    """What waits, and what was lost since the file was made.

    Lost are single updates, whole events, messages too old to send, messages that the broker refused, and messages
    that the disk has damaged. `unsaved`: messages in memory alone, because the disk refuses.
    """

    rows: int = 0
    size: int = 0
    dropped_updates: int = 0
    dropped_events: int = 0
    expired: int = 0
    refused: int = 0
    in_memory: bool = False
    damaged: int = 0
    unsaved: int = 0

    def lost_payload(self) -> dict[str, int]:
        """For the topic `lost` and `telemetry`: what was not delivered since the outbox's file was made, by kind."""
        return {
            "updates": self.dropped_updates,
            "events": self.dropped_events,
            "expired": self.expired,
            "refused": self.refused,
            "damaged": self.damaged,
        }


@dataclass(frozen=True)
class PublisherStatistics:
    """The state of the broker connection and of the outbox.

    `fault`: why there is no connection, or why it is unstable; None while all is well or nothing has been tried.
    `last_fault`, `last_fault_at`: the newest one and its unix time (s), kept when it is over. `version`: of MQTT, 5 or
    3, as spoken now. `limits`: what the broker cannot do, a sentence each.
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

    def broker_payload(self) -> dict[str, object]:
        """For `status` and `health`: the state of the connection, and its newest fault."""
        return {
            "online": self.online,
            "fault": self.fault,
            "last_fault": self.last_fault,
            "last_fault_at": None if self.last_fault_at is None else iso_time(self.last_fault_at),
            "connections": self.connections,
            "version": {5: "5", 3: "3.1.1"}[self.version],
            "limits": list(self.limits),
        }

    def queue_payload(self) -> dict[str, object]:
        """For `telemetry` and `health`: what waits, and how much of it a crash would lose."""
        outbox = self.outbox
        return {
            "rows": outbox.rows,
            "bytes": outbox.size,
            "in_flight": self.in_flight,
            "in_memory": outbox.in_memory,
            "unsaved": outbox.unsaved,
        }


class DeliveryTimes:
    """How long events take from the camera to the broker's acknowledgement; any thread may read `seconds`.

    Messages under way are remembered in memory alone: steps that an earlier run left are sent, but not timed.
    """

    def __init__(self) -> None:
        self._captured: dict[StepKey, float] = {}
        self._sent: dict[int, StepKey] = {}
        self._seconds: deque[float] = deque(maxlen=MAX_DURATIONS)

    def stored(self, message: Message) -> None:
        """A step has been stored."""
        if message.captured is None:
            return
        self._captured[message.event_id, message.seq] = message.captured
        if len(self._captured) > MAX_PENDING:
            del self._captured[next(iter(self._captured))]

    def sent(self, row: int, message: Message) -> None:
        """A step has been sent from this row of the outbox, for the first time or again."""
        if (message.event_id, message.seq) in self._captured:
            self._sent[row] = message.event_id, message.seq

    def acknowledged(self, row: int, now: float) -> None:
        """The broker has acknowledged the row's step at the monotonic time `now`."""
        captured = self._captured.pop(self._sent.pop(row, ("", 0)), None)
        if captured is not None:
            self._seconds.append(now - captured)

    def disconnected(self) -> None:
        """The connection has ended; what was sent on it will be sent again."""
        self._sent.clear()

    @property
    def seconds(self) -> tuple[float, ...]:
        """From capture to acknowledgement, the newest thousand, in the order of acknowledgement."""
        return tuple(self._seconds.copy())
