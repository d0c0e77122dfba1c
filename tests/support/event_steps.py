"""Messages of the steps of an event."""

import json

from edge.broker.outbox import Message
from edge.broker.payload import iso_time

NOW = 1_700_000_000.0


def step(event_id: str, seq: int, kind: str, duration: float = 0.5, expires: float = NOW + 60) -> Message:
    payload = {
        "type": kind,
        "event_type": kind,
        "event_id": event_id,
        "seq": seq,
        "started": iso_time(NOW),
        "ended": iso_time(NOW + duration) if kind == "end" else None,
        "duration": duration,
        "observed": True,
        "reason_ended": "score" if kind == "end" else None,
    }
    return Message(f"korsal/d/door/actions/{event_id}", json.dumps(payload).encode(), event_id, seq, kind, expires)
