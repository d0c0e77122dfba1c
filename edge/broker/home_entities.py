"""The entities of a device for Home Assistant: what is seen, what can be set, how the device is. Pure.

An entity's state changes, and is recorded, when an event begins or ends, and not with each of its updates.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from edge.broker.topics import Topics, encode, level

Entity = dict[str, object]

PLATFORMS = ("binary_sensor", "button", "event", "image", "number", "sensor", "switch")


@dataclass(frozen=True)
class DeviceDescription:
    """What is announced. `actions`: the model's; `snapshots`: whether pictures are published.

    `switches`: whether cameras may be switched off and on; `tunable`: whether scores may be changed.
    """

    version: str
    model: str
    actions: tuple[str, ...]
    cameras: tuple[str, ...]
    snapshots: bool
    switches: bool = False
    tunable: bool = False


def entities(topics: Topics, described: DeviceDescription) -> Iterable[tuple[str, Entity]]:
    """All of them, each with its key."""
    yield "queue", _reading("Waiting messages", topics.telemetry, "{{ value_json.queue.rows }}")
    yield "lost", _reading("Lost messages", topics.telemetry, "{{ value_json.lost.values() | sum }}")
    hottest = "{{ value_json.hardware.temperatures_c.values() | max | default(none) }}"
    heat = _reading("Hottest sensor", topics.telemetry, hottest)
    yield "temperature", {**heat, "device_class": "temperature", "unit_of_measurement": "°C"}
    yield "reload", _button("Reload configuration", topics.request("reload"), b"{}")
    for camera in described.cameras:
        yield from _observations(camera, topics, described.actions)
        yield from _health(camera, topics)
        if described.snapshots:
            yield from _pictures(camera, topics)
        if described.switches:
            yield f"{camera}_enabled", _switch(camera, topics)
        if described.tunable:
            for action in described.actions:
                yield f"{_key(camera, action)}_start", _threshold(camera, action, "start_score", topics)
                keep = _threshold(camera, action, "keep_score", topics)
                yield f"{_key(camera, action)}_keep", {**keep, "enabled_by_default": False}


def _observations(camera: str, topics: Topics, actions: tuple[str, ...]) -> Iterable[tuple[str, Entity]]:
    """The actions and people in front of a camera; unavailable while the camera is not online."""
    online = {"topic": topics.state(camera), "value_template": "{{ 'online' if value == 'online' else 'offline' }}"}
    watched = {"availability": [{"topic": topics.available}, online], "availability_mode": "all"}
    yield (
        f"{camera}_actions",
        {
            **watched,
            "platform": "event",
            "name": f"{camera} actions",
            "state_topic": topics.event_filter(camera),
            "value_template": _beginning("value_json.action"),
            "event_types": list(actions),
            "icon": "mdi:run",
        },
    )
    for action in actions:
        yield f"{_key(camera, action)}_running", {**watched, **_action_sensor(camera, action, topics)}
        yield f"{_key(camera, action)}_event", {**watched, **_action_event(camera, action, topics)}
    yield f"{camera}_people", {**watched, **_count(f"{camera} people", topics.people(camera), "active")}
    others = _count(f"{camera} other people", topics.people(camera), "other")
    yield f"{camera}_others", {**watched, **others, "enabled_by_default": False}  # it changes every few seconds


def _key(camera: str, action: str) -> str:
    """The beginning of the keys of an action's entities: `door--on_Long-20Jump`, with `_running` or `_event` behind it.

    A hyphen in what stands for the action is followed by two digits, so that the last `--` ends the camera's name; and
    no other key ends so.
    """
    return f"{camera}--on_{level(action).replace('-', '%2D').replace('%', '-')}"


def _action_sensor(camera: str, action: str, topics: Topics) -> Entity:
    """On while an event of this action is running."""
    key = json.dumps(action, ensure_ascii=False)  # a JSON string is a Jinja string too
    return {
        "platform": "binary_sensor",
        "name": f"{camera} {action}",
        "state_topic": topics.active(camera),
        "value_template": f"{{{{ 'ON' if value_json[{key}] | default(0) > 0 else 'OFF' }}}}",
        "icon": "mdi:run",
    }


def _action_event(camera: str, action: str, topics: Topics) -> Entity:
    """Triggers when an event of this action begins."""
    return {
        "platform": "event",
        "name": f"{camera} {action} event",
        "state_topic": topics.event(camera, action),
        "value_template": _beginning("'new'"),
        "event_types": ["new"],
        "icon": "mdi:run",
    }


def _beginning(event_type: str) -> str:
    """A template by which only the first step of an event triggers, with all its keys as attributes."""
    return "{% if value_json.type == 'new' %}{{ dict(value_json, event_type=" + event_type + ") | tojson }}{% endif %}"


def _threshold(camera: str, action: str, key: str, topics: Topics) -> Entity:
    """A score at which events begin or continue, to be read and set for one camera and action."""
    name = json.dumps(action, ensure_ascii=False)
    changed = f'{{"cameras": {{"{camera}": {{"actions": {{{name}: {{"{key}": value | float}}}}}}}}}}'
    return {
        "platform": "number",
        "name": f"{camera} {action} {key.replace('_', ' ')}",
        "state_topic": topics.thresholds(camera),
        "value_template": f"{{{{ value_json[{name}].{key} }}}}",
        "command_topic": topics.request("config-set"),
        "command_template": f"{{{{ {{'data': {changed}}} | tojson }}}}",
        "min": 0,
        "max": 1,
        "step": 0.01,
        "mode": "slider",
        "entity_category": "config",
        "icon": "mdi:tune-vertical",
    }


def _count(name: str, topic: str, key: str) -> Entity:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{key} }}}}",
        "state_class": "measurement",
        "icon": "mdi:account-multiple",
    }


def _health(camera: str, topics: Topics) -> Iterable[tuple[str, Entity]]:
    yield (
        f"{camera}_online",
        {
            "platform": "binary_sensor",
            "name": f"{camera} camera",
            "state_topic": topics.state(camera),
            "value_template": "{{ 'ON' if value == 'online' else 'OFF' }}",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
        },
    )
    too_slow = f"{{{{ 'ON' if value_json.overloaded['{camera}'] | default(false) else 'OFF' }}}}"
    yield (
        f"{camera}_overloaded",
        {
            "platform": "binary_sensor",
            "name": f"{camera} overload",
            "state_topic": topics.telemetry,
            "value_template": too_slow,
            "device_class": "problem",
            "entity_category": "diagnostic",
        },
    )
    fps = f"{{{{ value_json.fps['{camera}'] | default(0) | round | int }}}}"  # whole, so that it changes rarely
    yield f"{camera}_fps", {**_reading(f"{camera} frame rate", topics.telemetry, fps), "unit_of_measurement": "fps"}


def _pictures(camera: str, topics: Topics) -> Iterable[tuple[str, Entity]]:
    yield (
        f"{camera}_picture",
        {
            "platform": "image",
            "name": f"{camera} picture",
            "image_topic": f"{topics.snapshot(camera)}/#",
            "content_type": "image/jpeg",
        },
    )
    request = encode({"data": {"camera": camera}})
    yield f"{camera}_take", _button(f"Take a picture: {camera}", topics.request("snapshot"), request)


def _switch(camera: str, topics: Topics) -> Entity:
    """Switches a camera off and on; a camera that is on may well be offline."""
    on, off = (encode({"data": {"camera": camera, "enabled": enabled}}).decode() for enabled in (True, False))
    return {
        "platform": "switch",
        "name": f"{camera} enabled",
        "state_topic": topics.state(camera),
        "value_template": "{{ 'OFF' if value == 'disabled' else 'ON' }}",
        "command_topic": topics.request("camera"),
        "payload_on": on,
        "payload_off": off,
        "state_on": "ON",
        "state_off": "OFF",
        "icon": "mdi:cctv",
    }


def _reading(name: str, topic: str, template: str) -> Entity:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": template,
        "state_class": "measurement",
        "entity_category": "diagnostic",
    }


def _button(name: str, topic: str, payload: bytes) -> Entity:
    return {
        "platform": "button",
        "name": name,
        "command_topic": topic,
        "payload_press": payload.decode(),
        "entity_category": "config",
    }
