"""Home Assistant with its MQTT integration alone, run by the Python of an environment that has it: FOLDER PORT.

Writes each state as a line of JSON, with None once an entity is removed, and calls the services that it reads.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from homeassistant import loader
from homeassistant.auth import auth_manager_from_config
from homeassistant.bootstrap import async_load_base_functionality
from homeassistant.config_entries import ConfigEntries, ConfigEntry
from homeassistant.core import CoreState, HomeAssistant, callback

EMPTY: dict[str, Any] = {"options": {}, "unique_id": None, "discovery_keys": {}, "subentries_data": None}


async def serve(folder: Path, port: int) -> None:
    """Until stdin ends."""
    home = await started(folder)
    home.bus.async_listen("state_changed", write)
    broker = {"broker": "127.0.0.1", "port": port, "protocol": "5"}
    entry = ConfigEntry(domain="mqtt", title="broker", data=broker, source="user", version=1, minor_version=2, **EMPTY)
    await home.config_entries.async_add(entry)
    while line := await asyncio.to_thread(sys.stdin.readline):
        domain, service, data = json.loads(line)
        await home.services.async_call(domain, service, data, blocking=True)
    await home.async_stop(force=True)


async def started(folder: Path) -> Any:
    """Home Assistant with its registries, and nothing else."""
    (folder / "configuration.yaml").touch()
    home = HomeAssistant(str(folder))
    home.config.skip_pip = True
    loader.async_setup(home)
    home.config_entries = ConfigEntries(home, {})
    await async_load_base_functionality(home)
    home.auth = await auth_manager_from_config(home, [], [])
    home.set_state(CoreState.running)
    return home


@callback  # type: ignore[untyped-decorator]  # in the loop, so that lines stay whole
def write(event: Any) -> None:
    """One line."""
    state = event.data["new_state"]
    found = None if state is None else {"state": state.state, "attributes": dict(state.attributes)}
    sys.stdout.write(json.dumps([event.data["entity_id"], found], default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
