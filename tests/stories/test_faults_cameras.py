"""Faults of cameras, caused for real in front of a running daemon. Figures: docs/reliability.md."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.fake_http_camera import FakeHttpCamera, Mode
from tests.support.live_cameras import alive, serve
from tests.support.ports import free_port
from tests.support.real_daemon import BASE, RECORD, Daemon, Witness, timed
from tests.support.spot_model import write_frames
from tests.support.waiting import wait_for

pytest_plugins = ["tests.support.watched_door"]  # its fixtures


def test_unplugged_and_plugged_in_again(
    daemon: Daemon, witness: Witness, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    with timed(record_property, "noticed"):
        camera.go_away()
        witness.camera_is("offline")
    wait_for(lambda: witness.ends()[-1:] == ["camera"], "the end of what went on")
    daemon.wait_for_log("nothing listens")
    camera.come_back()
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()


@pytest.mark.parametrize(("mode", "reason"), [("frozen", "the same picture for 1 s"), ("silent", "no frame for 1 s")])
def test_it_repeats_its_image_or_stops_sending(
    mode: Mode, reason: str, daemon: Daemon, witness: Witness, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    with timed(record_property, "noticed"):
        camera.mode = mode
        witness.camera_is("stalled")
    daemon.wait_for_log(reason)
    wait_for(lambda: witness.ends()[-1:] == ["camera"], "the end of what went on")
    camera.mode = "moving"
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()
    wait_for(lambda: witness.telemetry()["stalls"]["door"] == 1, "the count")


def test_it_sends_invalid_images(
    daemon: Daemon, witness: Witness, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    with timed(record_property, "noticed"):
        camera.mode = "rubbish"
        wait_for(lambda: witness.ends()[-1:] == ["camera"], "the end of what went on", 60)
    camera.mode = "moving"
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()


def test_its_frames_change_their_size(daemon: Daemon, witness: Witness, camera: FakeHttpCamera) -> None:
    for size in ((480, 640), (24, 32), (48, 64)):
        camera.size = size
        before = witness.telemetry()["frames"]["door"]
        wait_for(lambda before=before: witness.telemetry()["frames"]["door"] > before + 30, "frames")  # type: ignore[misc]
        witness.wait_for_new_steps()


def test_its_process_is_killed(daemon: Daemon, witness: Witness, record_property: RECORD) -> None:
    killed = daemon.capture_process()
    with timed(record_property, "noticed"):
        os.kill(killed, signal.SIGKILL)
        witness.camera_is("offline")
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()
    assert daemon.capture_process() != killed


def test_its_process_hangs(daemon: Daemon, witness: Witness, record_property: RECORD) -> None:
    hanging = daemon.capture_process()
    with timed(record_property, "noticed"):
        os.kill(hanging, signal.SIGSTOP)
        witness.camera_is("stalled")
    with timed(record_property, "recovered"):
        witness.wait_for_new_steps()
    assert not alive(hanging)


def test_it_is_not_there_at_the_start(
    tmp_path: Path, witness: Witness, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    camera.go_away()
    with Daemon(tmp_path, witness.port, {"door": camera.url}) as daemon:
        daemon.wait_for_log("camera door: offline")
        camera.come_back()
        with timed(record_property, "recovered"):
            witness.wait_for_new_steps()
        daemon.stop()


def bright(number: int) -> NDArray[np.uint8]:
    """No two are the same."""
    image = np.full((48, 64, 3), 255, np.uint8)
    image[number % 48, :8] = 128
    return image


def test_an_rtsp_server_is_killed_and_started_again(tmp_path: Path, witness: Witness, record_property: RECORD) -> None:
    """The server is a process, and plays a video over and over."""
    video, port = write_frames(tmp_path / "video.ts", [bright(number) for number in range(50)], "mp4v"), free_port()
    with Daemon(tmp_path, witness.port, {"door": f"rtsp://127.0.0.1:{port}/live"}) as daemon:
        with serve("rtsp", port, video):
            witness.wait_for_new_steps()
        witness.camera_is("offline")
        with serve("rtsp", port, video), timed(record_property, "recovered"):
            witness.wait_for_new_steps()
        daemon.stop()
        witness.nothing_is_missing()


def test_a_faulty_camera_does_not_disturb_another(
    tmp_path: Path, witness: Witness, camera: FakeHttpCamera, record_property: RECORD
) -> None:
    with FakeHttpCamera() as well, Daemon(tmp_path, witness.port, {"door": camera.url, "yard": well.url}) as daemon:
        witness.wait_for_new_steps("door")
        for mode in ("silent", "rubbish"):
            camera.mode = mode
            with timed(record_property, f"meanwhile_{mode}"):
                witness.wait_for_new_steps("yard")
        states = witness.payloads(f"{BASE}/yard/state")
        assert set(states[states.index(b"online") :]) == {b"online"}
        daemon.stop()
        witness.nothing_is_missing()
