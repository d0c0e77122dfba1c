"""install.sh and the unit on a Debian machine with real systemd: one story, told from the first test to the last.

The machine has no network: every package comes from a folder that `install.sh --wheels` filled before. Its camera is
the demo clip, played over and over; its broker is mosquitto.
"""

import contextlib
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installed_service import (
    allowed,
    configure,
    copied,
    everything,
    is_ready,
    journal,
    listen,
    main_pid,
    received,
    wheels_for,
)
from tests.support.machine import Machine, booted, make_root, require_tools
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

EXPOSURE = 2.5  # at most, of 10, by systemd-analyze
OLD = "0.0.1"

CONFIG = """
[device]
name = "roof"
[model]
runtime = "onnxruntime"
[cameras.door]
source = "/var/lib/clip.mp4"
loop = true
[actions.default]
start_score = 0.1
keep_score = 0.05
"""
DROPIN = "/etc/systemd/system/korsal-edge.service.d/10-machine.conf"
HELP = {"korsal-convert": ["build", "--help"], "korsal-evaluate": ["--help"]}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine that sees three checkouts, today's in /src, an older one in /old and a broken one, and /wheels."""
    require_tools()
    folder = tmp_path_factory.mktemp("machine")
    root = make_root(folder)
    new, old, broken = copied(folder / "src"), copied(folder / "old"), copied(folder / "broken")
    (old / "edge/__init__.py").write_text((new / "edge/__init__.py").read_text().replace(_version(new), OLD))
    (old / "config.toml").write_text("# of an older version\n" + (new / "config.toml").read_text())
    (broken / "edge/service/daemon.py").write_text('raise SystemExit("this version does not start")\n')
    wheels = wheels_for(root, new, folder / "wheels")
    with booted(root, {new: "/src", old: "/old", broken: "/broken", wheels: "/wheels"}) as machine:
        yield machine


def _version(checkout: Path) -> str:
    found = re.search(r'__version__ = "(.+)"', (checkout / "edge/__init__.py").read_text())
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def before(machine: Machine) -> frozenset[str]:
    """Every file and account before anything was installed."""
    return everything(machine)


@pytest.fixture(scope="module")
def installed(machine: Machine, before: frozenset[str]) -> Machine:
    """With an older version, and a broker whose messages are all written down."""
    machine.run("/old/install.sh", "--offline", "/wheels")
    listen(machine)
    return machine


@pytest.fixture(scope="module")
def running(installed: Machine) -> Machine:
    """Started, and finding actions."""
    configure(installed, CONFIG)
    installed.run("systemctl", "start", "korsal-edge")
    return installed


def events(machine: Machine) -> list[tuple[str, int]]:
    """Id and number of all that came, in order."""
    payloads = (json.loads(payload) for payload in received(machine, "door/actions/"))
    return [(event["event_id"], event["seq"]) for event in payloads]


def waiting(machine: Machine, folder: Path) -> set[tuple[str, int]]:
    """Id and number of what lies in the outbox: in a copy, for the daemon lets nobody else read it."""
    for name in ("roof.outbox.sqlite", "roof.outbox.sqlite-wal"):
        shutil.copy(machine.file(f"/var/lib/korsal-edge/{name}"), folder / name)
    with contextlib.closing(sqlite3.connect(folder / "roof.outbox.sqlite")) as outbox:
        try:
            return set(outbox.execute("SELECT event_id, seq FROM messages"))
        except sqlite3.DatabaseError:  # copied while it was written
            return set()


def test_a_dry_run_changes_nothing(machine: Machine, before: frozenset[str]) -> None:
    output = machine.run("/src/install.sh", "--dry-run", "--offline", "/wheels")
    assert "useradd --system" in output
    assert "systemctl enable" in output
    assert "Nothing was changed" in output
    assert everything(machine) == before


def test_half_an_installation_is_taken_back(machine: Machine, before: frozenset[str]) -> None:
    machine.run("mkdir", "/root/empty")
    status, output = machine.status("/src/install.sh", "--offline", "/root/empty")
    assert status == 1
    assert "pip could not install the packages" in output
    assert everything(machine) == before
    assert not machine.file("/opt/korsal-edge").exists()


def test_what_lies_where(installed: Machine) -> None:
    assert installed.run("korsal-edge", "--version") == f"korsal-edge {OLD}\n"
    assert installed.run("systemctl", "is-enabled", "korsal-edge") == "enabled\n"
    assert not is_ready(installed)  # configured first, then started
    assert installed.run("stat", "-c", "%U:%G %a", "/etc/korsal-edge/config.toml") == "root:korsal-edge 640\n"
    assert "SupplementaryGroups=video\n" in installed.file(DROPIN).read_text()
    for command in ("korsal-convert", "korsal-evaluate"):
        assert f"usage: {command}" in installed.run(command, *HELP[command])
    python = installed.run("readlink", "-f", "/opt/korsal-edge/current/bin/python")
    assert python.startswith("/usr/bin/python3")


@pytest.mark.parametrize("unit", ["korsal-edge.service", "korsal-edge-machine.service"])
def test_the_units_are_sound(unit: str, installed: Machine) -> None:
    assert installed.run("systemd-analyze", "verify", unit) == ""
    output = installed.run("systemd-analyze", "security", "--no-pager", unit)
    found = re.search(r"exposure level.*: ([0-9.]+)", output)
    assert found is not None
    assert float(found[1]) <= EXPOSURE


def test_it_gets_ready_and_finds_actions(running: Machine) -> None:
    assert is_ready(running)  # `systemctl start` waits for READY=1
    wait_for(lambda: "online" in received(running, "available"), f"available: {journal(running)}", 60)
    wait_for(lambda: events(running), "the first event", 120)
    user = running.run("stat", "-c", "%U", f"/proc/{main_pid(running)}")
    assert user == "korsal-edge\n"
    assert running.run("stat", "-c", "%U %a", "/var/lib/korsal-edge") == "korsal-edge 700\n"


def test_the_password_arrives_as_a_credential(running: Machine) -> None:
    credential = running.file("/etc/korsal-edge/mqtt-password")
    credential.write_text("secret\n")
    credential.chmod(0o600)
    running.run("systemctl", "restart", "korsal-edge")
    path = "/run/credentials/korsal-edge.service/mqtt-password"
    code = f"nsenter --target={main_pid(running)} --mount cat {path}"
    assert running.run("sh", "-c", code) == "secret\n"
    assert "secret" not in running.run("systemctl", "show", "korsal-edge")
    credential.unlink()


def test_the_doctor_checks_what_the_service_uses(running: Machine) -> None:
    status, output = running.status("korsal-edge", "doctor")
    assert status == 0, output
    assert "all checks are made as korsal-edge" in output
    assert "connected, published and received on korsal/roof/doctor" in output
    assert "0 wrong" in output
    configure(running, CONFIG.replace("/var/lib/clip.mp4", "/root/clip.mp4"))
    status, output = running.status("korsal-edge", "doctor")
    configure(running, CONFIG)
    assert status == 1
    assert "/root/clip.mp4 is hidden from the service" in output


def test_killed_it_comes_back(running: Machine) -> None:
    first = main_pid(running)
    running.run("sh", "-c", f"kill -KILL {first}")
    wait_for(lambda: is_ready(running) and main_pid(running) not in (0, first), "a new start", 60)


def test_hanging_it_is_ended_by_the_watchdog_and_comes_back(running: Machine) -> None:
    first = main_pid(running)
    running.run("sh", "-c", f"kill -STOP {first}")
    wait_for(lambda: is_ready(running) and main_pid(running) not in (0, first), "a new start", 120)
    assert "Watchdog timeout" in journal(running)


def test_a_reload_takes_over_what_is_right_and_refuses_what_is_wrong(running: Machine) -> None:
    first = main_pid(running)
    configure(running, CONFIG.replace("start_score = 0.1", "start_score = 3"))
    running.run("systemctl", "reload", "korsal-edge")
    wait_for(lambda: "the old configuration stays in force" in journal(running), "the refusal")
    configure(running, CONFIG.replace("start_score = 0.1", "start_score = 0.11"))
    running.run("systemctl", "reload", "korsal-edge")
    wait_for(lambda: "config.toml is in force" in journal(running), "the new configuration")
    assert main_pid(running) == first


def test_an_upgrade_keeps_events_that_wait_and_the_configuration(running: Machine, tmp_path: Path) -> None:
    running.run("systemctl", "stop", "mosquitto")
    wait_for(lambda: waiting(running, tmp_path), "events in the outbox", 120)
    stored = waiting(running, tmp_path)
    assert stored
    configured = running.file("/etc/korsal-edge/config.toml").read_text()
    output = running.run("/src/install.sh", "--offline", "/wheels")
    assert "Service: restarted" in output
    assert is_ready(running)
    assert running.run("korsal-edge", "--version") != f"korsal-edge {OLD}\n"
    running.run("systemctl", "start", "mosquitto")
    wait_for(lambda: stored <= set(events(running)), f"{len(stored)} stored messages", 120)
    assert running.file("/etc/korsal-edge/config.toml").read_text() == configured
    shipped = running.root.parent / "src/config.toml"
    assert running.file("/etc/korsal-edge/config.toml.new").read_text() == shipped.read_text()


def has_group(machine: Machine, group: str) -> bool:
    """Is the daemon in that group?"""
    number = machine.run("getent", "group", group).split(":")[2]
    groups = machine.run("grep", "Groups:", f"/proc/{main_pid(machine)}/status")
    return number in groups.split()


def test_a_device_and_a_group_that_are_new_count_from_the_next_start(running: Machine) -> None:
    before = running.file(DROPIN).read_text()
    assert has_group(running, "video")
    running.run("mknod", "/dev/nvmap", "c", "1", "3")
    running.run("groupadd", "--system", "jtop")
    running.run("systemctl", "restart", "korsal-edge")
    assert "/dev/nvmap rw" in allowed(running)
    assert has_group(running, "jtop")
    running.run("rm", "/dev/nvmap")
    running.run("groupdel", "jtop")  # with a group that does not exist no unit starts
    running.run("systemctl", "restart", "korsal-edge")
    assert "/dev/nvmap" not in allowed(running)
    assert running.file(DROPIN).read_text() == before


def test_they_count_from_the_next_start_after_a_crash_too(running: Machine) -> None:
    running.run("groupadd", "--system", "jtop")
    first = main_pid(running)
    running.run("sh", "-c", f"kill -KILL {first}")
    wait_for(lambda: is_ready(running) and main_pid(running) not in (0, first), "a new start", 60)
    assert has_group(running, "jtop")
    running.run("groupdel", "jtop")
    running.run("systemctl", "restart", "korsal-edge")


def test_a_list_that_cannot_be_written_holds_nothing_up(running: Machine) -> None:
    running.run("groupadd", "--system", "jtop")
    running.run("mkdir", f"{DROPIN}.partial")
    running.run("systemctl", "restart", "korsal-edge")
    assert is_ready(running)
    assert not has_group(running, "jtop")
    said = running.run("journalctl", "--unit=korsal-edge-machine", "--no-pager", "--output=cat")
    assert "starts with the devices and groups that it lists" in said
    running.run("rmdir", f"{DROPIN}.partial")
    running.run("groupdel", "jtop")


def test_after_a_reboot_with_other_drivers_their_devices_are_allowed(running: Machine) -> None:
    """As after a JetPack upgrade: the start that the boot has queued already takes the new list."""
    nodes = running.file("/etc/tmpfiles.d/drivers.conf")
    nodes.parent.mkdir(exist_ok=True)
    nodes.write_text("c /dev/nvhost-gpu 0660 root video - 1:3\n")
    running.reboot()
    wait_for(lambda: is_ready(running), "the start at boot", 120)
    assert "/dev/nvhost-gpu rw" in allowed(running)
    assert running.run("systemctl", "show", "--property=NeedDaemonReload", "--value", "korsal-edge") == "no\n"
    nodes.unlink()
    listen(running)


def rights(machine: Machine, path: str) -> str:
    """Owner, group and mode of a file, not of a link to it."""
    return machine.run("stat", "-L", "-c", "%U:%G %a", path).strip()


def ask_to_change(machine: Machine, score: float) -> dict[str, object]:
    """What `request/config-set` is answered."""
    wait_for(lambda: received(machine, "available")[-1:] == ["online"], "the connection", 60)
    asked = json.dumps({"data": {"actions": {"default": {"start_score": score}}}})
    topics = ("-t", "korsal/roof/request/config-set", "-e", "answers/me")
    answer: dict[str, object] = json.loads(machine.run("mosquitto_rr", "-V", "5", "-W", "60", *topics, "-m", asked))
    return answer


def test_the_configuration_can_be_changed_remotely_once_install_sh_allows_it(running: Machine) -> None:
    file, remote = "/etc/korsal-edge/config.toml", "/etc/korsal-edge/remote"
    configure(running, f"{CONFIG}[mqtt]\nallow_remote_config = true\n")
    running.run("systemctl", "restart", "korsal-edge")
    refused = ask_to_change(running, 0.12)
    assert refused["status"] == "error"
    assert "where install.sh set this service up, run it again" in str(refused["error"])
    assert "run install.sh again" in running.status("korsal-edge", "doctor")[1]
    running.run("/src/install.sh", "--offline", "/wheels")
    assert ask_to_change(running, 0.13)["status"] == "ok"
    assert "start_score = 0.13" in running.file(file).read_text()
    assert [rights(running, path) for path in ("/etc/korsal-edge", file)] == [
        "root:korsal-edge 750",  # the password lies there, which root reads for us
        "korsal-edge:korsal-edge 640",
    ]
    assert "mqtt.allow_remote_config" not in running.run("korsal-edge", "doctor")
    files = everything(running)
    running.run("/src/install.sh", "--offline", "/wheels")
    assert everything(running) == files
    configure(running, CONFIG)
    running.run("/src/install.sh", "--offline", "/wheels")
    assert (rights(running, file), running.file(file).is_symlink()) == ("root:korsal-edge 640", False)
    assert not running.file(remote).exists()
    assert "remote changes are not allowed" in str(ask_to_change(running, 0.14)["error"])


def test_a_second_run_changes_nothing(running: Machine) -> None:
    first, files = main_pid(running), everything(running)
    output = running.run("/src/install.sh", "--offline", "/wheels")
    assert "there already" in output
    assert main_pid(running) == first
    assert everything(running) == files


def test_a_version_that_does_not_start_is_taken_back(running: Machine) -> None:
    release = running.file("/opt/korsal-edge/current").readlink()
    status, output = running.status("/broken/install.sh", "--offline", "/wheels")
    assert status == 1
    assert "this version does not start" in output
    assert "Undoing the changes" in output
    assert running.file("/opt/korsal-edge/current").readlink() == release
    wait_for(lambda: is_ready(running), "the version before", 60)


def test_stopping_is_logged(running: Machine) -> None:
    running.run("systemctl", "stop", "korsal-edge")
    assert running.run("systemctl", "show", "--property=Result", "--value", "korsal-edge") == "success\n"
    wait_for(lambda: received(running, "available")[-1:] == ["offline"], "the farewell")
    assert running.run("sh", "-c", "ls /proc/[0-9]*/exe -l | grep -c korsal-edge || true") == "0\n"


def test_uninstalling_keeps_state_and_configuration(running: Machine) -> None:
    output = running.run("/src/install.sh", "--uninstall")
    assert "Kept: /etc/korsal-edge, /var/lib/korsal-edge" in output
    assert running.file("/etc/korsal-edge/config.toml").exists()
    assert running.file("/var/lib/korsal-edge/roof.outbox.sqlite").exists()
    assert not running.file("/opt/korsal-edge").exists()
    assert "not-found" in running.run("systemctl", "show", "--property=LoadState", "korsal-edge")


def test_purging_leaves_nothing(running: Machine, before: frozenset[str]) -> None:
    running.run("/src/install.sh", "--uninstall", "--purge")
    assert everything(running) - before == frozenset()
    assert before - everything(running) == frozenset()
