"""What is handed to the broker, and how many bytes that is on the wire. Over paho's properties."""

import math
from dataclasses import dataclass

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

LONGEST_EXPIRY = 0xFFFF_FFFF  # seconds; the property has four bytes
UTF8 = 1  # the payload format indicator of a text


@dataclass(frozen=True)
class Parcel:
    """One message. `kind`: what messages of its sort are called in the log, its topic where that is empty.

    `expiry`: seconds that the broker may keep it for others; it and the next two are of MQTT 5.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    expiry: float | None = None
    correlation: bytes | None = None
    labels: tuple[tuple[str, str], ...] = ()
    kind: str = ""


def properties(parcel: Parcel) -> Properties:
    """What MQTT 5 says of a message beside its topic and payload."""
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if parcel.payload[:2] == b"\xff\xd8":
        found.ContentType = "image/jpeg"
    else:
        found.PayloadFormatIndicator = UTF8
    if parcel.payload[:1] == b"{":
        found.ContentType = "application/json"
    if parcel.expiry is not None:
        found.MessageExpiryInterval = max(1, math.ceil(min(parcel.expiry, LONGEST_EXPIRY)))
    if parcel.correlation is not None:
        found.CorrelationData = parcel.correlation
    if parcel.labels:
        found.UserProperty = list(parcel.labels)
    return found


def packet_size(parcel: Parcel, version: int) -> int:
    """Bytes of the whole PUBLISH packet, as a broker's limit counts them (MQTT 5, section 3.3). `version`: 5 or 3."""
    rest = 2 + len(parcel.topic.encode()) + len(parcel.payload)
    if parcel.qos:
        rest += 2  # the packet's number
    if version == 5:
        rest += len(properties(parcel).pack())  # type: ignore[no-untyped-call]
    return 1 + _length_of_number(rest) + rest


def _length_of_number(number: int) -> int:
    """Bytes of a variable byte integer: seven bits in each."""
    return max(1, math.ceil(number.bit_length() / 7))
