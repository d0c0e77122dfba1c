"""Messages for faults of the broker connection: each names fault and remedy, and follows "broker host:port: "."""

import socket
import ssl

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

TOO_NEW = "Unsupported protocol version"
GIVEN_UP = "Keep alive timeout"

_LOGIN = "it refused the login: check [mqtt] username and the password"
_REFUSED = "it refused the connection: check the broker's log"
_ENDED = "it ended the connection: check the broker's log"
_REFUSALS = {
    "Client identifier not valid": "it rejects the client id: set another [mqtt] client_id",
    "Bad user name or password": _LOGIN,
    "Not authorized": f"{_LOGIN}, and the broker's access rules",
    "Banned": "it has banned this client: check the broker's settings",
    "Server busy": "it is busy",
    "Server unavailable": "it is not ready",
    "Quota exceeded": "it accepts no more clients: check the broker's limits",
    "Retain not supported": "it retains no messages, and is tried again without asking for it",
    "QoS not supported": "it supports QoS 0 only, and is tried again without asking for more",
    "Connection rate exceeded": "it accepts no more clients for now: check the broker's limits",
}
_ENDS = {
    "Session taken over": "another client has connected with the same client id: give each its own [mqtt] client_id",
    "Keep alive timeout": "it received nothing from us in time: check the network",
    "Not authorized": "it has withdrawn our permissions: check its access rules",
    "Packet too large": "a message was too large for it: raise the broker's max_packet_size",
    "Message rate too high": "we send too fast for it: raise the broker's limits",
    "Quota exceeded": "we send too much for it: raise the broker's limits",
    "Retain not supported": "it retains no messages, and is tried again without asking for it",
    "QoS not supported": "it supports QoS 0 only, and is tried again without asking for more",
    "Server shutting down": "it is shutting down",
}


def reason(code: int) -> str:
    """The name of an MQTT 5 reason code of any packet; its number where it has no name."""
    names = ReasonCode(PacketTypes.CONNACK).names.get(code)
    if not names:
        return f"reason 0x{code:02x}"
    return next(iter(names)) if code else "Normal disconnection"


def refusal(code: ReasonCode | int, version: int) -> str:
    """Why the broker refused the connection. `version`: of MQTT, 5 or 3."""
    name = reason(code if isinstance(code, int) else code.value)
    if name == TOO_NEW and version == 5:
        return "it does not support MQTT 5, so MQTT 3.1.1 is tried: set [mqtt] version = 3, or update the broker"
    if name == TOO_NEW:
        return "it does not support MQTT 3.1.1: set [mqtt] version = 5"
    return f"{_REFUSALS.get(name, _REFUSED)} ({name})"


def unanswered(version: int) -> str:
    """For a broker that accepted the TCP connection and closed it without an answer. `version`: of MQTT, 5 or 3."""
    limited = "" if version == 5 else ", and, if it retains no messages or supports QoS 0 only, [mqtt] retain and qos"
    return f"it disconnected without an answer: check that port and [mqtt.tls] match, and [mqtt] version{limited}"


def silent(seconds: float) -> str:
    """For a broker that accepted the TCP connection and sent nothing for so long."""
    return f"no answer within {seconds:g} s: check [mqtt] host and port"


def unacknowledged(seconds: float) -> str:
    """For a broker that has not acknowledged a message for so long."""
    return f"a message was not acknowledged within {seconds:g} s: check the broker's load and log"


def nonsense(what: str) -> str:
    """For a broker that sends what it must not."""
    return f"what it sends is not MQTT ({what}): check [mqtt] host and port"


def ended(code: ReasonCode | int, by_broker: bool) -> str:
    """Why an open connection has ended."""
    name = reason(code if isinstance(code, int) else code.value)
    if by_broker:
        return f"{_ENDS.get(name, _ENDED)} ({name})"
    return f"connection lost ({name}): check that the broker runs, and the network"


def unreachable(error: Exception) -> str:
    """Why no connection could be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error)
    if isinstance(error, ssl.SSLError):
        return f"TLS with it failed ({error.reason or error}): check [mqtt] port and [mqtt.tls]"
    if isinstance(error, socket.gaierror):
        return "unknown host name: check [mqtt] host and the network"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: start the broker, or check [mqtt] host and port"
    if isinstance(error, TimeoutError):
        return "no answer: check [mqtt] host and port, and the network"
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be reached ({detail}): check [mqtt] host and port, and the network"


def _untrusted(error: ssl.SSLCertVerificationError) -> str:
    """OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID is 9, X509_V_ERR_CERT_HAS_EXPIRED 10."""
    remedies = {
        9: "set the clock here, or renew the certificate",
        10: "renew the broker's certificate, or set the clock here",
    }
    remedy = remedies.get(error.verify_code, "check [mqtt.tls] ca, the name in [mqtt] host, and the date here")
    return f"its certificate is not trusted ({error.verify_message}): {remedy}"
