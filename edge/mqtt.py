"""Brings messages to the broker: events through the outbox, the rest as it comes.

One thread owns outbox and connection; the frame loop only lays things into its inbox and never waits.
"""

import logging
import queue
import random
import threading
import time
from dataclasses import dataclass

from edge.connection import Acknowledged, Closed, Connection, Opened, Report
from edge.outbox import Message, Outbox, OutboxStatistics
from edge.schema import Mqtt
from edge.topics import OFFLINE, ONLINE, Topics

log = logging.getLogger(__name__)

WINDOW = 16  # events in flight
BATCH = 500  # things taken from the inbox at once
ANSWER_SECONDS = 15.0  # from dialling to the broker's answer
FAREWELL_SECONDS = 1.0  # for `offline` and the end of the connection
DELAYS = (1.0, 60.0)  # seconds before dialling again: first, longest
IDLE_SECONDS = 0.5


@dataclass(frozen=True)
class Kept:
    """A retained message: sent now, and again at every new connection."""

    topic: str
    payload: bytes
    qos: int


@dataclass(frozen=True)
class Passing:
    """A message for those who listen now; without a connection it is gone."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Stop:
    """Finish what waits until this monotonic time, then take leave."""

    deadline: float


@dataclass(frozen=True)
class PublisherStatistics:
    """`fault`: why there is no connection, None while there is one or before the first is tried."""

    online: bool
    fault: str | None
    in_flight: int
    connections: int
    refused: int
    outbox: OutboxStatistics


class Publisher:
    """The way out. All methods may be called from any thread and return at once, but for `close`."""

    def __init__(self, settings: Mqtt, topics: Topics, outbox: Outbox) -> None:
        """Begin to dial; the outbox belongs to the publisher from here on, and what it held is sent first."""
        self._settings = settings
        self._topics = topics
        self._outbox = outbox
        self._inbox: queue.SimpleQueue[Message | Kept | Passing | Stop | Report] = queue.SimpleQueue()
        self._kept: dict[str, Kept] = {}
        self._connection: Connection | None = None
        self._online = False
        self._dial_at = 0.0
        self._answer_by = 0.0
        self._attempts = 0
        self._window = WINDOW
        self._sent = 0  # the highest id sent in this connection
        self._in_flight: dict[int, int] = {}  # number of the message -> id of the row, 0 for what is no event
        self._fault: str | None = None
        self._connections = self._refused = 0
        self._stop: Stop | None = None
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once the thread has ended, by `close` or by a fault."""
        return self._thread.is_alive()

    def event(self, message: Message) -> None:
        """Store, then send until it has arrived."""
        self._inbox.put(message)

    def keep(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Publish retained, and again whenever a connection begins."""
        self._inbox.put(Kept(topic, payload, qos))

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish once to those who listen now."""
        self._inbox.put(Passing(topic, payload))

    def statistics(self) -> PublisherStatistics:
        """How things stand."""
        return PublisherStatistics(
            self._online,
            self._fault,
            sum(map(bool, self._in_flight.copy().values())),
            self._connections,
            self._refused,
            self._outbox.statistics(),
        )

    def close(self, seconds: float) -> None:
        """Send what waits for so long at most, say `offline`, hang up. What is left stays in the outbox."""
        self._inbox.put(Stop(time.monotonic() + seconds))
        self._thread.join(seconds + 3 * FAREWELL_SECONDS)

    def _run(self) -> None:
        try:
            while not self._finished():
                self._handle(self._receive())
                self._forward()
                self._tend()
            self._farewell()
        finally:
            self._online = False
            self._outbox.close()

    def _finished(self) -> bool:
        if self._stop is None:
            return False
        idle = not self._in_flight and self._inbox.empty() and not self._outbox.pending(0, 1)
        hopeless = self._connection is None and self._fault is not None
        return idle or hopeless or time.monotonic() >= self._stop.deadline

    def _receive(self) -> list[Message | Kept | Passing | Stop | Report]:
        """Everything that lies in the inbox; waits a moment where it is empty."""
        things = []
        try:
            things.append(self._inbox.get(timeout=IDLE_SECONDS if self._stop is None else IDLE_SECONDS / 10))
            while len(things) < BATCH:
                things.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return things

    def _handle(self, things: list[Message | Kept | Passing | Stop | Report]) -> None:
        """Events are stored before anything else is done, in one transaction; so leave those that have arrived."""
        events = [thing for thing in things if isinstance(thing, Message)]
        if events:
            self._outbox.put(events, time.time())
        arrived = []
        for thing in things:
            if isinstance(thing, Kept):
                self._kept[thing.topic] = thing
                self._publish(thing)
            elif isinstance(thing, Passing):
                self._publish(thing)
            elif isinstance(thing, Stop):
                self._stop = thing
            elif isinstance(thing, Acknowledged):
                arrived.append(self._acknowledged(thing))
            elif isinstance(thing, Opened):
                self._opened(thing)
            elif isinstance(thing, Closed):
                self._closed(thing)
        if any(arrived):
            self._outbox.remove(filter(None, arrived))

    def _publish(self, thing: Kept | Passing) -> None:
        if self._connection is None or not self._online:
            return
        if isinstance(thing, Passing):
            self._connection.publish(thing.topic, thing.payload, qos=0, retain=False)
            return
        number = self._connection.publish(thing.topic, thing.payload, thing.qos, retain=True)
        if thing.qos:
            self._in_flight[number] = 0

    def _acknowledged(self, report: Acknowledged) -> int:
        """The id of the row that has arrived; 0 where it was none."""
        if report.connection is not self._connection:
            return 0
        row = self._in_flight.pop(report.number, 0)
        if report.refused is not None:
            self._refused += 1
            log.warning("%s: it refused a message (%s): check the broker's rights", self._name, report.refused)
        return row

    def _opened(self, report: Opened) -> None:
        if report.connection is not self._connection:
            return
        log.info("%s: connected", self._name)
        self._online, self._fault = True, None
        self._attempts = 0
        self._connections += 1
        self._window = min(WINDOW, report.window)
        self._outbox.expire(time.time())
        self._publish(Kept(self._topics.available, ONLINE, 1))
        for kept in self._kept.values():
            self._publish(kept)

    def _closed(self, report: Closed) -> None:
        if report.connection is not self._connection:
            return
        if report.reason != self._fault:
            log.warning("%s: %s; trying again", self._name, report.reason)
        self._online, self._fault = False, report.reason
        self._connection = None
        self._in_flight.clear()
        self._sent = 0
        first, longest = DELAYS
        self._dial_at = time.monotonic() + min(first * 2**self._attempts, longest) * random.uniform(0.75, 1.25)
        self._attempts = min(self._attempts + 1, 10)

    def _forward(self) -> None:
        """Fill the window from the outbox."""
        room = self._window - sum(map(bool, self._in_flight.values()))
        if self._connection is None or not self._online or room <= 0:
            return
        for row in self._outbox.pending(self._sent, room):
            message = row.message
            expiry = message.expires - time.time()
            number = self._connection.publish(message.topic, message.payload, qos=1, retain=False, expiry=expiry)
            self._in_flight[number] = row.id
            self._sent = row.id

    def _tend(self) -> None:
        """Dial where it is time to; give up on a broker that does not answer."""
        now = time.monotonic()
        if self._connection is None and now >= self._dial_at:
            settings = self._settings
            client_id = settings.client_id or f"korsal-edge-{self._topics.device}"
            self._answer_by = now + ANSWER_SECONDS
            self._connection = Connection(settings, client_id, self._topics.available, self._inbox.put)
        elif self._connection is not None and not self._online and now >= self._answer_by:
            silent = self._connection
            self._closed(Closed(silent, f"no answer within {ANSWER_SECONDS:g} s: check [mqtt] host and port"))
            silent.close()

    def _farewell(self) -> None:
        """Say `offline` ourselves: after an orderly end the broker does not send the will."""
        if self._connection is None:
            return
        if self._online:
            self._in_flight = {self._connection.publish(self._topics.available, OFFLINE, qos=1, retain=True): 0}
            deadline = time.monotonic() + FAREWELL_SECONDS
            while self._in_flight and time.monotonic() < deadline:
                self._handle(self._receive())
        if self._connection is not None:
            self._connection.close(FAREWELL_SECONDS)

    @property
    def _name(self) -> str:
        return f"broker {self._settings.host}:{self._settings.port}"
