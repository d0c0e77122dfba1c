"""Sentences for what keeps us from the broker: each names the fault and the cure, and follows "broker host:port: "."""

import socket
import ssl

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

TOO_NEW = "Unsupported protocol version"
GIVEN_UP = "Keep alive timeout"

_LOGIN = "it refused the login: check [mqtt] username and the password"
_REFUSALS = {
    "Client identifier not valid": "it takes no such client: set another [mqtt] client_id",
    "Bad user name or password": _LOGIN,
    "Not authorized": f"{_LOGIN}, and the broker's rights",
    "Banned": "it has banned us: look at the broker's settings",
    "Server busy": "it is busy",
    "Server unavailable": "it is not ready",
    "Quota exceeded": "it lets nobody else in: look at the broker's limits",
    "Retain not supported": "it keeps no messages, and is dialled again without asking for it",
    "QoS not supported": "it takes QoS 0 alone, and is dialled again without asking for more",
    "Connection rate exceeded": "it lets nobody else in for now: look at the broker's limits",
}
_ENDS = {
    "Session taken over": "another client has come with our name: give each its own [mqtt] client_id",
    "Keep alive timeout": "it heard nothing from us in time: check the network",
    "Not authorized": "it took our rights away: check the broker's rights",
    "Packet too large": "a message was too large for it: raise the broker's max_packet_size",
    "Message rate too high": "we send too fast for it: raise the broker's limits",
    "Quota exceeded": "we send too much for it: raise the broker's limits",
    "Retain not supported": "it keeps no messages, and is dialled again without asking for it",
    "QoS not supported": "it takes QoS 0 alone, and is dialled again without asking for more",
    "Server shutting down": "it is shutting down",
}


def reason(code: int) -> str:
    """A reason's name in MQTT 5, whatever packet it came in; its number where it has none."""
    names = ReasonCode(PacketTypes.CONNACK).names.get(code)
    if not names:
        return f"reason 0x{code:02x}"
    return next(iter(names)) if code else "Normal disconnection"


def refusal(code: ReasonCode | int, version: int) -> str:
    """Why the broker refused us. `version`: of MQTT, 5 or 3."""
    name = reason(code if isinstance(code, int) else code.value)
    if name == TOO_NEW and version == 5:
        return "it speaks no MQTT 5, so MQTT 3.1.1 is tried: set [mqtt] version = 3, or update the broker"
    if name == TOO_NEW:
        return "it speaks no MQTT 3.1.1: set [mqtt] version = 5"
    return f"{_REFUSALS.get(name, 'it refused the connection: look at the log of the broker')} ({name})"


def unanswered(version: int) -> str:
    """What to say of a broker that took the connection and then ended it without a word of MQTT `version`."""
    limited = "" if version == 5 else ", and where it keeps no messages or takes QoS 0 alone, [mqtt] retain and qos"
    return f"it hung up without an answer: check that port and [mqtt.tls] fit together, and [mqtt] version{limited}"


def silent(seconds: float) -> str:
    """What to say of a broker that took the connection and then said nothing for so long."""
    return f"no answer within {seconds:g} s: check [mqtt] host and port"


def unacknowledged(seconds: float) -> str:
    """What to say of a broker that took a message and has not acknowledged it for so long."""
    return f"a message is not acknowledged within {seconds:g} s: check the broker's load and log"


def nonsense(what: str) -> str:
    """What to say of a broker that sends what it should not."""
    return f"what it says is no MQTT ({what}): check [mqtt] host and port"


def ended(code: ReasonCode | int, by_broker: bool) -> str:
    """Why a connection that was open is no longer."""
    name = reason(code if isinstance(code, int) else code.value)
    if by_broker:
        return f"{_ENDS.get(name, 'it ended the connection: look at the log of the broker')} ({name})"
    return f"connection lost ({name}): check that the broker runs, and the network"


def unreachable(error: Exception) -> str:
    """Why there is no connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error)
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


def _untrusted(error: ssl.SSLCertVerificationError) -> str:
    """OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID is 9, X509_V_ERR_CERT_HAS_EXPIRED 10."""
    cures = {
        9: "set the clock here, or renew the certificate",
        10: "renew the broker's certificate, or set the clock here",
    }
    cure = cures.get(error.verify_code, "check [mqtt.tls] ca, the name in [mqtt] host, and the date here")
    return f"its certificate is not trusted ({error.verify_message}): {cure}"
