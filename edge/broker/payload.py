"""Events as the flat JSON that subscribers get, described by `docs/event.schema.json`. Pure.

A Jetson without a battery starts in 1970 and learns the date when a time server answers, possibly in the middle of an
event. Such an event neither ends nor grows longer: its times are recomputed from the monotonic ones.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from edge import event_path
from edge.broker.message import Message
from edge.broker.topics import encode
from edge.event_path import EventPath
from edge.events import Event

SCHEMA = 1  # version of the payload; it rises when a key is removed or changes its meaning
CLOCK_SET = 1.0  # seconds between wall and monotonic clock that mean that the wall clock has been set


@dataclass(frozen=True)
class ModelIdentity:
    """The model that found an event: its name and the sha256 of its file, 64 hexadecimal digits."""

    name: str
    sha256: str


@dataclass(frozen=True)
class InterruptedEnds:
    """`ends`: to be stored before anything new; `unreadable`: ids of events for which no end can be made."""

    ends: tuple[Message, ...]
    unreadable: tuple[str, ...]


def event_payload(
    event: Event,
    device: str,
    camera: str,
    model: ModelIdentity,
    published_unix: float,
    snapshot_topic: str | None = None,
    clock_synced: bool | None = None,
    with_path: bool = True,
) -> dict[str, object]:
    """One step of an event, ready for JSON.

    `published_unix`: unix time (s) at which it is handed to the publisher; `snapshot_topic`: of its picture, if there
    is one; `clock_synced`: whether a time server has set the clock, None if unknown; `with_path`: whether an end tells
    where the person was from its beginning on, in at most MAX_BOXES boxes.
    """
    return {
        "schema": SCHEMA,
        "type": event.type,
        "event_type": event.type,  # the key of older subscribers
        "event_id": event.event_id,
        "seq": event.seq,
        "tube_id": event.tube_id,
        "device": device,
        "camera": camera,
        "action": event.action,
        "score": round(event.score, 4),
        "top_score": round(event.top_score, 4),
        "started": iso_time(event.started_unix),
        "ended": None if event.ended_unix is None else iso_time(event.ended_unix),
        "duration": round(event.duration, 3),
        **_box_payload(event),
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
        "tube": None if event.path is None or not with_path else _tube_payload(event.path, event.started_monotonic),
    }


def _tube_payload(path: EventPath, started: float) -> dict[str, object]:
    """Where the person was, and when it was clearest; seconds from the start, boxes as shares of the frame."""
    best = path.best
    return {
        "path": [[round(one.monotonic - started, 2), *_rounded(one.box)] for one in event_path.thinned(path)],
        "best": {
            "seconds": round(best.monotonic - started, 2),
            "frame_index": best.frame_index,
            "score": round(best.score, 4),
            "box": _rounded(best.box),
        },
    }


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(share, 4) for share in box]


def _box_payload(event: Event) -> dict[str, object]:
    """The box as shares of the frame and in pixels."""
    width, height = event.frame_size
    box = [float(side) for side in event.box]
    shares = [side / length for side, length in zip(box, (width, height, width, height), strict=True)]
    return {
        "box": [round(share, 5) for share in shares],
        "box_px": [round(side, 1) for side in box],
        "frame_size": [width, height],
    }


def retimed(event: Event, unix_time: float, monotonic_time: float) -> Event:
    """A step with its times by the wall clock as it is now, given what both clocks say, s.

    `started_unix` stays as first published, unless the wall clock has been set since (by more than CLOCK_SET).
    """
    offset = unix_time - monotonic_time
    started = retimed_start(event.started_unix, event.started_monotonic, offset)
    captured = event.t_capture if event.captured_monotonic is None else max(0.0, event.captured_monotonic + offset)
    ended = None if event.ended_unix is None else started + event.duration
    return replace(event, started_unix=started, ended_unix=ended, t_capture=captured)


def retimed_start(started_unix: float, started_monotonic: float, offset: float) -> float:
    """A start as first published, unless the wall clock has been set since; `offset`: wall minus monotonic, s."""
    moved = abs(offset - (started_unix - started_monotonic)) > CLOCK_SET
    return started_monotonic + offset if moved else started_unix


def end_interrupted(open_steps: Sequence[Message], unix_time: float, expires: float, gap: int = 0) -> InterruptedEnds:
    """End the events that a crash left open, given the last stored step of each.

    `unix_time`: now, s; `expires`: of the ends, unix time, s; `gap`: how many later steps may have been published that
    are not known any more; their numbers are skipped.
    """
    ends, unreadable = [], []
    for step in open_steps:
        payload = _end(step, unix_time, gap)
        if payload is None:
            unreadable.append(step.event_id)
        else:
            ends.append(Message(step.topic, payload, step.event_id, step.seq + 1 + gap, "end", expires))
    return InterruptedEnds(tuple(ends), tuple(unreadable))


def interrupted(last: Mapping[str, object], published_unix: float, gap: int = 0) -> dict[str, object]:
    """The end of an event that a crash left open, made from the last payload that was stored for it.

    It ended when the action was last detected: at its start plus its duration; its path is not known any more. `gap`:
    how many numbers are skipped.
    ValueError if `last` is no open event.
    """
    seq, started, duration = last.get("seq"), last.get("started"), last.get("duration")
    if last.get("type") not in ("new", "update"):
        raise ValueError(f"event {last.get('event_id')} has ended already: only open events are interrupted")
    if not isinstance(seq, int) or not isinstance(started, str) or not isinstance(duration, int | float):
        raise ValueError(f"event {last.get('event_id')} lacks seq, started or duration: it is no event of ours")
    frame = {"observed": False, "t_capture": round(published_unix, 3), "latency_ms": 0.0}  # no frame led to this
    absent = {"tube_id": last.get("event_id"), "tube": None} if "action" in last else {}  # from older versions
    return {
        **absent,
        **last,
        **{key: value for key, value in frame.items() if key in last},  # device events have none of these
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


def _end(step: Message, unix_time: float, gap: int) -> bytes | None:
    """The payload of the end; None where the last step is none of ours."""
    try:
        last = json.loads(step.payload)
        known = isinstance(last, dict) and last.get("seq") == step.seq
        return encode(interrupted(last, unix_time, gap)) if known else None
    except (ValueError, OverflowError, RecursionError):  # no JSON, no open event, or none that we ever wrote
        return None
