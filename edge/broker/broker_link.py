"""The link to the broker: connects, gives up on a broker that is silent, reconnects, and logs each change once.

Used by the publisher's thread alone; other threads may read its attributes.
"""

import logging
import random
import time
from collections.abc import Callable

from edge.broker import broker_faults, capabilities, outages
from edge.broker.capabilities import Capabilities
from edge.broker.connection import Closed, Connection, ConnectionReport, Opened, SubscriptionRefused
from edge.broker.message import Message
from edge.broker.outages import Outages
from edge.broker.packet_filter import MAX_PACKET_SIZE
from edge.broker.poison_messages import PoisonMessage
from edge.broker.publish_packet import packet_size, properties
from edge.broker.requests import Request
from edge.broker.topics import OFFLINE, Topics
from edge.config.schema import MqttConfig
from edge.threads import ThreadError

log = logging.getLogger(__name__)

WINDOW = 16  # messages in flight, at most
MAX_LOGGED = 100  # refusals of messages; further ones are only counted
ANSWER_SECONDS = 15.0  # from connecting to the broker's answer


class BrokerLink:
    """One connection after the other. `fault_at`: unix time of the newest fault, s."""

    def __init__(
        self,
        settings: MqttConfig,
        topics: Topics,
        on_report: Callable[[ConnectionReport], None],
        on_request: Callable[[Request], None],
    ) -> None:
        """Nothing is connected before `maintain`. `on_report` gets the connections' reports, which go to `handle`."""
        self._settings = settings
        self._topics = topics
        self._on_report = on_report
        self._on_request = on_request
        self._connection: Connection | None = None
        self._connect_at = self._answer_by = 0.0
        self.name = f"broker {settings.host}:{settings.port}"
        self.online = False
        self.outages = Outages()
        self.fault_at: float | None = None
        self.version: int = settings.version
        self.connections = 0
        # What the settings allow, less what the broker has refused.
        self._allowed = Capabilities(settings.retain, settings.qos)
        self.capabilities = self._allowed
        self.limits: tuple[str, ...] = ()  # of the broker, as far as it has shown them
        self.window, self._max_packet_size = WINDOW, 0
        self._logged_refusals: set[tuple[str, str]] = set()  # topics and reasons
        self._logged_oversized: set[str] = set()  # kinds of messages that are larger than this broker accepts

    @property
    def is_down(self) -> bool:
        """There is no connection, and none is being made."""
        return self._connection is None and self.outages.fault is not None

    def owns(self, report: ConnectionReport) -> bool:
        """False for reports of connections that have been given up."""
        return report.connection is self._connection

    def handle(self, report: Opened | SubscriptionRefused | Closed) -> None:
        """Take note of what has become of the connection."""
        if isinstance(report, Opened):
            self._opened(report)
        elif isinstance(report, SubscriptionRefused):
            log.warning("%s: it refuses the subscription to %s (%s): check its access rules",
                self.name, report.what, report.reason)  # fmt: skip
        else:
            self._allowed = capabilities.without_refused(self._allowed, report.code)
            self._ended(report.reason, report.too_new)

    def publish(self, message: Message) -> int | None:
        """Send now and return the packet id; None for what neither MQTT nor this broker will ever accept."""
        assert self._connection is not None
        message = capabilities.adapted(message, self.capabilities)
        size = self._size(message)
        if size > self._max_packet_size:
            self._warn_of_oversized(message, size)
            return None
        try:
            return self._connection.publish(message)
        except ValueError as error:
            log.warning("%s: %s cannot be sent and is dropped: %s", self.name, message.topic, error)
            return None

    def log_refusal(self, topic: str, reason: str) -> None:
        """Log that the broker refuses what we publish on this topic: once for each topic and reason."""
        sentence = f"it refuses {topic} ({reason}), and such messages are dropped: check its log"
        self._warn_of_refusal(topic, reason, sentence)

    def log_poison_message(self, poison: PoisonMessage) -> None:
        """Log that the broker disconnects at a message: once for each topic."""
        message = poison.message
        sentence = f"it disconnects at {message.topic}, so that message is dropped: check its log"
        if poison.accepted_size is not None:
            sentence = (
                f"it disconnects at {message.topic} of {message.size} bytes and has accepted {poison.accepted_size} at "
                "most, so messages as large are dropped: raise its limit for the size of messages"
            )
        self._warn_of_refusal(message.topic, "", sentence)

    def maintain(self, now: float) -> None:
        """Connect when it is time to; give up on a broker that does not answer. `now`: monotonic, s."""
        if self._connection is None and now >= self._connect_at:
            self._connect(now)
        elif self._connection is not None and not self.online and now >= self._answer_by:
            silent = self._connection
            self._ended(broker_faults.silent(ANSWER_SECONDS))
            silent.close()
        self.outages, sentence = outages.stabilized(self.outages, now)
        if sentence:
            log.info("%s: %s", self.name, sentence)

    def abandon(self, seconds: float) -> None:
        """Drop the connection to a broker that has not acknowledged a message for so long; reported like any end."""
        assert self._connection is not None
        self._on_report(Closed(self._connection, broker_faults.unacknowledged(seconds)))
        self._connection.close()

    def disconnect(self, seconds: float, wait: Callable[[int], None]) -> None:
        """Publish `offline` ourselves, as after an orderly end the broker does not send the will; then disconnect.

        `wait`: returns when the message of that packet id is acknowledged, or it has taken too long.
        """
        if self.online:
            packet_id = self.publish(Message(self._topics.available, OFFLINE, qos=1, retain=True))
            if packet_id is not None:
                wait(packet_id)
        if self._connection is not None:
            self._connection.close(seconds)

    def _connect(self, now: float) -> None:
        able = {"version": self.version, "retain": self._allowed.retain, "qos": self._allowed.qos}
        settings = self._settings.model_copy(update=able)
        client_id = settings.client_id or f"korsal-edge-{self._topics.device}"
        self._answer_by = now + ANSWER_SECONDS
        try:
            self._connection = Connection(settings, client_id, self._topics, self._on_report, self._on_request)
        except ThreadError as error:
            self._ended(str(error))

    def _size(self, message: Message) -> int:
        """Bytes of the packet; 0 where the broker has no limit, so that none need be counted."""
        if self._max_packet_size >= MAX_PACKET_SIZE:
            return 0
        return packet_size(message, properties(message, time.time()) if self.version == 5 else None)

    def _warn_of_oversized(self, message: Message, size: int) -> None:
        """Log a message that is too large: once for each kind."""
        kind = message.kind or message.topic
        if kind not in self._logged_oversized:
            self._logged_oversized.add(kind)
            log.warning(
                "%s: %s is too large for it (%d bytes, its limit is %d), and %s of that size are dropped: raise its "
                "max_packet_size",
                self.name, message.topic, size, self._max_packet_size, message.kind or "messages there",
            )  # fmt: skip

    def _warn_of_refusal(self, topic: str, reason: str, sentence: str) -> None:
        """Log once for each topic and reason."""
        if (topic, reason) not in self._logged_refusals and len(self._logged_refusals) < MAX_LOGGED:
            self._logged_refusals.add((topic, reason))
            log.warning("%s: %s", self.name, sentence)

    def _opened(self, report: Opened) -> None:
        self.outages, sentence = outages.opened(self.outages, time.monotonic())
        if sentence:
            log.info("%s: %s%s", self.name, sentence, "" if self.version == 5 else " with MQTT 3.1.1")
        self.online = True
        self.connections += 1
        if report.max_packet_size != self._max_packet_size:
            self._logged_oversized.clear()
        self.window, self._max_packet_size = min(WINDOW, report.window), report.max_packet_size
        self._log_limits(capabilities.intersection(self._allowed, report.capabilities))

    def _log_limits(self, found: Capabilities) -> None:
        """Log once what this broker cannot do, unless the settings expect it."""
        wanted = Capabilities(self._settings.retain, self._settings.qos)
        for sentence in found.limits:
            if sentence not in (*wanted.limits, *self.limits):
                log.warning("%s: %s", self.name, sentence)
        self.capabilities, self.limits = found, found.limits

    def _ended(self, reason: str, too_new: bool = False) -> None:
        now = time.monotonic()
        self.outages, sentence, delay = outages.closed(self.outages, reason, now)
        if sentence:
            log.warning("%s: %s; retrying", self.name, sentence)
        self.online, self._connection = False, None
        self.fault_at = time.time()
        self.version = 3 if too_new and self.version == 5 else self._settings.version
        self._connect_at = now + delay * random.uniform(0.75, 1.25)
