"""A daemon with a CSI camera: released whatever ends it, and what happens where its service is stuck.

`tests/support/csi_camera.py`: what stands in for NVIDIA's.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Broker
from tests.support.csi_camera import FakeArgus
from tests.support.live_cameras import alive
from tests.support.real_daemon import QUICK_EVENTS, Daemon, Witness
from tests.support.waiting import wait_for

STUCK = "csi://0: Argus is stuck, or another program has this camera: sudo systemctl restart nvargus-daemon"
RESTARTED = "nvargus-daemon was restarted, because it kept cameras from opening: door"


@pytest.fixture
def argus(tmp_path: Path) -> FakeArgus:
    return FakeArgus(tmp_path)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    with Broker(tmp_path) as broker, Witness(broker.port) as witness:
        yield witness


@pytest.fixture
def daemon(tmp_path: Path, argus: FakeArgus, witness: Witness) -> Iterator[Daemon]:
    """It sees something through the CSI camera."""
    made = Daemon(tmp_path, witness.port, {"door": "csi://0"}, f"[cameras]\nrestart_argus = false\n{QUICK_EVENTS}")
    made.environment = argus.environment
    with made:
        witness.wait_for_new_steps()
        yield made


def test_it_runs_and_is_released_when_the_daemon_stops(daemon: Daemon, argus: FakeArgus) -> None:
    assert argus.owners == [daemon.capture_process()]
    assert "online: 1280x720 from csi://0 through GStreamer, nvarguscamerasrc" in daemon.log
    daemon.stop()
    assert argus.owners == []


def test_it_is_released_when_the_daemon_is_killed(daemon: Daemon, argus: FakeArgus) -> None:
    process = daemon.capture_process()
    daemon.kill()
    wait_for(lambda: not alive(process), "the end of the capture process")
    assert argus.owners == []


def test_it_is_released_before_it_is_opened_anew(daemon: Daemon, argus: FakeArgus, witness: Witness) -> None:
    """With another size, by a reload: Argus gives a camera to one client at a time."""
    former = daemon.capture_process()
    daemon.edit('source = "csi://0"', 'source = "csi://0"\nwidth = 640\nheight = 480')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_log("online: 640x480 from csi://0")
    assert argus.owners == [daemon.capture_process()]
    assert argus.owners != [former]
    assert "Argus" not in daemon.log


def test_a_stuck_argus_is_reported_and_restarted_where_that_is_allowed(
    daemon: Daemon, argus: FakeArgus, witness: Witness
) -> None:
    killed = daemon.capture_process()
    os.kill(killed, signal.SIGKILL)  # as the kernel does where memory runs out: nothing can be released
    daemon.wait_for_log(STUCK)
    witness.camera_is("offline")
    frames = witness.telemetry()["frames"]["door"]
    wait_for(lambda: witness.telemetry()["frames"]["door"] == frames, "no more frames")
    assert argus.owners == [killed]
    assert argus.asked == ""
    daemon.edit("restart_argus = false", "restart_argus = true")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_log(RESTARTED)
    witness.wait_for_new_steps()
    assert argus.asked == "--no-ask-password restart nvargus-daemon.service\n"
    daemon.stop()
    assert argus.owners == []
