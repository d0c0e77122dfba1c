"""A real daemon, seen and set by Home Assistant itself. Needs a Python with its package: `scripts/home-assistant`."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import Broker
from tests.support.paths import ROOT
from tests.support.started_daemon import LiveStream, running, write_config
from tests.support.waiting import wait_for

ACTION = "Shine"
PYTHON = os.environ.get("KORSAL_HOMEASSISTANT", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="KORSAL_HOMEASSISTANT names no Python with the package homeassistant"),
]


class Home:
    """A running Home Assistant: the newest state of each entity, by what a person reads; None once it is removed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._ids: dict[str, str] = {}
        self.states: dict[tuple[str, str], dict[str, Any] | None] = {}  # by platform and name
        threading.Thread(target=self._read, daemon=True).start()

    def state(self, platform: str, name: str) -> str | None:
        found = self.states.get((platform, name))
        return None if found is None else str(found["state"])

    def call(self, service: str, platform: str, name: str, **data: object) -> None:
        """A service, for one entity."""
        entity = next(one for one, known in self._ids.items() if known == name and one.startswith(f"{platform}."))
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([platform, service, {"entity_id": entity, **data}]) + "\n")
        self._process.stdin.flush()

    def wait_for(self, platform: str, name: str, state: str | None) -> None:
        wait_for(
            lambda: (platform, name) in self.states and self.state(platform, name) == state,
            f"{platform} {name} is {state}: {self.states}",
        )

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            entity, found = json.loads(line)
            if found is not None:
                self._ids[entity] = found["attributes"]["friendly_name"]
            self.states[entity.split(".")[0], self._ids[entity]] = found


@contextlib.contextmanager
def home_assistant(folder: Path, port: int) -> Iterator[Home]:
    folder.mkdir()
    command = [PYTHON, str(ROOT / "tests" / "support" / "home_assistant_run.py"), str(folder), str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Home(process)
    finally:
        process.kill()
        process.communicate()


def test_a_person_sees_and_sets_what_the_daemon_does(tmp_path: Path, broker: Broker, stream: LiveStream) -> None:
    stream.bright = False
    with contextlib.closing(LiveStream()) as other, home_assistant(tmp_path / "home", broker.port) as home:
        config = write_config(
            tmp_path, broker.port, {"door": stream.url, "yard": other.url}, "[telemetry]\ninterval = 1\n"
        )
        more = "discovery = true\nallow_remote_config = true\nallow_camera_switch = true\nsnapshots = true\n[outbox]"
        config.write_text(config.read_text().replace("[outbox]", more))
        with running(config) as daemon:
            home.wait_for("binary_sensor", "roof door camera", "on")
            stream.bright = True
            it_is_seen(home, stream)
            it_is_set(home, config)
            config.write_text(config.read_text().replace(f'[cameras.yard]\nsource = "{other.url}"\n', ""))
            daemon.send_signal(signal.SIGHUP)
            for platform, name in list(home.states):
                if name.startswith("roof yard"):
                    home.wait_for(platform, name, None)
            assert home.state("switch", "roof door enabled") == "on"
        config.write_text(config.read_text().replace("discovery = true", "discovery = false"))
        with running(config):
            wait_for(lambda: not any(home.states.values()), f"nothing is left: {home.states}")


def it_is_seen(home: Home, stream: LiveStream) -> None:
    """The event that begins, and that it ends."""
    home.wait_for("binary_sensor", f"roof door {ACTION}", "on")
    for name, kind in (f"roof door {ACTION} event", "new"), ("roof door actions", ACTION):
        wait_for(lambda: (home.states.get(("event", name)) or {}).get("attributes", {}).get("event_type") == kind, name)  # noqa: B023
        seen = home.states["event", name]
        assert seen is not None
        assert (seen["attributes"]["camera"], seen["attributes"]["action"]) == ("door", ACTION)
    wait_for(lambda: home.state("image", "roof door picture") not in ("unknown", "unavailable", None), "a picture")
    wait_for(lambda: home.state("sensor", "roof door frame rate") not in ("unknown", "unavailable", None), "a rate")
    stream.bright = False
    home.wait_for("binary_sensor", f"roof door {ACTION}", "off")


def it_is_set(home: Home, config: Path) -> None:
    """A score, into config.toml; a camera, off and on."""
    home.call("set_value", "number", f"roof door {ACTION} start score", value=0.95)
    home.wait_for("number", f"roof door {ACTION} start score", "0.95")
    assert "start_score = 0.95" in config.read_text()
    home.call("turn_off", "switch", "roof door enabled")
    home.wait_for("switch", "roof door enabled", "off")
    home.wait_for("event", f"roof door {ACTION} event", "unavailable")
    home.call("turn_on", "switch", "roof door enabled")
    home.wait_for("switch", "roof door enabled", "on")
