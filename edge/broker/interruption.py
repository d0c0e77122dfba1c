"""Ends for the events that a crash left open. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from edge.broker.message import Message
from edge.broker.payload import interrupted
from edge.broker.topics import encode


@dataclass(frozen=True)
class InterruptedEnds:
    """`ends`: to be stored before anything new; `lost`: ids of events of which no end can be made."""

    ends: tuple[Message, ...]
    lost: tuple[str, ...]


def end_interrupted(open_steps: Sequence[Message], unix_time: float, expires: float, gap: int = 0) -> InterruptedEnds:
    """Close what went on when the last run stopped without a word, given the last stored step of each.

    `unix_time`: now, s; `expires`: until when the ends are worth sending, unix time, s; `gap`: so many later steps may
    have been told and are not known any more, so that their numbers are left out.
    """
    ends, lost = [], []
    for step in open_steps:
        payload = _end(step, unix_time, gap)
        if payload is None:
            lost.append(step.event_id)
        else:
            ends.append(Message(step.topic, payload, step.event_id, step.seq + 1 + gap, "end", expires))
    return InterruptedEnds(tuple(ends), tuple(lost))


def _end(step: Message, unix_time: float, gap: int) -> bytes | None:
    """The payload of the end; None where the last step is none of ours."""
    try:
        last = json.loads(step.payload)
        known = isinstance(last, dict) and last.get("seq") == step.seq
        return encode(interrupted(last, unix_time, gap)) if known else None
    except (ValueError, OverflowError, RecursionError):  # no JSON, no open event, or none that we ever wrote
        return None
