"""A message that waits for the broker. Pure."""

from dataclasses import dataclass

CLOCK_IS_SET = 1_700_000_000.0  # unix time; what expires before was stamped by a clock that had not been set


@dataclass(frozen=True)
class Message:
    """One step of an event on its way. `type`: new, update or end. `expires`: unix time, s.

    `captured`: monotonic time of the frame that led to it, s, None where it is not to be timed; it is not stored.
    """

    topic: str
    payload: bytes
    event_id: str
    seq: int
    type: str
    expires: float
    captured: float | None = None
