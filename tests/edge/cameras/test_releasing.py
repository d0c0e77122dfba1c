"""A capture process releases its camera before it ends, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.cameras import argus
from edge.cameras.argus import argus_fault
from edge.cameras.ending_processes import RELEASE_SECONDS, EndingProcesses
from edge.cameras.live_camera import LiveCamera, LiveSettings, close_cameras
from edge.sources import parse
from tests.support import system_gstreamer
from tests.support.live_cameras import ROOT, alive, always, first_frame, watch_until
from tests.support.system_gstreamer import require_opencv
from tests.support.waiting import PATIENCE, wait_for

HASTY = LiveSettings(stall_seconds=1.0, open_seconds=30.0, min_retry=0.05, max_retry=0.2)


def camera(plan: str, uri: str, python: str = sys.executable) -> LiveCamera:
    program = (python, str(ROOT / "tests/support/fake_camera.py"), plan)
    return LiveCamera("door", parse(uri), HASTY, always(0.5), program)


def released(steering: Path) -> set[int]:
    """The processes that have released their camera."""
    return {int(path.suffix[1:]) for path in steering.parent.glob(f"{steering.name}.*")}


def test_it_is_released_when_it_is_closed(tmp_path: Path) -> None:
    steering = tmp_path / "silence"
    with camera("releasing", f"v4l2://{steering}") as live:
        first_frame(live)
        process = live.process_id
    assert released(steering) == {process}


def test_a_stalled_one_is_released_before_the_next_process_begins(tmp_path: Path) -> None:
    steering = tmp_path / "silence"
    with camera("releasing", f"v4l2://{steering}") as live:
        first_frame(live)
        former = live.process_id
        steering.touch()
        watch_until(live, lambda: live.state == "stalled")
        watch_until(live, lambda: live.process_id not in (None, former))
        assert released(steering) == {former}


PARENT = """
import sys
from edge.cameras.live_camera import LiveCamera
from edge.sources import parse
camera = LiveCamera("door", parse(sys.argv[1]), program=sys.argv[2:])
while camera.newest(1) is None:
    pass
print(camera.process_id, flush=True)
while True:
    camera.newest(1)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_released_when_the_parent_dies(tmp_path: Path, number: signal.Signals) -> None:
    steering = tmp_path / "silence"
    program = [sys.executable, str(ROOT / "tests/support/fake_camera.py"), "releasing"]
    command = [sys.executable, "-c", PARENT, f"v4l2://{steering}", *program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        os.kill(process, signal.SIGTERM)  # as from a service manager that signals the whole group: not its business
        parent.send_signal(number)
        parent.wait(PATIENCE)
    wait_for(lambda: not alive(process), "the end of the capture process")
    assert released(steering) == {process}


def test_a_pipeline_that_blocks_is_set_to_null(tmp_path: Path) -> None:
    """OpenCV 4.6 waits for its frame without limit; only another thread can end that.

    A busy machine may take longer than the process is given; one that nobody frees takes longer each time.
    """
    require_opencv()
    ends: list[int | None] = []
    while 0 not in ends and len(ends) < 4:
        with camera("hanging_first", "v4l2:///dev/null", system_gstreamer.PYTHON) as live:
            watch_until(live, lambda: live._process is not None and live._process.attempt == "hanging decoder")
            assert live._process is not None
            process = live._process.process
        ends.append(process.returncode)
    assert ends[-1] == 0, ends  # not killed, neither by the parent nor by its own alarm


def test_many_that_hang_are_ended_at_the_same_time(tmp_path: Path) -> None:
    cameras = [camera("releasing", f"v4l2://{tmp_path}/{number}") for number in range(5)]
    processes = []
    for live in cameras:
        first_frame(live)
        assert live.process_id is not None
        processes.append(live.process_id)
        os.kill(live.process_id, signal.SIGSTOP)
    began = time.monotonic()
    close_cameras(cameras)
    assert time.monotonic() - began < len(cameras) * RELEASE_SECONDS  # one after the other takes longer
    assert not any(map(alive, processes))


class Stubborn:
    """A process that ends only when it is killed."""

    pid = 4711

    def __init__(self) -> None:
        self.killed = False

    def poll(self) -> int | None:
        return -9 if self.killed else None

    def kill(self) -> None:
        self.killed = True


def test_what_does_not_release_its_camera_in_time_is_killed() -> None:
    ending, process = EndingProcesses(), Stubborn()
    ending.add(process, now=10.0)
    assert ending.poll(10.0 + RELEASE_SECONDS - 0.1) == 1
    assert (ending.releasing, ending.hanging, process.killed) == (True, 0, False)
    assert ending.poll(10.0 + RELEASE_SECONDS) == 0
    assert process.killed


def test_a_stuck_argus_is_named_with_the_command(caplog: pytest.LogCaptureFixture) -> None:
    with camera("silent_argus", "csi://0") as live:
        watch_until(live, lambda: bool(live.reason))
        assert live.stuck_service == "nvargus-daemon"
    assert "csi://0: Argus is stuck, or another program has this camera: sudo systemctl restart" in caplog.text


def test_a_csi_camera_without_any_image_may_have_a_stuck_argus(tmp_path: Path) -> None:
    steering = tmp_path / "silence"
    steering.touch()
    live = camera("choosing", "csi://0")
    live.settings = LiveSettings(start_seconds=0.0, open_seconds=0.0, min_retry=0.05, max_retry=0.2)
    with live:
        watch_until(live, lambda: bool(live.reason))
    assert live.reason.endswith(argus.SILENT)
    assert live.stuck_service == "nvargus-daemon"


@pytest.mark.parametrize(
    ("written", "sentence", "stuck"),
    [
        ("(Argus) Error FileOperationFailed: Connecting to nvargus-daemon failed: Connection refused", "not run", True),
        ("Error generated. gstnvarguscamerasrc.cpp, execute:568 Failed to create CaptureSession", "is stuck", True),
        ("(Argus) Error Timeout:  (propagating from src/rpc/socket/client)", "is stuck", True),
        ("Error generated. gstnvarguscamerasrc.cpp, execute:729 No cameras available", "check its cable", False),
        ("Error generated. gstnvarguscamerasrc.cpp, execute:740 Invalid camera device specified 3", "number", False),
        ("Connecting to nvargus-daemon failed: Permission denied", "may not use Argus", False),
    ],
)
def test_what_argus_writes(written: str, sentence: str, stuck: bool) -> None:
    fault = argus_fault(f"GST_ARGUS: Creating output stream\n{written}\n")
    assert fault is not None
    assert sentence in fault.sentence
    assert fault.stuck == stuck


def test_what_nobody_knows_of_argus() -> None:
    assert argus_fault("GST_ARGUS: Available Sensor modes :") is None
