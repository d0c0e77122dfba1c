"""The first hours on a Jetson, rehearsed on a PC: install, first start, two cameras, an upgrade of JetPack, uninstall.

By hand, with KORSAL_JETPACK=FOLDER, where the root is kept (2.5 GB; a quarter of an hour the first time, then half of
that). Debian 12 with real systemd 252 in a container without a network; its packages come from Debian, and what NVIDIA
brings has a stand-in. What these do not prove:

- TensorRT (`jetpack/tensorrt.py`): that the model is taken, what is computed, how long a build takes, how fast it is
- CUDA (`jetpack/libcudart.c`): that a GPU computes anything; graphs are refused, so the path without them runs
- GStreamer elements (`jetpack/gst_elements.c`): how NVIDIA's behave; memory:NVMM is a name here
- OpenCV 4.6 of Debian: that JetPack's 4.8 has GStreamer in the same way, and agrees with NumPy 1
- /dev/nvmap and others: only that they are listed and allowed; they are /dev/null
- the release: the same Python stays, as between two releases of JetPack 6; from 6 to 7 Python changes, and the
  environment with it, so that install.sh must run again
- the kernel's files: a container cannot have /proc/device-tree or another /sys, so that the installed program reads a
  tree of files in a folder; the daemon's telemetry is that of a PC
- the processor: x86-64; `aarch64_install.sh` has the other one
"""

import json
import os
import re
import shutil
from collections.abc import Iterator

import pytest

from tests.support.installed_service import (
    CLIP,
    allowed,
    configure,
    copied,
    everything,
    is_ready,
    journal,
    listen,
    received,
    wheels_for,
)
from tests.support.jetpack_root import (
    JETPACK_6,
    JETPACK_7,
    STAND_INS,
    make_jetpack_root,
    plant_stand_ins,
    set_release,
)
from tests.support.machine import Machine, booted, require_tools
from tests.support.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif("KORSAL_JETPACK" not in os.environ, reason="by hand: KORSAL_JETPACK=FOLDER keeps its root"),
]

CONFIG = """
[device]
name = "roof"
[cameras.gate]
source = "csi://0"
fps = 1
[cameras.door]
source = "rtsp://127.0.0.1:8554/clip"
[actions.default]
start_score = 0.1
keep_score = 0.05
"""
ENGINES = "/var/lib/korsal-edge"
JETPACKS = ("/usr/local/cuda/", "/usr/lib/python3/dist-packages/tensorrt/")  # the other release's, and their bytecode
RUNS = """
from pathlib import Path
from edge.sensors.jetson_sysfs import is_jetson, read
from edge.sensors.sensor_reading import SensorReading
root = Path("/orin")
print(is_jetson(root), read(SensorReading("sysfs"), root))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with JetPack 6's stand-ins; it sees the checkout in /src, wheels in /wheels."""
    require_tools()
    folder = tmp_path_factory.mktemp("jetpack")
    root, source = make_jetpack_root(folder), copied(folder / "src")
    plant_stand_ins(root)
    set_release(root, JETPACK_6)
    wheels = wheels_for(root, source, folder / "wheels")
    stand_ins = shutil.copytree(STAND_INS, folder / "in")
    with booted(root, {source: "/src", wheels: "/wheels", stand_ins: "/in"}) as machine:
        yield machine


@pytest.fixture(scope="module")
def before(machine: Machine) -> frozenset[str]:
    return everything(machine)


@pytest.fixture(scope="module")
def output(machine: Machine, before: frozenset[str]) -> str:
    """What install.sh says."""
    return machine.run("/src/install.sh", "--offline", "/wheels")


@pytest.fixture(scope="module")
def running(machine: Machine, output: str) -> Machine:
    """Configured with a CSI and an RTSP camera, and started for the first time."""
    watch(machine)
    configure(machine, CONFIG)
    status, said = machine.status("systemctl", "start", "korsal-edge")
    assert status == 0, said + journal(machine)
    return machine


def watch(machine: Machine) -> None:
    """Let the RTSP camera run and messages be written down, until the next boot."""
    listen(machine)
    machine.run("systemd-run", "--unit=rtsp-camera", "python3", "/in/rtsp_clip.py", CLIP)


def engines(machine: Machine) -> set[str]:
    """The names of all engines that the cache holds."""
    return {path.name for path in machine.file(ENGINES).rglob("*.engine")}


def states(machine: Machine) -> dict[str, str]:
    """The last state of each camera."""
    return {camera: (received(machine, f"{camera}/state") or [""])[-1] for camera in ("gate", "door")}


def events(machine: Machine) -> list[str]:
    """Of either camera: on a busy machine too few of the clip's frames are seen for one at the door."""
    return [*received(machine, "door/actions/"), *received(machine, "gate/actions/")]


def wait_for_event(machine: Machine, heard: int = 0) -> None:
    """Until more than `heard` steps of events have been published; a failure tells the newest telemetry and log."""
    try:
        wait_for(lambda: len(events(machine)) > heard, "an event", 600)
    except pytest.fail.Exception as error:
        raise AssertionError("\n".join([*received(machine, "telemetry")[-1:], journal(machine)[-2000:]])) from error


def test_the_board_is_recognised_and_what_jetpack_brings_is_used(output: str) -> None:
    assert "Board: Jetson, Jetson Linux 36.4.3 (JetPack 6)" in output
    assert "TensorRT: 10.3" in output
    assert "GStreamer: yes" in output
    assert "Warning" not in output


def test_every_command_that_is_linked_starts(machine: Machine, output: str) -> None:
    for command in (("korsal-edge", "--version"), ("korsal-convert", "build", "--help"), ("korsal-evaluate", "--help")):
        machine.run(*command)


def test_the_first_start_builds_the_engine(running: Machine) -> None:
    assert is_ready(running)  # the unit waits for the engine
    assert "building the TensorRT engine" in journal(running)
    assert len(engines(running)) == 1
    assert all(f"/dev/{node} rw" in allowed(running) for node in JETPACK_6.nodes)


def test_both_cameras_come_online_in_nvidia_s_elements(running: Machine) -> None:
    wait_for(lambda: set(states(running).values()) == {"online"}, f"both cameras: {journal(running)[-2000:]}", 120)
    assert "nvarguscamerasrc" in journal(running)
    assert "nvv4l2decoder for H.264" in journal(running)


def test_events_are_published(running: Machine) -> None:
    wait_for_event(running)
    assert json.loads(events(running)[0])["type"] == "new"


def test_the_doctor_sees_tensorrt_and_may_open_the_devices(running: Machine) -> None:
    _, output = running.status("korsal-edge", "doctor")
    assert re.search(r"^ok +model: .*tensorrt 10\.3", output, re.MULTILINE), output
    assert "access to /dev/nvmap: korsal-edge may open it" in output
    assert "camera door: " in output


def test_the_installed_program_reads_an_orin_s_sensors(running: Machine) -> None:
    told = running.run("/opt/korsal-edge/current/bin/python", "-I", "-c", RUNS)
    assert told.startswith("True ")
    assert "gpu_load=0.423" in told
    assert "mode='25W'" in told


def test_a_restart_builds_nothing(running: Machine) -> None:
    first = engines(running)
    running.run("systemctl", "restart", "korsal-edge")
    assert journal(running).count("building the TensorRT engine") == 1
    assert engines(running) == first


def test_after_an_upgrade_of_jetpack_a_reboot_is_enough(running: Machine) -> None:
    first, heard = engines(running), len(events(running))
    set_release(running.root, JETPACK_7, running)
    running.reboot()
    watch(running)
    wait_for(lambda: is_ready(running), f"the start at boot: {journal(running)[-2000:]}", 300)
    assert journal(running).count("building the TensorRT engine") == 2
    assert engines(running) - first
    assert all(f"/dev/{node} rw" in allowed(running) for node in JETPACK_7.nodes)
    assert "/dev/nvmap" not in allowed(running)
    wait_for(lambda: set(states(running).values()) == {"online"}, f"both cameras: {journal(running)[-2000:]}", 120)
    wait_for_event(running, heard)


def test_purging_leaves_nothing(running: Machine, before: frozenset[str]) -> None:
    running.run("/src/install.sh", "--uninstall", "--purge")
    left = [path for path in everything(running) - before if not path.startswith(JETPACKS)]
    assert left == []
