"""A message as the PUBLISH packet of MQTT: its properties, and its size in bytes. Over paho's properties."""

import math

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.broker.message import CLOCK_IS_SET, Message

LONGEST_EXPIRY = 0xFFFF_FFFF  # seconds; the property has four bytes
UTF8 = 1  # the payload format indicator of a text


def properties(message: Message, now: float) -> Properties:
    """The properties of MQTT 5 for a message. `now`: unix time, s, from which its expiry is counted."""
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.payload[:2] == b"\xff\xd8":
        found.ContentType = "image/jpeg"
    else:
        found.PayloadFormatIndicator = UTF8
    if message.payload[:1] == b"{":
        found.ContentType = "application/json"
    expiry = _expiry(message, now)
    if expiry is not None:
        found.MessageExpiryInterval = max(1, math.ceil(min(expiry, LONGEST_EXPIRY)))
    if message.correlation is not None:
        found.CorrelationData = message.correlation
    if message.event_id:
        found.UserProperty = _user_properties(message)
    return found


def packet_size(message: Message, beside: Properties | None) -> int:
    """Bytes of the whole PUBLISH packet, as a broker's limit counts them (MQTT 5, section 3.3).

    `beside`: the message's properties; None for MQTT 3.1.1, which has none.
    """
    rest = 2 + len(message.topic.encode()) + len(message.payload)
    if message.qos:
        rest += 2  # the packet's identifier
    if beside is not None:
        rest += len(beside.pack())  # type: ignore[no-untyped-call]
    return 1 + _length_of_number(rest) + rest


def _expiry(message: Message, now: float) -> float | None:
    """Seconds for which the broker may keep the message; None without a limit.

    An `end` that is overdue has none: a subscriber may have received the beginning of its event.
    """
    left = message.expires - now
    overdue_end = message.type == "end" and left <= 0
    return None if message.expires <= CLOCK_IS_SET or overdue_end else left


def _user_properties(message: Message) -> list[tuple[str, str]]:
    step = [("seq", str(message.seq)), ("type", message.type)] if message.is_event else []
    return [("event_id", message.event_id), *step]


def _length_of_number(number: int) -> int:
    """Bytes of a variable byte integer: seven bits in each."""
    return max(1, math.ceil(number.bit_length() / 7))
