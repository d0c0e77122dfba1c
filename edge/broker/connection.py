"""One connection to the broker, from dialling to its end, over paho-mqtt.

A connection is never used again: the next one begins with nothing in flight, so that what is sent, and in which order,
is decided in one place.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties  # type: ignore[attr-defined] # 2.2 only re-exports it
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge import threads
from edge.broker import broker_faults, capabilities
from edge.broker.capabilities import Capabilities
from edge.broker.client import FilteredClient
from edge.broker.credentials import CredentialsError, password, tls_context
from edge.broker.packet_filter import (
    FAILURE,
    MOST,
    PACKET_MAXIMUM,
    ConnectRefusedError,
    DisconnectError,
    PacketFilter,
    ProtocolError,
)  # fmt: skip
from edge.broker.parcel import Parcel, properties
from edge.broker.requests import LARGEST, Request
from edge.broker.topics import OFFLINE, Topics
from edge.config.schema import MqttConfig
from edge.threads import ThreadError

CONNECT_SECONDS = 5.0  # for TCP, and again for TLS
RECEIVE_MAXIMUM = 65_535  # MQTT 5, section 3.2.2.3.3: what holds where the broker names none
TEMPORARY = frozenset({0x87, 0x88, 0x89, 0x96, 0x97, 0x9F})  # rights, load and quota: of the broker, not the message
# Reasons for the end of a connection that blame a message, and those that cannot mean one.
WRONG_MESSAGE = frozenset({0x81, 0x82, 0x90, 0x95, 0x99})  # 0x9A and 0x9B are for `edge.broker.capabilities` first
NO_MESSAGE = frozenset({0x88, 0x89, 0x8B, 0x8D, 0x8E, 0x98, 0x9C, 0x9D, 0x9F, 0xA0})
MANY = 10  # strikes: the broker says what it is
UNTOLD = "the connection broke"
# What paho raises when a broker talks no MQTT; 2.1 does.
NONSENSE = (MQTTException, struct.error, LookupError, UnicodeDecodeError)


@dataclass(frozen=True, eq=False)
class Opened:
    """The broker has let us in.

    It takes up to `window` messages before it acknowledges the first, and messages of up to `largest` bytes.
    """

    connection: "Connection"
    window: int
    largest: int
    capabilities: Capabilities


@dataclass(frozen=True, eq=False)
class Acknowledged:
    """The broker has taken the message `number`, or has `refused` it for this reason, perhaps for ever (`lasting`)."""

    connection: "Connection"
    number: int
    refused: str | None
    lasting: bool


@dataclass(frozen=True, eq=False)
class SubscriptionRefused:
    """The broker lets us hear no requests, for this reason."""

    connection: "Connection"
    reason: str


@dataclass(frozen=True, eq=False)
class Closed:
    """The end, and why: words that follow "broker host:port: ". `too_new`: our version of MQTT is the reason.

    `strikes`: how much it speaks against a message that alone was not acknowledged (see `edge.broker.poison_messages`).
    `code`: the broker's own reason, as MQTT 5 counts them; 0 where it gave none.
    """

    connection: "Connection"
    reason: str
    too_new: bool = False
    strikes: int = 0
    code: int = 0


ConnectionReport = Opened | Acknowledged | SubscriptionRefused | Closed


class Connection:
    """Dials on a thread of its own and reports from there; the last report is always `Closed`."""

    def __init__(
        self,
        settings: MqttConfig,
        client_id: str,
        topics: Topics,
        report: Callable[[ConnectionReport], None],
        offer: Callable[[Request], None],
    ) -> None:
        """Dial, and once inside listen for requests, which go to `offer`. Raises ThreadError.

        The last will asks for what `settings.retain` and `settings.qos` allow.
        """
        self._settings = settings
        self._topics = topics
        self._report = report
        self._offer = offer
        self._opened = self._abandoned = self._too_new = False
        self._code = 0
        self._reason = UNTOLD
        self._strikes = 0
        self._incoming = PacketFilter(settings.version, bytes(LARGEST + 1))
        self._client = FilteredClient(settings.version, client_id, CONNECT_SECONDS, self._incoming)
        self._client.will_set(topics.available, OFFLINE, qos=settings.qos, retain=settings.retain)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect
        try:
            self._thread = threads.start("broker", self._converse)
        except ThreadError:
            self._hang_up()
            raise

    def publish(self, parcel: Parcel) -> int:
        """Hand one message over and return its number. ValueError for a topic or payload that MQTT does not know."""
        beside = properties(parcel) if self._settings.version == 5 else None
        return self._client.publish(parcel.topic, parcel.payload, parcel.qos, parcel.retain, beside).mid

    def close(self, seconds: float = 0.0) -> None:
        """Take leave in order, and wait so long at most until it is done."""
        self._abandoned = True
        self._client.disconnect()
        self._thread.join(seconds)

    def _converse(self) -> None:
        settings = self._settings
        try:
            if settings.username is not None:
                self._client.username_pw_set(settings.username, password(settings))
            if settings.tls is not None:
                self._client.tls_set_context(tls_context(settings.tls))
            greeting = _greeting() if settings.version == 5 else None
            self._client.connect(settings.host, settings.port, settings.keepalive, properties=greeting)
            if self._abandoned:
                self._client.disconnect()
            while self._client.loop() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._client.check_unread()
        except CredentialsError as error:
            self._reason = str(error)
        except ConnectRefusedError as refusal:
            self._code = refusal.code
            self._reason = broker_faults.refusal(refusal.code, settings.version)
            self._too_new = broker_faults.reason(refusal.code) == broker_faults.TOO_NEW
        except DisconnectError as end:
            self._code = end.code
            self._reason = broker_faults.ended(end.code, by_broker=True)
            self._strikes = MANY if end.code in WRONG_MESSAGE else int(end.code not in NO_MESSAGE)
        except ProtocolError as error:
            self._reason = broker_faults.nonsense(str(error))
        except NONSENSE as error:
            self._reason = broker_faults.nonsense(type(error).__name__)
        except (OSError, ValueError) as error:
            self._reason = broker_faults.unreachable(error)
        finally:
            self._hang_up()
            self._report(Closed(self, self._reason, self._too_new, self._strikes, self._code))

    def _hang_up(self) -> None:
        """paho leaves its socket open where it has raised.

        Its other two close with the client, which our callbacks would keep until garbage is next collected.
        """
        client = self._client
        client.on_connect = client.on_subscribe = client.on_message = client.on_publish = client.on_disconnect = None
        left = client.socket()
        if left is not None:
            left.close()

    def _on_connect(
        self, client: Client, __: Any, ___: ConnectFlags, ____: ReasonCode, granted: Properties | None
    ) -> None:
        """Requests come with QoS 0: what is too large for us takes up mosquitto's window for good with QoS 1."""
        self._opened = True
        if self._settings.version == 5:  # which tells the truth of the retain flag
            client.subscribe(self._topics.requests, options=SubscribeOptions(qos=0, retainAsPublished=True))
        else:
            client.subscribe(self._topics.requests, qos=0)
        window = getattr(granted, "ReceiveMaximum", RECEIVE_MAXIMUM)
        largest = getattr(granted, "MaximumPacketSize", PACKET_MAXIMUM)
        self._report(Opened(self, window, largest, capabilities.from_connack(granted)))

    def _on_subscribe(self, _: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Properties | None) -> None:
        if any(code.is_failure for code in codes):
            self._report(SubscriptionRefused(self, broker_faults.reason(self._incoming.code)))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        payload = bytes(message.payload) if len(message.payload) <= LARGEST else None
        topic = getattr(message.properties, "ResponseTopic", None)
        correlation = getattr(message.properties, "CorrelationData", None)
        self._offer(Request(message.topic.rpartition("/")[2], payload, message.retain, topic, correlation))

    def _on_publish(self, _: Client, __: Any, number: int, ___: ReasonCode, ____: Properties | None) -> None:
        code, self._incoming.code = self._incoming.code, 0
        reason = broker_faults.reason(code) if code >= FAILURE else None
        self._report(Acknowledged(self, number, reason, reason is not None and code not in TEMPORARY))

    def _on_disconnect(
        self, _: Client, __: Any, ___: DisconnectFlags, code: ReasonCode, ____: Properties | None
    ) -> None:
        if self._opened:
            self._reason = broker_faults.ended(code, by_broker=False)
            self._strikes = int(not self._abandoned and code.getName() != broker_faults.GIVEN_UP)
        elif self._reason == UNTOLD and code.getName() == broker_faults.GIVEN_UP:  # after the keepalive, by paho
            self._reason = broker_faults.silent(self._settings.keepalive)
        elif self._reason == UNTOLD:
            self._reason = broker_faults.unanswered(self._settings.version)


def _greeting() -> Properties:
    found = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    found.MaximumPacketSize = MOST
    return found
