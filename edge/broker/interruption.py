"""Ends for the events that a crash left open. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from edge.broker.message import Message
from edge.broker.payload import interrupted
from edge.broker.topics import encode


@dataclass(frozen=True)
class Interruption:
    """`ends`: to be stored before anything new; `lost`: ids of events of which no end can be made."""

    ends: tuple[Message, ...]
    lost: tuple[str, ...]


def interrupt(open_steps: Sequence[Message], unix_time: float, expires: float) -> Interruption:
    """Close what went on when the last run stopped without a word, given the last stored step of each.

    `unix_time`: now, s; `expires`: until when the ends are worth sending, unix time, s.
    """
    ends, lost = [], []
    for step in open_steps:
        payload = _end(step, unix_time)
        if payload is None:
            lost.append(step.event_id)
        else:
            ends.append(Message(step.topic, payload, step.event_id, step.seq + 1, "end", expires))
    return Interruption(tuple(ends), tuple(lost))


def _end(step: Message, unix_time: float) -> bytes | None:
    """The payload of the end; None where the last step is none of ours."""
    try:
        last = json.loads(step.payload)
        return encode(interrupted(last, unix_time)) if isinstance(last, dict) and last.get("seq") == step.seq else None
    except (ValueError, OverflowError, RecursionError):  # no JSON, no open event, or none that we ever wrote
        return None
