"""One connection to the broker, from connecting to its end, over paho-mqtt.

A connection is never used again: the next one begins with nothing in flight, so that what is sent, and in which order,
is decided in one place.
"""

import struct
import time
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
from edge.broker.message import Message
from edge.broker.packet_filter import (
    FAILURE,
    MAX_PACKET_SIZE,
    MAX_PUBLISH_BYTES,
    ConnectRefusedError,
    DisconnectError,
    PacketFilter,
    ProtocolError,
)  # fmt: skip
from edge.broker.publish_packet import properties
from edge.broker.requests import MAX_REQUEST_BYTES, Request
from edge.broker.topics import OFFLINE, ONLINE, Topics
from edge.config.schema import MqttConfig
from edge.threads import ThreadError

CONNECT_SECONDS = 5.0  # for TCP, and again for TLS
RECEIVE_MAXIMUM = 65_535  # MQTT 5, section 3.2.2.3.3: what holds where the broker names none
# Refusals for want of permission or quota, or because of load: about the broker, not the message.
TEMPORARY = frozenset({0x87, 0x88, 0x89, 0x96, 0x97, 0x9F})
# Reasons for the end of a connection that blame a message, and those that cannot be about one.
MESSAGE_AT_FAULT = frozenset({0x81, 0x82, 0x90, 0x95, 0x99})  # 0x9A, 0x9B: see `edge.broker.capabilities`
MESSAGE_NOT_AT_FAULT = frozenset({0x88, 0x89, 0x8B, 0x8D, 0x8E, 0x98, 0x9C, 0x9D, 0x9F, 0xA0})
CERTAIN = 10  # strikes: the broker has named the reason
NO_REASON = "the connection broke"
# What paho (2.1 at least) raises when a broker does not speak MQTT.
PAHO_ERRORS = (MQTTException, struct.error, LookupError, UnicodeDecodeError)


@dataclass(frozen=True, eq=False)
class Opened:
    """The broker has accepted the connection.

    It accepts up to `window` messages before it acknowledges the first, and packets of up to `max_packet_size` bytes.
    """

    connection: "Connection"
    window: int
    max_packet_size: int
    capabilities: Capabilities


@dataclass(frozen=True, eq=False)
class Acknowledged:
    """The broker has accepted the message `packet_id`, or `refused` it for this reason, `permanent` or not."""

    connection: "Connection"
    packet_id: int
    refused: str | None
    permanent: bool


@dataclass(frozen=True, eq=False)
class SubscriptionRefused:
    """The broker does not let us subscribe to `what`, for this reason."""

    connection: "Connection"
    reason: str
    what: str = "requests"


@dataclass(frozen=True, eq=False)
class HomeAssistantStarted:
    """Home Assistant has just started, and knows nothing that is not retained."""

    connection: "Connection"


@dataclass(frozen=True, eq=False)
class Closed:
    """The end, and why: a sentence to follow "broker host:port: ". `too_new`: our version of MQTT is the reason.

    `strikes`: how strongly it speaks against a message that alone was unacknowledged (`edge.broker.poison_messages`).
    `code`: the broker's own reason code of MQTT 5; 0 where it gave none.
    """

    connection: "Connection"
    reason: str
    too_new: bool = False
    strikes: int = 0
    code: int = 0


ConnectionReport = Opened | Acknowledged | SubscriptionRefused | HomeAssistantStarted | Closed


class Connection:
    """Connects on a thread of its own and reports from there; the last report is always `Closed`."""

    def __init__(
        self,
        settings: MqttConfig,
        client_id: str,
        topics: Topics,
        on_report: Callable[[ConnectionReport], None],
        on_request: Callable[[Request], None],
    ) -> None:
        """Connect, and subscribe to requests, which go to `on_request`; with discovery to Home Assistant's start too.

        Raises ThreadError.

        The last will asks for what `settings.retain` and `settings.qos` allow.
        """
        self._settings = settings
        self._topics = topics
        self._on_report = on_report
        self._on_request = on_request
        self._opened = self._abandoned = self._too_new = False
        self._code = 0
        self._reason = NO_REASON
        self._strikes = 0
        self._home_status = f"{settings.discovery_prefix}/status" if settings.discovery else ""
        self._home_subscription: int | None = None  # its packet id
        self._packets = PacketFilter(settings.version, bytes(MAX_REQUEST_BYTES + 1))
        self._client = FilteredClient(settings.version, client_id, CONNECT_SECONDS, self._packets)
        self._client.will_set(topics.available, OFFLINE, qos=settings.qos, retain=settings.retain)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect
        try:
            self._thread = threads.start("broker", self._run)
        except ThreadError:
            self._release()
            raise

    def publish(self, message: Message) -> int:
        """Send one message and return its packet id. ValueError for a topic or payload that MQTT does not allow."""
        beside = properties(message, time.time()) if self._settings.version == 5 else None
        return self._client.publish(message.topic, message.payload, message.qos, message.retain, beside).mid

    def close(self, seconds: float = 0.0) -> None:
        """Disconnect in order, and wait at most so many seconds until it is done."""
        self._abandoned = True
        self._client.disconnect()
        self._thread.join(seconds)

    def _run(self) -> None:
        settings = self._settings
        try:
            if settings.username is not None:
                self._client.username_pw_set(settings.username, password(settings))
            if settings.tls is not None:
                self._client.tls_set_context(tls_context(settings.tls))
            greeting = _connect_properties() if settings.version == 5 else None
            self._client.connect(settings.host, settings.port, settings.keepalive, properties=greeting)
            if self._abandoned:
                self._client.disconnect()
            while self._client.loop() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._client.check_unsent()
        except CredentialsError as error:
            self._reason = str(error)
        except ConnectRefusedError as refusal:
            self._code = refusal.code
            self._reason = broker_faults.refusal(refusal.code, settings.version)
            self._too_new = broker_faults.reason(refusal.code) == broker_faults.TOO_NEW
        except DisconnectError as end:
            self._code = end.code
            self._reason = broker_faults.ended(end.code, by_broker=True)
            self._strikes = CERTAIN if end.code in MESSAGE_AT_FAULT else int(end.code not in MESSAGE_NOT_AT_FAULT)
        except ProtocolError as error:
            self._reason = broker_faults.nonsense(str(error))
        except PAHO_ERRORS as error:
            self._reason = broker_faults.nonsense(type(error).__name__)
        except (OSError, ValueError) as error:
            self._reason = broker_faults.unreachable(error)
        finally:
            self._release()
            self._on_report(Closed(self, self._reason, self._too_new, self._strikes, self._code))

    def _release(self) -> None:
        """Close what paho leaves open where it has raised.

        Its other two sockets close with the client, which our callbacks would keep until the next garbage collection.
        """
        client = self._client
        client.on_connect = client.on_subscribe = client.on_message = client.on_publish = client.on_disconnect = None
        left = client.socket()
        if left is not None:
            left.close()

    def _on_connect(
        self, client: Client, __: Any, ___: ConnectFlags, ____: ReasonCode, granted: Properties | None
    ) -> None:
        """Subscribe to requests, with QoS 0: with QoS 1, one too large for us fills mosquitto's window for good."""
        self._opened = True
        self._subscribe(client, self._topics.requests)
        if self._home_status:
            self._home_subscription = self._subscribe(client, self._home_status)
        window = getattr(granted, "ReceiveMaximum", RECEIVE_MAXIMUM)
        max_packet_size = getattr(granted, "MaximumPacketSize", MAX_PACKET_SIZE)
        self._on_report(Opened(self, window, max_packet_size, capabilities.from_connack(granted)))

    def _subscribe(self, client: Client, topic: str) -> int | None:
        """Subscribe with QoS 0, and return the packet id."""
        if self._settings.version == 5:  # which reports the retain flag as published
            return client.subscribe(topic, options=SubscribeOptions(qos=0, retainAsPublished=True))[1]
        return client.subscribe(topic, qos=0)[1]

    def _on_subscribe(
        self, _: Client, __: Any, packet_id: int, codes: list[ReasonCode], ____: Properties | None
    ) -> None:
        if any(code.is_failure for code in codes):
            what = self._home_status if packet_id == self._home_subscription else "requests"
            self._on_report(SubscriptionRefused(self, broker_faults.reason(self._packets.code), what))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        if message.topic == self._home_status:
            if message.payload == ONLINE and not message.retain:
                self._on_report(HomeAssistantStarted(self))
            return
        payload = bytes(message.payload) if len(message.payload) <= MAX_REQUEST_BYTES else None
        topic = getattr(message.properties, "ResponseTopic", None)
        correlation = getattr(message.properties, "CorrelationData", None)
        self._on_request(Request(message.topic.rpartition("/")[2], payload, message.retain, topic, correlation))

    def _on_publish(self, _: Client, __: Any, packet_id: int, ___: ReasonCode, ____: Properties | None) -> None:
        code, self._packets.code = self._packets.code, 0
        reason = broker_faults.reason(code) if code >= FAILURE else None
        self._on_report(Acknowledged(self, packet_id, reason, reason is not None and code not in TEMPORARY))

    def _on_disconnect(
        self, _: Client, __: Any, ___: DisconnectFlags, code: ReasonCode, ____: Properties | None
    ) -> None:
        if self._opened:
            self._reason = broker_faults.ended(code, by_broker=False)
            self._strikes = int(not self._abandoned and code.getName() != broker_faults.GIVEN_UP)
        elif self._reason == NO_REASON and code.getName() == broker_faults.GIVEN_UP:  # after the keepalive, by paho
            self._reason = broker_faults.silent(self._settings.keepalive)
        elif self._reason == NO_REASON:
            self._reason = broker_faults.unanswered(self._settings.version)


def _connect_properties() -> Properties:
    found = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    found.MaximumPacketSize = MAX_PUBLISH_BYTES
    return found
