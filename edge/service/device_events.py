"""Events about the device itself, published like those of people: it is too hot. Pure.

`new` when the first frames are skipped, `update` when the skipped share has changed, `end` when no frame is skipped any
more. They pass through the outbox like all events, and are ended after a crash like all events.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge.broker.message import Message
from edge.broker.payload import iso_time, retimed_start
from edge.broker.topics import Topics, encode
from edge.events import NAMESPACE, EventType

SCHEMA = 1  # version of the payload, described by docs/device-event.schema.json
THERMAL = "thermal"
UPDATE_SECONDS = 10.0  # at least, between two updates

Payload = Mapping[str, object]


@dataclass(frozen=True)
class ThermalState:
    """How hot the device is now. `skipped`: the share of frames that is skipped, 0..1; `limit`: °C.

    `sensor`, `celsius`: the hottest sensor, None where there is no reading.
    """

    skipped: float
    limit: float | None
    sensor: str | None = None
    celsius: float | None = None


@dataclass(frozen=True)
class ClockReading:
    """The wall clock and the monotonic clock at one moment, s; `clock_synced` as in `edge.sensors.clock.synced`."""

    unix: float
    monotonic: float
    clock_synced: bool | None = None


@dataclass(frozen=True)
class ThermalEvent:
    """The open event. `top`: the highest temperature so far, °C.

    `published_share`, `published_at`: the skipped share of the last step, and when it was published, monotonic, s.
    """

    event_id: str
    seq: int
    started: ClockReading
    top: float | None
    published_share: float
    published_at: float


@dataclass(frozen=True)
class DeviceEventState:
    """The state between two polls. `event_count`: events so far, the open one included."""

    device: str
    seed: str
    event_count: int = 0
    event: ThermalEvent | None = None


def initial(device: str, seed: str) -> DeviceEventState:
    """No event yet. Event ids are unique among runs with different seeds."""
    return DeviceEventState(device, seed)


def step(state: DeviceEventState, thermal: ThermalState, now: ClockReading) -> tuple[DeviceEventState, Payload | None]:
    """The new state, and the payload of the step to publish, if any."""
    if state.event is None:
        return _begin(state, thermal, now) if thermal.skipped else (state, None)
    event = replace(state.event, top=_higher(state.event.top, thermal.celsius))
    if not thermal.skipped:
        return _end(state, event, thermal, now, "unknown" if thermal.celsius is None else "cooled")
    if thermal.skipped == event.published_share or now.monotonic - event.published_at < UPDATE_SECONDS:
        return replace(state, event=event), None
    event = replace(event, seq=event.seq + 1, published_share=thermal.skipped, published_at=now.monotonic)
    return replace(state, event=event), _payload(state, event, thermal, now, "update")


def close(state: DeviceEventState, thermal: ThermalState, now: ClockReading) -> tuple[DeviceEventState, Payload | None]:
    """End the open event, if there is one, because the program stops."""
    return (state, None) if state.event is None else _end(state, state.event, thermal, now, "shutdown")


def message(payload: Payload, topics: Topics, expires: float) -> Message:
    """The message of a step; `expires`: unix time, s."""
    event_id, seq, kind = str(payload["event_id"]), int(str(payload["seq"])), str(payload["type"])
    return Message(topics.device_event(THERMAL), encode(payload), event_id, seq, kind, expires)


def _begin(state: DeviceEventState, thermal: ThermalState, now: ClockReading) -> tuple[DeviceEventState, Payload]:
    name = json.dumps([state.seed, state.device, THERMAL, state.event_count])
    event = ThermalEvent(str(uuid.uuid5(NAMESPACE, name)), 0, now, thermal.celsius, thermal.skipped, now.monotonic)
    return replace(state, event_count=state.event_count + 1, event=event), _payload(state, event, thermal, now, "new")


def _end(
    state: DeviceEventState, event: ThermalEvent, thermal: ThermalState, now: ClockReading, reason: str
) -> tuple[DeviceEventState, Payload]:
    ended = replace(event, seq=event.seq + 1)
    return replace(state, event=None), _payload(state, ended, replace(thermal, skipped=0.0), now, "end", reason)


def _payload(
    state: DeviceEventState,
    event: ThermalEvent,
    thermal: ThermalState,
    now: ClockReading,
    kind: EventType,
    reason: str | None = None,
) -> Payload:
    duration = now.monotonic - event.started.monotonic
    started = retimed_start(event.started.unix, event.started.monotonic, now.unix - now.monotonic)
    return {
        "schema": SCHEMA,
        "type": kind,
        "event_type": kind,
        "event_id": event.event_id,
        "seq": event.seq,
        "device": state.device,
        "kind": THERMAL,
        "started": iso_time(started),
        "ended": iso_time(started + duration) if kind == "end" else None,
        "duration": round(duration, 3),
        "skipped": round(thermal.skipped, 3),
        "sensor": thermal.sensor,
        "temperature_c": _rounded(thermal.celsius),
        "top_temperature_c": _rounded(event.top),
        "limit_c": thermal.limit,
        "t_publish": round(now.unix, 3),
        "clock_synced": now.clock_synced,
        "reason_ended": reason,
    }


def _higher(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _rounded(celsius: float | None) -> float | None:
    return None if celsius is None else round(celsius, 1)
