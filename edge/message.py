"""A message that waits for the broker. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One step of an event on its way. `type`: new, update or end. `expires`: unix time, s."""

    topic: str
    payload: bytes
    event_id: str
    seq: int
    type: str
    expires: float
