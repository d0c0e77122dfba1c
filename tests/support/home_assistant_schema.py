"""Holds a discovery message to Home Assistant's own schemas; run by the Python of an environment that has it.

Reads the message from stdin, writes how many entities of each platform were accepted.
"""

import asyncio
import importlib
import json
import sys
import tempfile
from collections import Counter
from typing import Any

from homeassistant.components.mqtt import schemas
from homeassistant.core import HomeAssistant

SHARED = ("device", "origin", "availability", "qos")  # of the message, for every entity


async def accepted(payload: Any) -> Counter[str]:
    """Raises voluptuous.Invalid where Home Assistant would refuse the message or an entity."""
    home = HomeAssistant(tempfile.mkdtemp())
    message = schemas.DEVICE_DISCOVERY_SCHEMA(payload)
    found: Counter[str] = Counter()
    for component in message["components"].values():
        entity = dict(component)
        platform = entity.pop("platform")
        if not entity:
            found["removed"] += 1
            continue
        module = importlib.import_module(f"homeassistant.components.mqtt.{platform}")
        module.DISCOVERY_SCHEMA({**{key: message[key] for key in SHARED}, **entity})
        found[platform] += 1
    await home.async_stop(force=True)
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(accepted(json.load(sys.stdin)))))
