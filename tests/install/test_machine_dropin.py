"""The list of a machine's devices and groups, with stand-ins for what the machine is asked; with a real systemd:
test_installation_nspawn.py."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.installed_programs import LOGS, program
from tests.support.paths import ROOT

SCRIPT = ROOT / "scripts/install/machine_dropin.sh"
DEVICES = """Character devices:
  1 mem
 81 video4linux
195 nvidia
236 drm
506 nvhost-gpu
510 nvmap

Block devices:
  8 nvidia-disk
"""


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """An installed release, and programs that answer for the machine: systemd 249, groups video and jtop."""
    program(tmp_path / "bin/python", LOGS)
    text = SCRIPT.read_text().replace("/proc/devices", str(tmp_path / "devices"))
    program(tmp_path / "machine-dropin", text)
    (tmp_path / "devices").write_text(DEVICES)
    for name in ("awk", "bash", "basename", "cat", "mv", "sed", "sort", "stat"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    program(tmp_path / "bin/getent", "#!/bin/bash\n[[ $2 == video || $2 == jtop ]]\n")
    version = '[[ $1 != --version ]] || echo "systemd 249 (249.11)"\n'
    program(tmp_path / "bin/systemctl", f"{LOGS}{version}")
    return tmp_path


def run(release: Path, *arguments: str) -> str:
    """What it prints."""
    done = subprocess.run(
        [str(release / "machine-dropin"), *arguments],
        env={"PATH": str(release / "bin"), "LOG": str(release / "calls.log")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def reloads(release: Path) -> int:
    return (release / "calls.log").read_text().count("systemctl daemon-reload")


def test_classes_of_loaded_drivers_and_groups_that_exist_are_listed(release: Path) -> None:
    lines = run(release).splitlines()
    classes = [line for line in lines if "char-" in line]
    assert classes == [
        f"DeviceAllow=char-{name} rw" for name in ("video4linux", "media", "nvidia", "drm", "nvhost-gpu", "nvmap")
    ]
    assert [line for line in lines if line.startswith("SupplementaryGroups=")] == [
        "SupplementaryGroups=jtop",
        "SupplementaryGroups=video",
    ]
    assert not [line for line in lines if "RestartSteps" in line]  # unknown to that systemd


def test_it_is_written_and_read_again_only_where_something_has_changed(release: Path) -> None:
    file = release / "10-machine.conf"
    assert "have changed" in run(release, str(file))
    assert file.read_text() == run(release)
    assert run(release, str(file)) == ""
    assert reloads(release) == 1
    (release / "devices").write_text(DEVICES.replace("nvmap", "nvidia-uvm"))
    assert "have changed" in run(release, str(file))
    assert "char-nvidia-uvm" in file.read_text()
    assert reloads(release) == 2


def test_a_list_that_a_killed_run_left_half_written_is_replaced(release: Path) -> None:
    file = release / "10-machine.conf"
    file.with_name("10-machine.conf.partial").write_text("[Unit]\n")
    run(release, str(file))
    assert file.read_text() == run(release)
    assert not file.with_name("10-machine.conf.partial").exists()


def test_where_it_cannot_be_written_that_is_said_and_nothing_fails(release: Path) -> None:
    file = release / "none/10-machine.conf"
    assert "cannot be written" in run(release, str(file))
    assert reloads(release) == 0


def test_an_environment_of_another_python_is_named(release: Path) -> None:
    program(release / "bin/python", "#!/bin/bash\nexit 1\n")
    assert "does not fit this system's Python: run install.sh again" in run(release, str(release / "10-machine.conf"))
