"""Brings messages to the broker: events through the outbox, the rest as it comes; requests come back.

One thread owns outbox and line; the frame loop only lays things into its inbox and never waits.
"""

import logging
import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge import threads
from edge.broker import poison_messages
from edge.broker import topic_permissions as rights
from edge.broker.arrivals import Arrivals
from edge.broker.broker_link import BrokerLink
from edge.broker.connection import Acknowledged, Closed, ConnectionReport, Opened, SubscriptionRefused
from edge.broker.delivery import PublisherStatistics as PublisherStatistics
from edge.broker.delivery import Sent, lost
from edge.broker.message import CLOCK_IS_SET, Message
from edge.broker.outbox import CLOSE_SECONDS, Outbox, Row
from edge.broker.parcel import Parcel, packet_size
from edge.broker.poison_messages import Posted, Suspicion
from edge.broker.requests import Request, Response, answer_too_large
from edge.broker.retained import PICTURES, Kept, Retained
from edge.broker.retelling import clock_jump
from edge.broker.topic_permissions import Rights
from edge.broker.topics import Topics, encode
from edge.config.schema import MqttConfig

log = logging.getLogger(__name__)

ANSWERS = "answers"
MQTT_3 = 3
BATCH = 500  # things taken from the inbox at once
REQUESTS = 32  # that may wait to be answered; more are dropped
SILENCE_SECONDS = 30.0  # until a message in flight must have been acknowledged
FAREWELL_SECONDS = 1.0  # for `offline` and the end of the connection
HOLD_SECONDS = 60.0  # until what the broker has refused is offered again
IDLE_SECONDS = 0.5


@dataclass(frozen=True)
class Stop:
    """Finish what waits until this monotonic time, then take leave."""

    deadline: float


Thing = Message | Kept | Parcel | Stop | ConnectionReport


class Publisher:
    """The way out. All methods may be called from any thread and return at once, but for `close`."""

    def __init__(self, settings: MqttConfig, topics: Topics, outbox: Outbox) -> None:
        """Begin to dial; the outbox belongs to the publisher from here on, and what it held is sent first.

        Raises ThreadError.
        """
        self._topics = topics
        self._outbox = outbox
        self._inbox: queue.SimpleQueue[Thing] = queue.SimpleQueue()
        self._requests: queue.Queue[Request] = queue.Queue(REQUESTS)
        self._dropped_requests = 0
        self._line = BrokerLink(settings, topics, self._inbox.put, self._offer)
        self._retained = Retained(topics.available)
        self._in_flight: dict[int, Sent] = {}  # by the number of the message
        self._rights = Rights()
        self._suspicion = Suspicion()
        self._told_lost = lost(outbox.statistics())
        self._arrivals = Arrivals()
        self._last_active = time.monotonic()
        self._clocks = time.time(), self._last_active
        self._stop: Stop | None = None
        self._thread = threads.start("publisher", self._run)

    @property
    def alive(self) -> bool:
        """False once the thread has ended, by `close` or by a fault."""
        return self._thread.is_alive()

    @property
    def last_active(self) -> float:
        """When the thread last began a round, monotonic, s; it does so twice a second where there is nothing to do."""
        return self._last_active

    @property
    def delivery_seconds(self) -> tuple[float, ...]:
        """How long the newest events took from the camera to the broker's acknowledgement."""
        return self._arrivals.seconds

    def publish_event(self, message: Message) -> None:
        """Store, then send until it has arrived."""
        self._inbox.put(message)

    def publish_retained(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Publish retained, and again whenever a connection begins."""
        self._inbox.put(Kept(Parcel(topic, payload, qos, retain=True), lasts=True))

    def publish_picture(self, topic: str, jpeg: bytes, event_id: str = "") -> None:
        """Publish retained, once; without a connection the newest of each topic waits for one."""
        labels = (("event_id", event_id),) if event_id else ()
        self._inbox.put(Kept(Parcel(topic, jpeg, 0, retain=True, labels=labels, kind=PICTURES), lasts=False))

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish once to those who listen now."""
        self._inbox.put(Parcel(topic, payload))

    def take_requests(self) -> tuple[Request, ...]:
        """What has been asked since the last call, the oldest first; each wants an `answer`."""
        found: list[Request] = []
        while len(found) < REQUESTS:
            try:
                found.append(self._requests.get_nowait())
            except queue.Empty:
                break
        return tuple(found)

    def publish_response(self, given: Response) -> None:
        """Publish an answer, if there is a connection."""
        self._inbox.put(Parcel(given.topic, given.payload, 1, correlation=given.correlation, kind=ANSWERS))

    def statistics(self) -> PublisherStatistics:
        """How things stand."""
        line, outages = self._line, self._line.outages
        return PublisherStatistics(
            line.online,
            outages.fault or outages.unsound,
            outages.last,
            line.fault_at,
            sum(bool(sent.row) for sent in self._in_flight.copy().values()),
            line.connections,
            line.version,
            self._dropped_requests,
            self._outbox.statistics(),
            line.limits,
        )

    def close(self, seconds: float) -> None:
        """Send what waits for so long at most, say `offline`, hang up. What is left stays in the outbox's file.

        It takes some seconds more where the disk has refused and what is in memory is to be written down.
        """
        self._inbox.put(Stop(time.monotonic() + seconds))
        self._thread.join(seconds + 3 * FAREWELL_SECONDS + 2 * CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            while not self._finished():
                self._last_active = time.monotonic()
                things = self._mind_clock(self._receive())
                self._outbox.tend()
                self._handle(things)
                self._forward()
                self._mind_silence(time.monotonic())
                self._line.tend(time.monotonic())
                self._tell_again(time.monotonic())
                self._tell_losses()
            self._line.take_leave(FAREWELL_SECONDS, self._wait_for)
        finally:
            self._line.online = False
            self._outbox.close()

    def _finished(self) -> bool:
        if self._stop is None:
            return False
        idle = not self._in_flight and not self._retained and self._inbox.empty() and not self._outbox.pending(0, 1)
        return idle or self._line.hopeless or time.monotonic() >= self._stop.deadline

    def _wait_for(self, number: int) -> None:
        self._in_flight = {number: Sent(0, self._topics.available, time.monotonic())}
        deadline = time.monotonic() + FAREWELL_SECONDS
        while self._in_flight and time.monotonic() < deadline:
            self._handle(self._receive())

    def _receive(self) -> list[Thing]:
        """Everything that lies in the inbox; waits a moment where it is empty."""
        things = []
        try:
            things.append(self._inbox.get(timeout=IDLE_SECONDS if self._stop is None else IDLE_SECONDS / 10))
            while len(things) < BATCH:
                things.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return things

    def _handle(self, things: list[Thing]) -> None:
        """Events are stored before anything else is done, in one transaction; so leave those that have arrived."""
        events = [thing for thing in things if isinstance(thing, Message)]
        if events:
            self._outbox.put(events, time.time())
            for event in events:
                self._arrivals.stored(event)
        arrived: list[int] = []
        refused: list[int] = []
        for thing in things:
            if isinstance(thing, Acknowledged):
                row = self._acknowledged(thing)
                (refused if thing.refused else arrived).append(row)
            elif isinstance(thing, Kept):
                self._retained.keep(thing)
            elif isinstance(thing, Parcel):
                self._publish_once(thing)
            elif isinstance(thing, Stop):
                self._stop = thing
            elif not isinstance(thing, Message) and self._line.owns(thing):
                self._hear(thing)
        for row in arrived:
            self._arrivals.arrived(row, time.monotonic())
        if any(arrived) or any(refused):
            self._outbox.remove(filter(None, arrived), filter(None, refused))

    def _hear(self, report: Opened | SubscriptionRefused | Closed) -> None:
        self._line.hear(report)
        if isinstance(report, Opened):
            self._outbox.expire(time.time())
            self._retained.connected(time.monotonic())
        elif isinstance(report, Closed):
            self._in_flight.clear()
            self._rights = rights.hung_up(self._rights)
            self._retained.hung_up()
            self._blame(report.strikes)
            self._arrivals.hung_up()

    def _blame(self, strikes: int) -> None:
        """Drop the message that the broker hangs up at, once that is known."""
        now = time.monotonic()
        self._suspicion, culprit = poison_messages.hung_up(self._suspicion, strikes, now)
        if culprit is None:
            return
        posted = culprit.posted
        self._line.tell_culprit(culprit)
        if posted.row:
            self._outbox.remove((), (posted.row,))
            if culprit.taken is None:
                self._rights = rights.refused(self._rights, posted.topic, now + HOLD_SECONDS)
        else:
            self._retained.drop(posted.topic)

    def _posted(self, topic: str, payload: bytes, row: int) -> Posted:
        """A message as it is remembered, to find the one that the broker hangs up at; it has no number yet."""
        return Posted(0, topic, row, packet_size(Parcel(topic, payload, 1), MQTT_3))

    def _together(self, rows: Sequence[Row]) -> list[Row]:
        """Those that may be in flight together, with what is so already: a suspicious one goes alone."""
        if self._suspicion.trusts:
            return list(rows)
        chosen: list[Row] = []
        for row in rows:
            posted = self._posted(row.topic, row.message.payload, row.id)
            if not poison_messages.may_join(self._suspicion, posted, bool(self._in_flight or chosen)):
                break
            chosen.append(row)
            if poison_messages.goes_alone(self._suspicion, posted):
                break
        return chosen

    def _mind_silence(self, now: float) -> None:
        """Dial anew where a message is never acknowledged: others would wait behind it for ever."""
        oldest = min((sent.at for sent in self._in_flight.values()), default=now)
        if self._line.online and now - oldest >= SILENCE_SECONDS:
            self._line.abandon(SILENCE_SECONDS)

    def _tell_again(self, now: float) -> None:
        """What the broker does not keep."""
        if self._line.online and not self._line.capabilities.retain:
            self._retained.tell_again(now)

    def _mind_clock(self, things: list[Thing]) -> list[Thing]:
        """What waits grows old by time that passes, not by a clock that is set.

        Messages that have come in meanwhile may have been stamped before; they may grow too old later, but not earlier.
        """
        before, self._clocks = self._clocks, (time.time(), time.monotonic())
        seconds = clock_jump(before, self._clocks)
        if not seconds:
            return things
        self._outbox.clock_moved(seconds)
        return [_later(thing, max(0.0, seconds)) if isinstance(thing, Message) else thing for thing in things]

    def _publish(self, parcel: Parcel, row: int = 0) -> bool:
        """Send now, if there is a connection; False for what will never be taken."""
        if not self._line.online:
            return True
        now, posted = time.monotonic(), self._posted(parcel.topic, parcel.payload, row)
        if poison_messages.hopeless(self._suspicion, posted, now):
            return False
        if poison_messages.goes_alone(self._suspicion, posted):
            parcel = replace(parcel, qos=1)  # so that one learns whether it was taken
        number = self._line.publish(parcel)
        if number is None:
            return False
        self._suspicion = poison_messages.posted(self._suspicion, replace(posted, number=number))
        self._retained.sent(parcel)
        if parcel.qos:
            self._in_flight[number] = Sent(row, parcel.topic, now)
        return True

    def _publish_once(self, parcel: Parcel) -> None:
        """Who asked is told where the broker does not take the answer."""
        if not self._publish(parcel) and parcel.kind == ANSWERS:
            self._publish(replace(parcel, payload=answer_too_large(parcel.payload)))

    def _acknowledged(self, report: Acknowledged) -> int:
        """The id of the row that leaves the outbox by this; 0 where it was none, or is offered again later."""
        sent = self._in_flight.pop(report.number, None) if self._line.owns(report) else None
        if sent is None:
            return 0
        self._suspicion, keys = poison_messages.acknowledged(self._suspicion, report.number)
        self._retained.taken(keys)
        if report.refused is not None and (report.lasting or not sent.row):
            self._line.tell_refusal(sent.topic, report.refused)
        if not sent.row:
            return 0
        if report.refused is None:
            self._rights = rights.taken(self._rights, sent.topic)
            return sent.row
        until = time.monotonic() + HOLD_SECONDS
        if report.lasting:
            self._rights = rights.dropped(self._rights, sent.topic, until)
            return sent.row
        if sent.topic not in self._rights.held:
            log.warning(
                "%s: it refuses %s (%s): check the broker's rights", self._line.name, sent.topic, report.refused
            )
        self._rights = rights.refused(self._rights, sent.topic, until)
        return 0

    def _forward(self) -> None:
        """Fill the window: what is retained first, then events from the outbox."""
        if not self._line.online:
            return
        while self._retained and len(self._in_flight) < self._line.window:
            first = self._retained.first()
            posted = self._posted(first.topic, first.payload, 0)
            if not poison_messages.may_join(self._suspicion, posted, bool(self._in_flight)):
                return
            self._publish(self._retained.take())
        room = self._line.window - len(self._in_flight)
        if room <= 0:
            return
        in_flight = {sent.row: sent.topic for sent in self._in_flight.values()}
        held = rights.held(self._rights, time.monotonic())
        rows = self._outbox.pending(0, room + len(in_flight), held)
        sendable = self._together(rights.sendable(self._rights, rows, in_flight)[:room])
        self._outbox.handed_over(sendable)
        for row in sendable:
            self._send(row)

    def _send(self, row: Row) -> None:
        """Hand an event over; one that will never be taken would stand in the way of all others."""
        message = row.message
        expiry = message.expires - time.time() if message.expires > CLOCK_IS_SET else None
        if message.type == "end" and expiry is not None and expiry <= 0:  # of an event whose beginning has been told
            expiry = None
        labels = (("event_id", message.event_id), ("seq", str(message.seq)), ("type", message.type))
        parcel = Parcel(message.topic, message.payload, 1, expiry=expiry, labels=labels, kind="events")
        self._arrivals.sent(row.id, message)
        if not self._publish(parcel, row.id):
            self._outbox.remove((), (row.id,))

    def _tell_losses(self) -> None:
        """Retained, so that who comes later knows of the gap as well."""
        found = lost(self._outbox.statistics())
        if found != self._told_lost:
            self._told_lost = found
            payload = encode({"schema": 1, **found, "t_publish": round(time.time(), 3)})
            self._retained.keep(Kept(Parcel(self._topics.lost, payload, 1, retain=True), lasts=True))

    def _offer(self, request: Request) -> None:
        """Runs on the connection's thread: it must neither wait nor fill the memory."""
        try:
            self._requests.put_nowait(request)
        except queue.Full:
            self._dropped_requests += 1


def _later(message: Message, seconds: float) -> Message:
    return replace(message, expires=message.expires + seconds) if message.expires > CLOCK_IS_SET else message
