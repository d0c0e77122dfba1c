"""One connection to the broker, from dialling to its end, over paho-mqtt.

A connection is never used again: the next one begins with nothing in flight, so that what is sent, and in which order,
is decided in one place.
"""

import math
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.schema import Mqtt, Tls
from edge.topics import OFFLINE

CONNECT_SECONDS = 5.0  # for TCP, and again for TLS
RECEIVE_MAXIMUM = 65_535  # MQTT 5, section 3.2.2.3.3: what holds where the broker names none
UTF8 = 1  # the payload format indicator of a text
VERSION_NAMES = {5: "5", 3: "3.1.1"}


class BrokerError(Exception):
    """Something of ours keeps us from dialling; the message names it and the cure."""


@dataclass(frozen=True, eq=False)
class Opened:
    """The broker has let us in; it takes up to `window` messages before it acknowledges the first."""

    connection: "Connection"
    window: int


@dataclass(frozen=True, eq=False)
class Acknowledged:
    """The broker has taken the message `number`, or has `refused` it for this reason."""

    connection: "Connection"
    number: int
    refused: str | None


@dataclass(frozen=True, eq=False)
class Closed:
    """The end, and why: words that follow "broker host:port: "."""

    connection: "Connection"
    reason: str


Report = Opened | Acknowledged | Closed


class Connection:
    """Dials on a thread of its own and reports from there; the last report is always `Closed`."""

    def __init__(self, settings: Mqtt, client_id: str, available: str, report: Callable[[Report], None]) -> None:
        """Dial. `available`: the topic of the last will."""
        self._settings = settings
        self._report = report
        self._opened = self._abandoned = False
        self._reason = "the connection broke"
        self._client = _client(settings, client_id)
        self._client.will_set(available, OFFLINE, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect
        self._thread = threading.Thread(target=self._converse, name="broker", daemon=True)
        self._thread.start()

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool, expiry: float | None = None) -> int:
        """Hand one message over and return its number. `expiry`: seconds that the broker may keep it for others."""
        properties = _properties(payload, expiry) if self._settings.version == 5 else None
        return self._client.publish(topic, payload, qos, retain, properties).mid

    def close(self, seconds: float = 0.0) -> None:
        """Take leave in order, and wait so long at most until it is done."""
        self._abandoned = True
        self._client.disconnect()
        self._thread.join(seconds)

    def _converse(self) -> None:
        settings = self._settings
        try:
            _identify(self._client, settings)
            self._client.connect(settings.host, settings.port, settings.keepalive)
            if self._abandoned:
                self._client.disconnect()
            self._client.loop_forever()
        except BrokerError as error:
            self._reason = str(error)
        except (OSError, ValueError) as error:
            self._reason = unreachable(error)
        finally:
            self._report(Closed(self, self._reason))

    def _on_connect(
        self, _: Client, __: Any, flags: ConnectFlags, code: ReasonCode, granted: Properties | None
    ) -> None:
        if code.is_failure:
            self._reason = refusal(code, self._settings.version)
            return
        self._opened = True
        self._report(Opened(self, getattr(granted, "ReceiveMaximum", RECEIVE_MAXIMUM)))

    def _on_publish(self, _: Client, __: Any, number: int, code: ReasonCode, properties: Properties | None) -> None:
        self._report(Acknowledged(self, number, code.getName() if code.is_failure else None))

    def _on_disconnect(
        self, _: Client, __: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if self._opened:
            whose = "the broker ended the connection" if flags.is_disconnect_packet_from_server else "connection lost"
            self._reason = f"{whose} ({code.getName()})"
        elif self._reason == "the connection broke":
            self._reason = unanswered(self._settings.version)


def refusal(code: ReasonCode, version: int) -> str:
    """Why the broker refused us, and the cure."""
    other = {5: 3, 3: 5}[version]
    cures = {
        "Unsupported protocol version": f"it speaks no MQTT {VERSION_NAMES[version]}: set [mqtt] version = {other}",
        "Client identifier not valid": "it takes no such client: set another [mqtt] client_id",
        "Bad user name or password": "it refused the login: check [mqtt] username and password_file",
        "Not authorized": "it refused the login: check [mqtt] username and password_file, and the broker's rights",
    }
    return f"{cures.get(code.getName(), 'it refused the connection')} ({code.getName()})"


def unanswered(version: int) -> str:
    """What to say of a broker that took the connection and then ended it without a word of MQTT."""
    doubt = f", and that the broker speaks MQTT {VERSION_NAMES[version]} ([mqtt] version)"
    return f"it hung up without an answer: check that port and [mqtt.tls] fit together{doubt}"


def unreachable(error: Exception) -> str:
    """Why there is no connection, and the cure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}): check [mqtt.tls] ca, the name in [mqtt] host, "
            "and the date here"
        )
    if isinstance(error, ssl.SSLError):
        return f"no TLS with it ({error.reason or error}): check [mqtt] port and [mqtt.tls]"
    if isinstance(error, socket.gaierror):
        return "the name is not known: check [mqtt] host and the network"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: start the broker, or check [mqtt] host and port"
    if isinstance(error, TimeoutError):
        return "no answer: check [mqtt] host and port, and the network"
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be reached ({detail}): check [mqtt] host and port, and the network"


def _client(settings: Mqtt, client_id: str) -> Client:
    """A client that holds no state beyond its one connection."""
    version = MQTTProtocolVersion.MQTTv5 if settings.version == 5 else MQTTProtocolVersion.MQTTv311
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=False)
    client.connect_timeout = CONNECT_SECONDS
    return client


def _identify(client: Client, settings: Mqtt) -> None:
    """Say who we are; password and certificates are read anew each time, so that mending them heals."""
    if settings.username is not None:
        client.username_pw_set(settings.username, _password(settings.password_file))
    if settings.tls is not None:
        client.tls_set_context(_tls(settings.tls))


def _password(file: Path | None) -> str | None:
    """The first line of the file."""
    if file is None:
        return None
    try:
        return file.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError):
        raise BrokerError(f"{file} cannot be read: check [mqtt] password_file and the file's permissions") from None


def _tls(settings: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer, certificate and host name checked. An encrypted key is refused instead of asked about."""
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise BrokerError(f"the files of [mqtt.tls] cannot be used ({error}): check ca, cert and key") from None
    return context


def _properties(payload: bytes, expiry: float | None) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = UTF8
    if payload[:1] == b"{":
        properties.ContentType = "application/json"
    if expiry is not None:
        properties.MessageExpiryInterval = max(1, math.ceil(expiry))
    return properties
