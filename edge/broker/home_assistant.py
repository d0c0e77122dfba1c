"""Announces a device to Home Assistant by MQTT discovery, and removes what is there no longer. Pure.

One retained message describes the device with all its entities ("device discovery", Home Assistant 2024.11 and newer):
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from collections.abc import Mapping

from edge.broker.home_entities import DeviceDescription, Entity, entities
from edge.broker.topics import Topics, encode

MAX_RETIRED = 1000  # entities that are removed anew with each announcement


def discovery_topic(topics: Topics, prefix: str) -> str:
    """Where the one message is published; an empty one there makes Home Assistant forget the device."""
    return f"{prefix}/device/{_name(topics)}/config"


def discovery(topics: Topics, described: DeviceDescription, announced: Mapping[str, str] | None = None) -> bytes:
    """The one message. `announced`: platforms by key of what was ever announced; what of it is obsolete is removed."""
    present = components(topics, described)
    gone = {key: {"platform": platform} for key, platform in (announced or {}).items() if key not in present}
    name = _name(topics)
    return encode(
        {
            "device": {
                "identifiers": [name],
                "name": topics.device,
                "manufacturer": "korsal-edge",
                "model": described.model,
                "sw_version": described.version,
            },
            "origin": {"name": "korsal-edge", "sw_version": described.version},
            "availability": [{"topic": topics.available}],
            "qos": 1,
            "components": {**gone, **present},
        }
    )


def components(topics: Topics, described: DeviceDescription) -> dict[str, Entity]:
    """All entities by their keys, which are unique in the device and of A-Z a-z 0-9 _ - alone."""
    found = dict(entities(topics, described))
    return {key: {**entity, "unique_id": f"{_name(topics)}_{key}"} for key, entity in found.items()}


def remembered(present: Mapping[str, Entity], announced: Mapping[str, str]) -> dict[str, str]:
    """Platforms by key of all that was ever announced, for `discovery`: of what is gone, the newest `MAX_RETIRED`.

    Home Assistant may be away when an entity is removed, and the next message replaces the one that removed it.
    """
    gone = [(key, platform) for key, platform in announced.items() if key not in present]
    return {**dict(gone[-MAX_RETIRED:]), **{key: str(entity["platform"]) for key, entity in present.items()}}


def _name(topics: Topics) -> str:
    return topics.root.replace("/", "_")
