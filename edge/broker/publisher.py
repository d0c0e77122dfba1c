"""Brings messages to the broker: events through the outbox, the rest directly; and takes requests from it.

One thread owns outbox and link; the frame loop only puts items into its inbox and never waits.
"""

import logging
import time
from dataclasses import replace

from edge import threads
from edge.broker.broker_link import BrokerLink
from edge.broker.connection import Acknowledged, Closed, HomeAssistantStarted, Opened, SubscriptionRefused
from edge.broker.delivery_statistics import DeliveryTimes
from edge.broker.delivery_statistics import PublisherStatistics as PublisherStatistics
from edge.broker.message import Message, StoredMessage, clock_jump
from edge.broker.outbox import CLOSE_SECONDS, Outbox
from edge.broker.publisher_queues import Inbox, InboxItem, RequestQueue, Stop
from edge.broker.requests import Request, Response, answer_too_large
from edge.broker.retained import SNAPSHOTS, RetainedMessage, RetainedMessages
from edge.broker.send_window import SendWindow
from edge.broker.topics import Topics, encode
from edge.config.schema import MqttConfig

log = logging.getLogger(__name__)

EVENTS, ANSWERS = "events", "answers"  # kinds of messages
ACKNOWLEDGE_SECONDS = 30.0  # within which a message in flight must have been acknowledged
DISCONNECT_SECONDS = 1.0  # for `offline`, and for the end of the connection
IDLE_SECONDS = 0.5


class Publisher:
    """The way to the broker. Any thread may call its methods, which return at once, except `close`."""

    def __init__(self, settings: MqttConfig, topics: Topics, outbox: Outbox) -> None:
        """Begin to connect; the outbox belongs to the publisher from here on, and what it holds is sent first.

        Raises ThreadError.
        """
        self._topics = topics
        self._outbox = outbox
        self._inbox = Inbox()
        self._requests = RequestQueue()
        self._link = BrokerLink(settings, topics, self._inbox.put, self._requests.put)
        self._retained = RetainedMessages(topics.available)
        self._window = SendWindow()
        self._published_losses = outbox.statistics().lost_payload()
        self._delivery_times = DeliveryTimes()
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
        """When the thread last began a round, monotonic, s. It does so twice a second when idle."""
        return self._last_active

    @property
    def delivery_seconds(self) -> tuple[float, ...]:
        """How long the newest events took from the camera to the broker's acknowledgement."""
        return self._delivery_times.seconds

    def publish_event(self, message: Message) -> None:
        """Store a step of an event, then send it until the broker has acknowledged it."""
        self._inbox.put(message)

    def publish_retained(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Publish retained, and again whenever a connection begins."""
        self._inbox.put(RetainedMessage(Message(topic, payload, qos=qos, retain=True), repeated=True))

    def publish_snapshot(self, topic: str, jpeg: bytes, event_id: str = "") -> None:
        """Publish retained, once; without a connection the newest of each topic waits for one."""
        message = Message(topic, jpeg, event_id, retain=True, kind=SNAPSHOTS)
        self._inbox.put(RetainedMessage(message, repeated=False))

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish once, for current subscribers."""
        self._inbox.put(Message(topic, payload))

    def take_requests(self) -> tuple[Request, ...]:
        """The requests since the last call, the oldest first; each wants a `publish_response`."""
        return self._requests.take()

    def publish_response(self, response: Response) -> None:
        """Publish the answer to a request, if there is a connection."""
        topic, payload, correlation = response.topic, response.payload, response.correlation
        self._inbox.put(Message(topic, payload, qos=1, correlation=correlation, kind=ANSWERS))

    def statistics(self) -> PublisherStatistics:
        """The state of connection and delivery."""
        link, outages = self._link, self._link.outages
        return PublisherStatistics(
            link.online,
            outages.fault or outages.unstable,
            outages.last,
            link.fault_at,
            self._window.events_in_flight,
            link.connections,
            link.version,
            self._requests.dropped,
            self._outbox.statistics(),
            link.limits,
        )

    def close(self, seconds: float) -> None:
        """Send what waits for at most so long, publish `offline`, disconnect. The rest stays in the outbox's file.

        It takes some seconds more where the disk has refused and what is in memory is to be written down.
        """
        self._inbox.put(Stop(time.monotonic() + seconds))
        self._thread.join(seconds + 3 * DISCONNECT_SECONDS + 2 * CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            while not self._finished():
                self._last_active = time.monotonic()
                items = self._follow_clock(self._receive())
                self._outbox.maintain()
                self._handle(items)
                self._send_waiting()
                self._check_acknowledgements(time.monotonic())
                self._link.maintain(time.monotonic())
                self._repeat_retained(time.monotonic())
                self._publish_losses()
            self._link.disconnect(DISCONNECT_SECONDS, self._wait_for)
        finally:
            self._link.online = False
            self._outbox.close()

    def _finished(self) -> bool:
        if self._stop is None:
            return False
        idle = not self._window and not self._retained and self._inbox.empty() and not self._outbox.pending(0, 1)
        return idle or self._link.is_down or time.monotonic() >= self._stop.deadline

    def _wait_for(self, packet_id: int) -> None:
        self._window.only(packet_id, self._topics.available, time.monotonic())
        deadline = time.monotonic() + DISCONNECT_SECONDS
        while self._window and time.monotonic() < deadline:
            self._handle(self._receive())

    def _receive(self) -> list[InboxItem]:
        return self._inbox.receive(IDLE_SECONDS if self._stop is None else IDLE_SECONDS / 10)

    def _handle(self, items: list[InboxItem]) -> None:
        """Store events first, all in one transaction; then handle the rest, and remove what has been acknowledged."""
        self._store([item for item in items if isinstance(item, Message) and item.is_event])
        accepted: list[int] = []
        refused: list[int] = []
        for item in items:
            if isinstance(item, Acknowledged):
                row = self._acknowledged(item)
                (refused if item.refused else accepted).append(row)
            elif isinstance(item, RetainedMessage):
                self._retained.put(item)
            elif isinstance(item, Stop):
                self._stop = item
            elif not isinstance(item, Message):
                self._handle_report(item)
            elif not item.is_event:
                self._publish_once(item)
        for row in accepted:
            self._delivery_times.acknowledged(row, time.monotonic())
        if any(accepted) or any(refused):
            self._outbox.remove(filter(None, accepted), filter(None, refused))

    def _store(self, events: list[Message]) -> None:
        if events:
            self._outbox.put(events, time.time())
            for event in events:
                self._delivery_times.stored(event)

    def _handle_report(self, report: Opened | SubscriptionRefused | HomeAssistantStarted | Closed) -> None:
        if not self._link.owns(report):
            return
        if isinstance(report, HomeAssistantStarted):
            self._retained.wanted = True
            return
        self._link.handle(report)
        if isinstance(report, Opened):
            self._outbox.expire(time.time())
            self._retained.connected(time.monotonic())
        elif isinstance(report, Closed):
            self._retained.disconnected()
            self._drop_poison(report.strikes)
            self._delivery_times.disconnected()

    def _drop_poison(self, strikes: int) -> None:
        """Drop the message at which the broker disconnects, once that is known."""
        poison = self._window.disconnected(strikes, time.monotonic())
        if poison is None:
            return
        self._link.log_poison_message(poison)
        if poison.message.row:
            self._outbox.remove((), (poison.message.row,))
        else:
            self._retained.drop(poison.message.topic)

    def _check_acknowledgements(self, now: float) -> None:
        """Reconnect where a message is never acknowledged: others would wait behind it for ever."""
        if self._link.online and now - self._window.oldest(now) >= ACKNOWLEDGE_SECONDS:
            self._link.abandon(ACKNOWLEDGE_SECONDS)

    def _repeat_retained(self, now: float) -> None:
        if self._link.online and (self._retained.wanted or not self._link.capabilities.retain):
            self._retained.repeat_if_due(now)

    def _follow_clock(self, items: list[InboxItem]) -> list[InboxItem]:
        """Let what waits age by the time that passes, not by a clock that is set.

        Messages that have come in meanwhile may have been stamped before; they may expire too late, but not too early.
        """
        before, self._clocks = self._clocks, (time.time(), time.monotonic())
        seconds = clock_jump(before, self._clocks)
        if not seconds:
            return items
        self._outbox.clock_moved(seconds)
        return [item.expiring_later(max(0.0, seconds)) if isinstance(item, Message) else item for item in items]

    def _publish(self, message: Message, row: int = 0) -> bool:
        """Send now, if there is a connection; False for what will never be accepted."""
        if not self._link.online:
            return True
        now = time.monotonic()
        prepared = self._window.prepared(message, row, now)
        packet_id = None if prepared is None else self._link.publish(prepared)
        if prepared is None or packet_id is None:
            return False
        self._window.sent(packet_id, prepared, row, now)
        self._retained.sent(prepared)
        return True

    def _publish_once(self, message: Message) -> None:
        """Publish; in place of an answer that is too large for the broker, an error."""
        if not self._publish(message) and message.kind == ANSWERS:
            self._publish(replace(message, payload=answer_too_large(message.payload)))

    def _acknowledged(self, report: Acknowledged) -> int:
        """The id of the row that leaves the outbox; 0 where there is none, or it is offered again later."""
        if not self._link.owns(report):
            return 0
        refused, now = report.refused is not None, time.monotonic()
        answered = self._window.acknowledged(report.packet_id, refused, report.permanent, now)
        if answered is None:
            return 0
        row, topic = answered.message.row, answered.message.topic
        self._retained.accepted(answered.accepted)
        if report.refused is not None and (report.permanent or not row):
            self._link.log_refusal(topic, report.refused)
        elif answered.newly_held:
            log.warning("%s: it refuses %s (%s): check its access rules", self._link.name, topic, report.refused)
        return row if answered.leaves else 0

    def _send_waiting(self) -> None:
        """Fill the window: retained messages first, then events from the outbox."""
        if not self._link.online:
            return
        while self._retained and len(self._window) < self._link.window:
            if not self._window.may_send(self._retained.peek()):
                return
            self._publish(self._retained.pop())
        free = self._link.window - len(self._window)
        if free <= 0:
            return
        held = self._window.held_topics(time.monotonic())
        waiting = self._outbox.pending(0, free + self._window.events_in_flight, held)
        sendable = self._window.sendable(waiting, free)
        self._outbox.handed_over(sendable)
        for stored in sendable:
            self._send(stored)

    def _send(self, stored: StoredMessage) -> None:
        """Send an event; one that will never be accepted leaves, as it would block all others."""
        self._delivery_times.sent(stored.id, stored.message)
        if not self._publish(replace(stored.message, qos=1, kind=EVENTS), stored.id):
            self._outbox.remove((), (stored.id,))

    def _publish_losses(self) -> None:
        """Publish retained, so that later subscribers learn of the gap as well."""
        losses = self._outbox.statistics().lost_payload()
        if losses != self._published_losses:
            self._published_losses = losses
            payload = encode({"schema": 1, **losses, "t_publish": round(time.time(), 3)})
            message = Message(self._topics.lost, payload, qos=1, retain=True)
            self._retained.put(RetainedMessage(message, repeated=True))
