"""Events as the flat JSON that subscribers get, described by `docs/event.schema.json`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from edge.events import Event

SCHEMA = 1  # version of the payload; it rises when a key goes or changes its meaning


@dataclass(frozen=True)
class ModelIdentity:
    """What made an event: the model's name and the sha256 of its file, 64 hexadecimal digits."""

    name: str
    sha256: str


def event_payload(
    event: Event,
    device: str,
    camera: str,
    model: ModelIdentity,
    published_unix: float,
    snapshot_topic: str | None = None,
    clock_synced: bool | None = None,
) -> dict[str, object]:
    """One step of an event, ready for JSON.

    `published_unix`: unix time (s) at which it is handed over; `snapshot_topic`: where its picture is, if there is one;
    `clock_synced`: whether a time server has set the clock, None where nobody knows.
    """
    width, height = event.frame_size
    box = [float(side) for side in event.box]
    shares = [side / length for side, length in zip(box, (width, height, width, height), strict=True)]
    return {
        "schema": SCHEMA,
        "type": event.type,
        "event_type": event.type,  # for those who have read it here
        "event_id": event.event_id,
        "seq": event.seq,
        "device": device,
        "camera": camera,
        "action": event.action,
        "score": round(event.score, 4),
        "top_score": round(event.top_score, 4),
        "started": iso_time(event.started_unix),
        "ended": None if event.ended_unix is None else iso_time(event.ended_unix),
        "duration": round(event.duration, 3),
        "box": [round(share, 5) for share in shares],
        "box_px": [round(side, 1) for side in box],
        "frame_size": [width, height],
        "zones": list(event.zones),
        "observed": event.observed,
        "frame_index": event.frame_index,
        "t_capture": round(event.t_capture, 3),
        "t_publish": round(published_unix, 3),
        "latency_ms": round(max(0.0, published_unix - event.t_capture) * 1000, 1),
        "clock_synced": clock_synced,
        "model": {"name": model.name, "sha256": model.sha256},
        "reason_ended": event.reason_ended,
        "snapshot_topic": snapshot_topic,
    }


def interrupted(last: Mapping[str, object], published_unix: float, gap: int = 0) -> dict[str, object]:
    """The end of an event that a crash left open, made from the last payload that was stored for it.

    `gap`: how many numbers are left out, for steps that may have been told since.

    It ended when it was last known to go on: at its start plus its duration. ValueError if `last` is no open event.
    """
    seq, started, duration = last.get("seq"), last.get("started"), last.get("duration")
    if last.get("type") not in ("new", "update"):
        raise ValueError(f"event {last.get('event_id')} has ended already: only open events are interrupted")
    if not isinstance(seq, int) or not isinstance(started, str) or not isinstance(duration, int | float):
        raise ValueError(f"event {last.get('event_id')} lacks seq, started or duration: it is no event of ours")
    frame = {  # no frame led to this
        "observed": False,
        "t_capture": round(published_unix, 3),  # the closing's
        "latency_ms": 0.0,
    }
    return {
        **last,
        **{key: value for key, value in frame.items() if key in last},  # what happens to the device has none at all
        "type": "end",
        "event_type": "end",
        "seq": seq + 1 + gap,
        "ended": iso_time(_unix_time(started) + duration),
        "t_publish": round(published_unix, 3),
        "reason_ended": "interrupted",
    }


def iso_time(unix_time: float) -> str:
    """A unix time (s) as UTC, ISO 8601 with milliseconds: 2026-01-31T12:00:00.000Z."""
    text = datetime.fromtimestamp(round(unix_time, 3), timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _unix_time(text: str) -> float:
    """The unix time (s) of an `iso_time`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
