"""One connection to the broker, from dialling to its end, over paho-mqtt.

A connection is never used again: the next one begins with nothing in flight, so that what is sent, and in which order,
is decided in one place.
"""

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties  # type: ignore[attr-defined] # 2.2 only re-exports it
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.broker import broker_faults
from edge.broker.credentials import CredentialsError, password, tls_context
from edge.broker.parcel import Parcel, properties
from edge.broker.requests import LARGEST, Request
from edge.broker.topics import OFFLINE, Topics
from edge.schema import Mqtt

CONNECT_SECONDS = 5.0  # for TCP, and again for TLS
RECEIVE_MAXIMUM = 65_535  # MQTT 5, section 3.2.2.3.3: what holds where the broker names none
PACKET_MAXIMUM = 268_435_455  # bytes; the largest that MQTT knows
OURS_MAXIMUM = 1 << 20  # bytes; larger requests stay with a broker of MQTT 5
LASTING = frozenset({"Topic name invalid", "Payload format invalid", "Packet too large"})
UNTOLD = "the connection broke"
NONSENSE = (MQTTException, struct.error, LookupError)  # what paho raises when a broker talks no MQTT; 2.1 does


@dataclass(frozen=True, eq=False)
class Opened:
    """The broker has let us in.

    It takes up to `window` messages before it acknowledges the first, and messages of up to `largest` bytes.
    """

    connection: "Connection"
    window: int
    largest: int


@dataclass(frozen=True, eq=False)
class Acknowledged:
    """The broker has taken the message `number`, or has `refused` it for this reason, perhaps for ever (`lasting`)."""

    connection: "Connection"
    number: int
    refused: str | None
    lasting: bool


@dataclass(frozen=True, eq=False)
class Unheard:
    """The broker lets us hear no requests, for this reason."""

    connection: "Connection"
    reason: str


@dataclass(frozen=True, eq=False)
class Closed:
    """The end, and why: words that follow "broker host:port: ". `too_new`: our version of MQTT is the reason."""

    connection: "Connection"
    reason: str
    too_new: bool = False


Report = Opened | Acknowledged | Unheard | Closed


class Connection:
    """Dials on a thread of its own and reports from there; the last report is always `Closed`."""

    def __init__(
        self,
        settings: Mqtt,
        client_id: str,
        topics: Topics,
        report: Callable[[Report], None],
        offer: Callable[[Request], None],
    ) -> None:
        """Dial, and once inside listen for requests, which go to `offer`."""
        self._settings = settings
        self._topics = topics
        self._report = report
        self._offer = offer
        self._opened = self._abandoned = self._too_new = False
        self._reason = UNTOLD
        self._client = _client(settings, client_id)
        self._client.will_set(topics.available, OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect
        self._thread = threading.Thread(target=self._converse, name="broker", daemon=True)
        self._thread.start()

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
                pass
        except CredentialsError as error:
            self._reason = str(error)
        except (OSError, ValueError) as error:
            self._reason = broker_faults.unreachable(error)
        except NONSENSE as error:
            self._reason = f"what it says is no MQTT ({type(error).__name__}): check [mqtt] host and port"
        finally:
            self._hang_up()
            self._report(Closed(self, self._reason, self._too_new))

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
        self, client: Client, __: Any, flags: ConnectFlags, code: ReasonCode, granted: Properties | None
    ) -> None:
        if code.is_failure:
            self._reason = broker_faults.refusal(code, self._settings.version)
            self._too_new = code.getName() == broker_faults.TOO_NEW
            return
        self._opened = True
        if self._settings.version == 5:  # which tells the truth of the retain flag
            client.subscribe(self._topics.requests, options=SubscribeOptions(qos=1, retainAsPublished=True))
        else:
            client.subscribe(self._topics.requests, qos=1)
        window = getattr(granted, "ReceiveMaximum", RECEIVE_MAXIMUM)
        self._report(Opened(self, window, getattr(granted, "MaximumPacketSize", PACKET_MAXIMUM)))

    def _on_subscribe(self, _: Client, __: Any, ___: int, codes: list[ReasonCode], ____: Properties | None) -> None:
        refused = [code.getName() for code in codes if code.is_failure]
        if refused:
            self._report(Unheard(self, refused[0]))

    def _on_message(self, _: Client, __: Any, message: MQTTMessage) -> None:
        payload = bytes(message.payload) if len(message.payload) <= LARGEST else None
        topic = getattr(message.properties, "ResponseTopic", None)
        correlation = getattr(message.properties, "CorrelationData", None)
        self._offer(Request(message.topic.rpartition("/")[2], payload, message.retain, topic, correlation))

    def _on_publish(self, _: Client, __: Any, number: int, code: ReasonCode, properties: Properties | None) -> None:
        reason = code.getName() if code.is_failure else None
        self._report(Acknowledged(self, number, reason, reason in LASTING))

    def _on_disconnect(
        self, _: Client, __: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if self._opened:
            self._reason = broker_faults.ended(code, flags.is_disconnect_packet_from_server)
        elif self._reason == UNTOLD and code.getName() == broker_faults.GIVEN_UP:  # after the keepalive, by paho
            self._reason = broker_faults.silent(self._settings.keepalive)
        elif self._reason == UNTOLD:
            self._reason = broker_faults.unanswered()


def _client(settings: Mqtt, client_id: str) -> Client:
    """A client that holds no state beyond its one connection.

    With a callback for it, paho leaves writing to the thread of the loop; otherwise whoever publishes writes, and two
    threads at once in one TLS connection break it.
    """
    version = MQTTProtocolVersion.MQTTv5 if settings.version == 5 else MQTTProtocolVersion.MQTTv311
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=False)
    client.connect_timeout = CONNECT_SECONDS
    client.on_socket_register_write = lambda *_: None
    return client


def _greeting() -> Properties:
    found = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    found.MaximumPacketSize = OURS_MAXIMUM
    return found
