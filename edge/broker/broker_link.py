"""The line to the broker: dials, gives up on a broker that is silent, dials again, and says so once.

Used by the publisher's thread alone; other threads may read its attributes.
"""

import logging
import random
import time
from collections.abc import Callable

from edge.broker import broker_faults, capabilities, outages
from edge.broker.capabilities import Capabilities
from edge.broker.connection import Closed, Connection, ConnectionReport, Opened, SubscriptionRefused
from edge.broker.outages import Outages
from edge.broker.packet_filter import PACKET_MAXIMUM
from edge.broker.parcel import Parcel, packet_size
from edge.broker.poison_messages import Culprit
from edge.broker.requests import Request
from edge.broker.topics import OFFLINE, Topics
from edge.config.schema import MqttConfig
from edge.threads import ThreadError

log = logging.getLogger(__name__)

WINDOW = 16  # messages in flight, at most
MOST_TOLD = 100  # refusals of messages; further ones are counted alone
ANSWER_SECONDS = 15.0  # from dialling to the broker's answer


class BrokerLink:
    """One connection after the other. `fault_at`: unix time of the newest fault, s."""

    def __init__(
        self,
        settings: MqttConfig,
        topics: Topics,
        report: Callable[[ConnectionReport], None],
        offer: Callable[[Request], None],
    ) -> None:
        """Nothing is dialled before `tend`. Reports of connections go to `report`, to be given to `hear` in time."""
        self._settings = settings
        self._topics = topics
        self._report = report
        self._offer = offer
        self._connection: Connection | None = None
        self._dial_at = self._answer_by = 0.0
        self.name = f"broker {settings.host}:{settings.port}"
        self.online = False
        self.outages = Outages()
        self.fault_at: float | None = None
        self.version: int = settings.version
        self.connections = 0
        # What the settings allow, less what the broker has refused.
        self._allowed = Capabilities(settings.retain, settings.qos)
        self.capabilities = self._allowed
        self.limits: tuple[str, ...] = ()  # of the broker, as it has shown them
        self.window, self._largest = WINDOW, 0
        self._told_refused: set[tuple[str, str]] = set()  # topics and reasons
        self._told_large: set[str] = set()  # kinds of messages that are larger than this broker takes

    @property
    def hopeless(self) -> bool:
        """There is no connection, and none is being dialled."""
        return self._connection is None and self.outages.fault is not None

    def owns(self, report: ConnectionReport) -> bool:
        """False for reports of connections that have been given up."""
        return report.connection is self._connection

    def hear(self, report: Opened | SubscriptionRefused | Closed) -> None:
        """Take note of what has become of the connection."""
        if isinstance(report, Opened):
            self._opened(report)
        elif isinstance(report, SubscriptionRefused):
            log.warning("%s: requests are not heard (%s): check the broker's rights", self.name, report.reason)
        else:
            self._allowed = capabilities.without_refused(self._allowed, report.code)
            self._ended(report.reason, report.too_new)

    def publish(self, parcel: Parcel) -> int | None:
        """Send now and return the message's number; None for what neither MQTT nor this broker will ever take."""
        assert self._connection is not None
        parcel = capabilities.adapted(parcel, self.capabilities)
        if self._is_too_large(parcel):
            return None
        try:
            return self._connection.publish(parcel)
        except ValueError as error:
            log.warning("%s: %s cannot be sent and is dropped: %s", self.name, parcel.topic, error)
            return None

    def _is_too_large(self, parcel: Parcel) -> bool:
        """Whether this broker will never take it, which is told once of each kind."""
        if self._largest >= PACKET_MAXIMUM:
            return False
        size, kind = packet_size(parcel, self.version), parcel.kind or parcel.topic
        if size <= self._largest:
            return False
        if kind not in self._told_large:
            self._told_large.add(kind)
            log.warning(
                "%s: %s holds more than it takes (%d bytes, its limit is %d), and %s so large are dropped: raise its "
                "max_packet_size",
                self.name, parcel.topic, size, self._largest, parcel.kind or "messages there",
            )  # fmt: skip
        return True

    def tell_refusal(self, topic: str, reason: str) -> None:
        """The broker does not take what we publish on this topic: told once of each topic and reason."""
        if (topic, reason) in self._told_refused or len(self._told_refused) >= MOST_TOLD:
            return
        self._told_refused.add((topic, reason))
        log.warning(
            "%s: it refuses %s (%s), and such messages are dropped: look at its log",
            self.name,
            topic,
            reason,
        )

    def tell_culprit(self, culprit: Culprit) -> None:
        """The broker hangs up at a message: told once of each topic."""
        posted = culprit.posted
        if (posted.topic, "") in self._told_refused or len(self._told_refused) >= MOST_TOLD:
            return
        self._told_refused.add((posted.topic, ""))
        if culprit.taken is None:
            log.warning("%s: it hangs up at %s, so that message is dropped: look at its log", self.name, posted.topic)
        else:
            log.warning(
                "%s: it hangs up at %s of %d bytes, having taken %d at most, so messages as large are dropped: raise "
                "its limit for the size of messages",
                self.name, posted.topic, posted.size, culprit.taken,
            )  # fmt: skip

    def tend(self, now: float) -> None:
        """Dial where it is time to; give up on a broker that does not answer. `now`: monotonic, s."""
        if self._connection is None and now >= self._dial_at:
            able = {"version": self.version, "retain": self._allowed.retain, "qos": self._allowed.qos}
            settings = self._settings.model_copy(update=able)
            client_id = settings.client_id or f"korsal-edge-{self._topics.device}"
            self._answer_by = now + ANSWER_SECONDS
            try:
                self._connection = Connection(settings, client_id, self._topics, self._report, self._offer)
            except ThreadError as error:
                self._ended(str(error))
        elif self._connection is not None and not self.online and now >= self._answer_by:
            silent = self._connection
            self._ended(broker_faults.silent(ANSWER_SECONDS))
            silent.close()
        self.outages, sentence = outages.steadied(self.outages, now)
        if sentence:
            log.info("%s: %s", self.name, sentence)

    def abandon(self, seconds: float) -> None:
        """Hang up on a broker that has not acknowledged a message for so long; it is reported as any other end."""
        assert self._connection is not None
        self._report(Closed(self._connection, broker_faults.unacknowledged(seconds)))
        self._connection.close()

    def take_leave(self, seconds: float, wait: Callable[[int], None]) -> None:
        """Say `offline` ourselves, as after an orderly end the broker does not send the will; then hang up.

        `wait`: returns when the message of that number has arrived, or it has taken too long.
        """
        if self.online:
            number = self.publish(Parcel(self._topics.available, OFFLINE, 1, retain=True))
            if number is not None:
                wait(number)
        if self._connection is not None:
            self._connection.close(seconds)

    def _opened(self, report: Opened) -> None:
        self.outages, sentence = outages.opened(self.outages, time.monotonic())
        if sentence:
            log.info("%s: %s%s", self.name, sentence, "" if self.version == 5 else " with MQTT 3.1.1")
        self.online = True
        self.connections += 1
        if report.largest != self._largest:
            self._told_large.clear()
        self.window, self._largest = min(WINDOW, report.window), report.largest
        self._tell_limits(capabilities.intersection(self._allowed, report.capabilities))

    def _tell_limits(self, found: Capabilities) -> None:
        """What this broker cannot do, where the settings do not say so, once."""
        wanted = Capabilities(self._settings.retain, self._settings.qos)
        for sentence in found.limits:
            if sentence not in (*wanted.limits, *self.limits):
                log.warning("%s: %s", self.name, sentence)
        self.capabilities, self.limits = found, found.limits

    def _ended(self, reason: str, too_new: bool = False) -> None:
        now = time.monotonic()
        self.outages, sentence, delay = outages.closed(self.outages, reason, now)
        if sentence:
            log.warning("%s: %s; trying again", self.name, sentence)
        self.online, self._connection = False, None
        self.fault_at = time.time()
        self.version = 3 if too_new and self.version == 5 else self._settings.version
        self._dial_at = now + delay * random.uniform(0.75, 1.25)
