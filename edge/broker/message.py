"""A message for the broker, from the moment it is made to its bytes on the wire. Pure; over paho's properties."""

import math
from dataclasses import dataclass, replace

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

CLOCK_IS_SET = 1_700_000_000.0  # unix time; earlier times come from a clock that had not been set
CLOCK_JUMPED = 10.0  # seconds between wall and monotonic clock that matter to messages that may grow days old
LONGEST_EXPIRY = 0xFFFF_FFFF  # seconds; the property has four bytes
UTF8 = 1  # the payload format indicator of a text

Clocks = tuple[float, float]  # unix and monotonic time, s


@dataclass(frozen=True)
class Message:
    """One message. The fields from `event_id` to `captured` describe the step of an event, and are empty elsewhere.

    `type`: new, update or end. `expires`: unix time, s; up to CLOCK_IS_SET the message never expires. `captured`:
    monotonic time of the frame that led to it, s, None where it is not timed; it is not stored. `correlation`: of
    MQTT 5. `kind`: what the log calls messages of this sort, its topic where that is empty.
    """

    topic: str
    payload: bytes
    event_id: str = ""
    seq: int = 0
    type: str = ""
    expires: float = 0.0
    captured: float | None = None
    qos: int = 0
    retain: bool = False
    correlation: bytes | None = None
    kind: str = ""

    @property
    def is_event(self) -> bool:
        """Whether this is a step of an event, which goes through the outbox."""
        return bool(self.type)

    def expiring_later(self, seconds: float) -> "Message":
        """The same message with an expiry that is so much later, if it has one."""
        return replace(self, expires=self.expires + seconds) if self.expires > CLOCK_IS_SET else self


@dataclass(frozen=True)
class StoredMessage:
    """A message as the outbox holds it; `id` grows in the order of storing."""

    id: int
    message: Message

    @property
    def topic(self) -> str:
        """Where the message goes."""
        return self.message.topic


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


def clock_jump(before: Clocks, now: Clocks) -> float:
    """Seconds by which the wall clock was set between two readings of both clocks; 0 where it was not.

    It is 0 too where the clock had never been set before: what was stored then does not grow old.
    """
    seconds = (now[0] - before[0]) - (now[1] - before[1])
    return seconds if abs(seconds) > CLOCK_JUMPED and min(before[0], now[0]) > CLOCK_IS_SET else 0.0


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
