"""What happens to the device itself, told as events like those of people: it is too hot. Pure.

One `new` when frames begin to be left out, an `update` when their share has changed, one `end` when all are taken
again. They go through the outbox as all events do, and a crash leaves them open and closed as all events.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge.broker.message import Message
from edge.broker.payload import iso_time
from edge.broker.retelling import start_retold
from edge.broker.topics import Topics, encode
from edge.events import NAMESPACE, EventType

SCHEMA = 1  # version of the payload, described by docs/device-event.schema.json
THERMAL = "thermal"
UPDATE_SECONDS = 10.0  # at least, between two updates

Payload = Mapping[str, object]


@dataclass(frozen=True)
class Heat:
    """What the device is like now. `skipped`: share of the frames that is left out, 0..1; `limit`: °C.

    `sensor`, `celsius`: the hottest one, None where none speaks.
    """

    skipped: float
    limit: float | None
    sensor: str | None = None
    celsius: float | None = None


@dataclass(frozen=True)
class Moment:
    """What the clocks say, s, and whether the wall clock is to be believed (`edge.sensors.clock.synced`)."""

    unix: float
    monotonic: float
    clock_synced: bool | None = None


@dataclass(frozen=True)
class Hot:
    """An event that goes on. `told`, `told_at`: the share last told, and when, monotonic s; `first`: its beginning."""

    event_id: str
    seq: int
    first: Moment
    top: float | None
    told: float
    told_at: float


@dataclass(frozen=True)
class DeviceState:
    """What is carried from one look to the next. `begun`: how many events there have been."""

    device: str
    seed: str
    begun: int = 0
    hot: Hot | None = None


def initial(device: str, seed: str) -> DeviceState:
    """All is well. Event ids are unique among runs with different seeds."""
    return DeviceState(device, seed)


def step(state: DeviceState, heat: Heat, now: Moment) -> tuple[DeviceState, Payload | None]:
    """What is to be told of the heat now, if anything."""
    if state.hot is None:
        return _begin(state, heat, now) if heat.skipped else (state, None)
    hot = replace(state.hot, top=_higher(state.hot.top, heat.celsius))
    if not heat.skipped:
        return _end(state, hot, heat, now, "unknown" if heat.celsius is None else "cooled")
    if heat.skipped == hot.told or now.monotonic - hot.told_at < UPDATE_SECONDS:
        return replace(state, hot=hot), None
    hot = replace(hot, seq=hot.seq + 1, told=heat.skipped, told_at=now.monotonic)
    return replace(state, hot=hot), _payload(state, hot, heat, now, "update")


def close(state: DeviceState, heat: Heat, now: Moment) -> tuple[DeviceState, Payload | None]:
    """The end of what goes on, because the program stops."""
    return (state, None) if state.hot is None else _end(state, state.hot, heat, now, "shutdown")


def message(payload: Payload, topics: Topics, expires: float) -> Message:
    """The step on its way; `expires`: unix time, s."""
    event_id, seq, kind = str(payload["event_id"]), int(str(payload["seq"])), str(payload["type"])
    return Message(topics.device_event(THERMAL), encode(payload), event_id, seq, kind, expires)


def _begin(state: DeviceState, heat: Heat, now: Moment) -> tuple[DeviceState, Payload]:
    name = json.dumps([state.seed, state.device, THERMAL, state.begun])
    hot = Hot(str(uuid.uuid5(NAMESPACE, name)), 0, now, heat.celsius, heat.skipped, now.monotonic)
    return replace(state, begun=state.begun + 1, hot=hot), _payload(state, hot, heat, now, "new")


def _end(state: DeviceState, hot: Hot, heat: Heat, now: Moment, reason: str) -> tuple[DeviceState, Payload]:
    ended = replace(hot, seq=hot.seq + 1)
    return replace(state, hot=None), _payload(state, ended, replace(heat, skipped=0.0), now, "end", reason)


def _payload(
    state: DeviceState, hot: Hot, heat: Heat, now: Moment, kind: EventType, reason: str | None = None
) -> Payload:
    duration = now.monotonic - hot.first.monotonic
    started = start_retold(hot.first.unix, hot.first.monotonic, now.unix - now.monotonic)
    return {
        "schema": SCHEMA,
        "type": kind,
        "event_type": kind,
        "event_id": hot.event_id,
        "seq": hot.seq,
        "device": state.device,
        "kind": THERMAL,
        "started": iso_time(started),
        "ended": iso_time(started + duration) if kind == "end" else None,
        "duration": round(duration, 3),
        "skipped": round(heat.skipped, 3),
        "sensor": heat.sensor,
        "temperature_c": _rounded(heat.celsius),
        "top_temperature_c": _rounded(hot.top),
        "limit_c": heat.limit,
        "t_publish": round(now.unix, 3),
        "clock_synced": now.clock_synced,
        "reason_ended": reason,
    }


def _higher(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _rounded(celsius: float | None) -> float | None:
    return None if celsius is None else round(celsius, 1)
