"""korsal-edge-machine.service on other versions of systemd: is its list in force when the service starts?

By hand: KORSAL_SUITES="bullseye trixie" (Debian's systemd 247 and 257, either side of JetPack's 249 and 255). The
service itself is replaced by `sleep`.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.installed_service import allowed, is_ready, main_pid
from tests.support.machine import Machine, booted, call, require_tools
from tests.support.paths import ROOT
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SUITES = os.environ.get("KORSAL_SUITES", "").split()
SLEEP = "[Service]\nType=exec\nWatchdogSec=0\nExecStart=\nExecStart=/bin/sleep infinity\n"


def make_root(suite: str, folder: Path) -> Path:
    """A fresh Debian of that suite with our units and no list; the service is enabled."""
    root = folder / "root"
    call("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,udev", suite, root)
    units, release = root / "etc/systemd/system", root / "opt/korsal-edge/current"
    for path in (units / "korsal-edge.service.d", units / "multi-user.target.wants", release, root / "etc/tmpfiles.d"):
        path.mkdir(parents=True, exist_ok=True)
    for unit in ("korsal-edge.service", "korsal-edge-machine.service"):
        shutil.copy(ROOT / "systemd" / unit, units)
    (units / "korsal-edge.service.d/00-sleep.conf").write_text(SLEEP)
    (units / "multi-user.target.wants/korsal-edge.service").symlink_to("../korsal-edge.service")
    shutil.copy(ROOT / "scripts/install/machine_dropin.sh", release / "machine-dropin")
    call("chroot", root, "useradd", "--system", "--user-group", "korsal-edge")
    return root


def groups(machine: Machine) -> set[str]:
    """The names of the groups that the service's process has."""
    numbers = machine.run("grep", "Groups:", f"/proc/{main_pid(machine)}/status").split()[1:]
    return {machine.run("getent", "group", number).split(":")[0] for number in numbers}


@pytest.mark.skipif(not SUITES, reason="by hand: KORSAL_SUITES='bullseye trixie'")
@pytest.mark.parametrize("suite", SUITES or ["none"])
def test_the_list_is_in_force_at_the_first_boot_after_a_restart_and_after_a_reboot(suite: str, tmp_path: Path) -> None:
    require_tools()
    root = make_root(suite, tmp_path)
    nodes = root / "etc/tmpfiles.d/nvidia.conf"
    nodes.write_text("c /dev/nvhost-gpu 0660 root video - 1:3\n")
    with booted(root, {}) as machine:
        wait_for(lambda: is_ready(machine), "the service", 60)
        assert "/dev/nvhost-gpu rw" in allowed(machine)
        assert groups(machine) == {"korsal-edge", "video", "render"}
        machine.run("groupadd", "--system", "jtop")
        machine.run("systemctl", "restart", "korsal-edge")
        assert groups(machine) == {"korsal-edge", "video", "render", "jtop"}
        machine.run("groupdel", "jtop")
        nodes.write_text("c /dev/nvidia0 0660 root video - 1:3\n")
        machine.reboot()
        wait_for(lambda: is_ready(machine), "the service", 60)
        assert groups(machine) == {"korsal-edge", "video", "render"}
        assert "/dev/nvidia0 rw" in allowed(machine)
        assert "/dev/nvhost-gpu" not in allowed(machine)
        assert machine.run("systemctl", "show", "--property=NRestarts", "--value", "korsal-edge") == "0\n"
