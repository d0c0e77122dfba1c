"""Much at once, and little room: what holds under a real daemon. Figures and the table: docs/reliability.md."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import Broker, Relay
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.real_daemon import BASE, RECORD, Daemon, Witness, timed
from tests.support.waiting import wait_for

pytest_plugins = ["tests.support.watched_door"]  # its fixtures

CAMERAS = 48


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_forty_eight_cameras(tmp_path: Path, camera: FakeHttpCamera, record_property: RECORD) -> None:
    """Each has its process; all are told of, and all end in order."""
    names = [f"door{number}" for number in range(CAMERAS)]
    with Broker(tmp_path) as broker, Witness(broker.port) as witness:
        daemon = Daemon(tmp_path, broker.port, dict.fromkeys(names, camera.url))
        daemon.edit("stall_seconds = 1", "stall_seconds = 60\nfps = 1")
        with daemon, timed(record_property, "all"):
            wait_for(lambda: {event["camera"] for event in witness.events()} == set(names), "news of all", 300)
            daemon.stop()
        for name in names:
            witness.camera_is("offline", name)
        witness.nothing_is_missing()


@pytest.mark.slow
def test_two_daemons_with_one_state_directory(tmp_path: Path, camera: FakeHttpCamera) -> None:
    """The second cannot have the outbox's file: it keeps its events in memory, and says so."""
    second = tmp_path / "second"
    second.mkdir()
    with Broker(tmp_path) as broker, Witness(broker.port) as witness:
        first = Daemon(tmp_path, broker.port, {"door": camera.url})
        other = Daemon(second, broker.port, {"yard": camera.url})
        other.edit('directory = "state"', f'directory = "{tmp_path / "state"}"')
        other.edit("keepalive = 5", 'keepalive = 5\nclient_id = "another"')
        with first:
            witness.wait_for_new_steps("door")
            with other:
                other.wait_for_log("events are kept in memory")
                witness.wait_for_new_steps("yard")
                witness.wait_for_new_steps("door")
                other.stop()
            witness.wait_for_new_steps("door")
            first.stop()
        witness.nothing_is_missing()
    assert "damaged" not in first.log + other.log


def test_forty_descriptors_are_enough(tmp_path: Path, camera: FakeHttpCamera) -> None:
    with Broker(tmp_path) as broker, Witness(broker.port) as witness:
        daemon = Daemon(tmp_path, broker.port, {"door": camera.url})
        daemon.prefix = ("prlimit", "--nofile=40:40")
        with daemon:
            witness.wait_for_new_steps()
            daemon.stop()
        witness.nothing_is_missing()


class DeadLink(Relay):
    """One on which nothing comes through while it is `down`; nobody is told, and what was sent then comes later."""

    def __init__(self, target: int) -> None:
        self._up = threading.Event()
        self._up.set()
        super().__init__(target)

    def down(self) -> None:
        self._up.clear()

    def up(self) -> None:
        self._up.set()

    def _pass_on(self, source: Any, target: Any) -> None:
        try:
            while data := source.recv(4096):
                self._up.wait()
                target.sendall(data)
        except OSError:
            return


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [20])
def test_the_link_is_down(seconds: float, tmp_path: Path, camera: FakeHttpCamera, record_property: RECORD) -> None:
    """For longer than the keepalive, and than one waits for an answer."""
    with Broker(tmp_path) as broker, DeadLink(broker.port) as link, Witness(broker.port) as witness:
        with Daemon(tmp_path, link.port, {"door": camera.url}) as daemon:
            witness.wait_for_new_steps()
            link.down()
            threading.Event().wait(seconds)
            link.up()
            with timed(record_property, "recovered"):
                witness.wait_for_new_steps()
            wait_for(lambda: witness.payloads(f"{BASE}/available")[-1:] == [b"online"], "online")
            daemon.stop()
        witness.nothing_is_missing()
