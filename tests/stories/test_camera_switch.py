"""Cameras are switched off and on over MQTT while the daemon runs, and stay so over a restart. All of it is real."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.asker import Asker
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.real_daemon import BASE, LONG, Daemon, Witness
from tests.support.waiting import wait_for

pytest_plugins = "tests.support.watched_door"
ALLOWED = "keepalive = 5\nallow_camera_switch = true\n"


@pytest.fixture
def daemon(fresh: Daemon, witness: Witness) -> Iterator[Daemon]:
    """It has seen something at the door, and may be asked to switch cameras."""
    fresh.edit("keepalive = 5\n", ALLOWED)
    with fresh:
        witness.wait_for_new_steps()
        yield fresh


def test_a_camera_is_switched_off_and_on(daemon: Daemon, witness: Witness, asker: Asker) -> None:
    process = psutil.Process(daemon.capture_process())
    answer = asker.ask("camera", {"camera": "door", "enabled": False})
    assert answer["data"] == {"camera": "door", "enabled": False, "kept": True}
    witness.camera_is("disabled")
    wait_for(lambda: not process.is_running(), "the capture process to end", LONG)
    wait_for(lambda: witness.ends()[-1:] == ["disabled"], "the end of what went on", LONG)
    wait_for(lambda: witness.telemetry()["disabled"] == {"door": True}, "the telemetry to say so", LONG)
    health = asker.ask("health")["data"]  # although all cameras are off
    assert (health["well"], health["cameras"]) == (True, {"door": "disabled"})
    assert asker.ask("camera", {"camera": "door", "enabled": True})["error"] is None
    witness.camera_is("online")
    witness.wait_for_new_steps()
    daemon.stop()
    witness.nothing_is_missing()


def test_a_camera_stays_off_over_restart_and_reload(daemon: Daemon, witness: Witness, asker: Asker) -> None:
    asker.ask("camera", {"camera": "door", "enabled": False})
    witness.camera_is("disabled")
    daemon.kill()
    daemon.start()
    daemon.wait_for_log("switched off by an earlier request: door; request/camera switches on")
    wait_for(lambda: witness.telemetry()["disabled"] == {"door": True}, "it to be off", LONG)
    daemon.edit("stall_seconds = 1", "stall_seconds = 2")
    assert asker.ask("reload")["error"] is None
    assert asker.ask("health")["data"]["cameras"] == {"door": "disabled"}
    assert not psutil.Process(daemon.process.pid).children()
    daemon.stop()
    assert witness.payloads(f"{BASE}/door/state")[-1] == b"disabled"


def test_a_damaged_file_leaves_all_cameras_on(fresh: Daemon, witness: Witness) -> None:
    fresh.edit("keepalive = 5\n", ALLOWED)
    file = fresh.folder / "state" / "roof.cameras.json"
    file.parent.mkdir()
    file.write_text('{"disabled": ["door"')
    with fresh:
        witness.wait_for_new_steps()
        assert fresh.log.count(f"{file} is damaged: all cameras are on") == 1
        fresh.stop()


def test_a_camera_is_removed_while_it_is_off(
    daemon: Daemon, witness: Witness, asker: Asker, tmp_path: Path, camera: FakeHttpCamera
) -> None:
    door = f'[cameras.door]\nsource = "{camera.url}"\nstall_seconds = 1\n'
    asker.ask("camera", {"camera": "door", "enabled": False})
    daemon.edit(door, door.replace("cameras.door", "cameras.yard"))
    assert asker.ask("reload")["error"] is None
    assert "no camera door" in asker.ask("camera", {"camera": "door", "enabled": True})["error"]
    daemon.edit(door.replace("cameras.door", "cameras.yard"), door)
    assert asker.ask("reload")["error"] is None
    witness.camera_is("online")  # a camera of that name is a new one, and on
    daemon.stop()


def test_switching_is_refused_unless_it_is_allowed(fresh: Daemon, witness: Witness, asker: Asker) -> None:
    with fresh:
        witness.wait_for_new_steps()
        answer = asker.ask("camera", {"camera": "door", "enabled": False})
        assert answer["error"] == "switching cameras is not allowed: set [mqtt] allow_camera_switch = true"
        witness.wait_for_new_steps()
        fresh.stop()
