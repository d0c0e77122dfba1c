"""The service's user may restart NVIDIA's camera service alone: real systemd and polkit, in the limits of the unit.

The camera service is a stand-in that sleeps; what is asked is what `edge.service.argus_restart` asks.
"""

import re
from collections.abc import Iterator

import pytest

from tests.support.machine import Machine, booted, in_folder, make_root, require_tools
from tests.support.paths import ROOT
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UNITS = "/etc/systemd/system"
RULES = "/etc/polkit-1/rules.d/50-korsal-edge.rules"
ARGUS = "[Service]\nExecStart=/bin/sleep infinity\n"
ASKS = "systemctl --no-ask-password restart"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    require_tools()
    root = make_root(tmp_path_factory.mktemp("machine"))
    in_folder(root, "sh", "-c", "apt-get update -qq && apt-get install -qqy --no-install-recommends polkitd", binds={})
    in_folder(root, "useradd", "--system", "--user-group", "korsal-edge", binds={})
    for name in ("nvargus-daemon", "other"):
        (root / f"etc/systemd/system/{name}.service").write_text(ARGUS)
    with booted(root, {ROOT / "systemd": "/units"}) as running:
        running.run("systemctl", "start", "nvargus-daemon", "other")
        yield running


def hardened(machine: Machine, command: str) -> tuple[int, str]:
    """Run a command as the daemon runs: as its user, with every limit of its unit."""
    unit = (ROOT / "systemd/korsal-edge.service").read_text()
    unit = re.sub(r"(?m)^Type=.*$", "Type=oneshot", unit)
    unit = re.sub(r"(?m)^(Restart|WatchdogSec|ExecReload|LoadCredential|SetCredential|Wants|After).*$", "", unit)
    unit = re.sub(r"(?m)^ExecStart=.*$", f"ExecStart=/bin/sh -c '{command}'", unit)
    machine.file(f"{UNITS}/korsal-edge.service").write_text(unit)
    machine.run("systemctl", "daemon-reload")
    return machine.status("systemctl", "start", "korsal-edge")


def process(machine: Machine, name: str = "nvargus-daemon") -> str:
    return machine.run("systemctl", "show", "--property=MainPID", "--value", name).strip()


def test_without_the_right_it_is_refused(machine: Machine) -> None:
    before = process(machine)
    assert hardened(machine, f"{ASKS} nvargus-daemon.service")[0] != 0
    assert process(machine) == before


def test_the_rule_of_polkit_gives_this_right_alone(machine: Machine) -> None:
    machine.run("install", "-m", "644", "/units/korsal-edge-argus.rules", RULES)
    machine.run("systemctl", "restart", "polkit")
    before, other = process(machine), process(machine, "other")
    status, output = hardened(machine, f"{ASKS} nvargus-daemon.service")
    assert status == 0, output
    assert process(machine) not in (before, "0")
    assert hardened(machine, f"{ASKS} other.service")[0] != 0
    assert hardened(machine, "systemctl --no-ask-password stop nvargus-daemon.service")[0] != 0
    assert process(machine, "other") == other
    machine.run("rm", RULES)
    machine.run("systemctl", "restart", "polkit")


def test_the_path_unit_restarts_it_once_in_four_minutes(machine: Machine) -> None:
    for kind in ("service", "path"):
        machine.run("cp", f"/units/korsal-edge-argus.{kind}", f"{UNITS}/korsal-edge-argus.{kind}")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "korsal-edge-argus.path")
    before = process(machine)
    waits = "while [ -e /run/korsal-edge/restart-argus ]; do sleep 0.1; done"
    status, output = hardened(machine, f"touch /run/korsal-edge/restart-argus; {waits}")
    assert status == 0, output
    wait_for(lambda: process(machine) not in (before, "0"), "the restarted service")
    once = process(machine)
    machine.run("mkdir", "--parents", "/run/korsal-edge")
    machine.run("touch", "/run/korsal-edge/restart-argus")
    state = ("systemctl", "is-active", "korsal-edge-argus.path")
    wait_for(lambda: machine.status(*state)[1].strip() == "failed", "the limit, after which the unit waits no more")
    assert process(machine) == once
