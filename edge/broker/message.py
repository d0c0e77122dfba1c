"""A message for the broker, and the clock by which it grows old. Pure."""

from dataclasses import dataclass, replace

CLOCK_IS_SET = 1_700_000_000.0  # unix time; earlier times come from a clock that had not been set
CLOCK_JUMPED = 10.0  # seconds between wall and monotonic clock that matter to messages that may grow days old

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


def clock_jump(before: Clocks, now: Clocks) -> float:
    """Seconds by which the wall clock was set between two readings of both clocks; 0 where it was not.

    It is 0 too where the clock had never been set before: what was stored then does not grow old.
    """
    seconds = (now[0] - before[0]) - (now[1] - before[1])
    return seconds if abs(seconds) > CLOCK_JUMPED and min(before[0], now[0]) > CLOCK_IS_SET else 0.0
