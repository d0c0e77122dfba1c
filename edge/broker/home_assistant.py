"""The device as Home Assistant's MQTT discovery wants to hear of it. Pure.

One retained message describes the device with all its entities ("device discovery", Home Assistant 2024.11 and newer):
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.broker.topics import Topics, encode

Entity = dict[str, object]


@dataclass(frozen=True)
class Described:
    """What Home Assistant is told. `snapshots`: whether pictures are published."""

    version: str
    model: str
    cameras: tuple[str, ...]
    snapshots: bool


def discovery(topics: Topics, prefix: str, described: Described) -> tuple[str, bytes]:
    """Topic and payload of the one message."""
    name = topics.root.replace("/", "_")  # of A-Za-z0-9_- alone, as Home Assistant wants it
    payload = {
        "device": {
            "identifiers": [name],
            "name": topics.device,
            "manufacturer": "korsal-edge",
            "model": described.model,
            "sw_version": described.version,
        },
        "origin": {"name": "korsal-edge", "sw_version": described.version},
        "availability_topic": topics.available,
        "qos": 1,
        "components": {key: {**entity, "unique_id": f"{name}_{key}"} for key, entity in _entities(topics, described)},
    }
    return f"{prefix}/device/{name}/config", encode(payload)


def _entities(topics: Topics, described: Described) -> Iterable[tuple[str, Entity]]:
    yield "queue", _reading("Waiting messages", topics.telemetry, "{{ value_json.queue.rows }}")
    yield "lost", _reading("Lost messages", topics.telemetry, "{{ value_json.lost.values() | sum }}")
    yield "reload", _button("Reload configuration", topics.request("reload"), b"{}")
    for camera in described.cameras:
        yield from _of_camera(camera, topics)
        if described.snapshots:
            yield from _pictures(camera, topics)


def _of_camera(camera: str, topics: Topics) -> Iterable[tuple[str, Entity]]:
    yield (
        f"{camera}_actions",
        {
            "platform": "event",
            "name": f"{camera} actions",
            "state_topic": topics.event_filter(camera),
            "event_types": ["new", "update", "end"],
            "icon": "mdi:run",
        },
    )
    yield (
        f"{camera}_people",
        {
            "platform": "sensor",
            "name": f"{camera} people",
            "state_topic": topics.active(camera),
            "value_template": "{{ value_json.values() | sum }}",
            "json_attributes_topic": topics.active(camera),
            "state_class": "measurement",
            "icon": "mdi:account-multiple",
        },
    )
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
    fps = f"{{{{ value_json.fps['{camera}'] | default(0) }}}}"
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
    wish = encode({"data": {"camera": camera}})
    yield f"{camera}_take", _button(f"Take a picture: {camera}", topics.request("snapshot"), wish)


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
