"""What tests see of the service that install.sh has set up on a `machine`: its journal, its messages, its files."""

import re
import shutil
from pathlib import Path

from tests.support.machine import Machine, in_folder
from tests.support.paths import ROOT

PARTS = ("edge", "train", "convert", "demo", "models", "docs", "scripts", "systemd")
FILES = ("install.sh", "config.toml", "pyproject.toml", "README.md", "LICENSE")
# What a machine changes by itself, what we put there, and what adding any user leaves.
CLIP = "/var/lib/clip.mp4"  # the demo clip, for a camera
NOT_OURS = re.compile(
    r"/(proc|sys|dev|run|tmp|root|src|old|broken|wheels|heard)(/|$)"
    r"|/var/(log|tmp|cache|lib/(systemd|mosquitto|clip\.mp4))(/|$)"
    r"|/etc/((passwd|group|shadow|gshadow|subuid|subgid)-|\.pwd\.lock)$"
)


def copied(folder: Path) -> Path:
    """The checkout without what git does not keep."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, folder / name)
    return folder


def wheels_for(root: Path, source: Path, folder: Path) -> Path:
    """Packages for a machine without a network, which the checkout `source` fetches; puts CLIP into the root too."""
    folder.mkdir()
    in_folder(root, "/src/install.sh", "--wheels", "/out/wheels", binds={source: "/src", folder: "/out/wheels"})
    shutil.copy(ROOT / "demo/basketball.mp4", root / CLIP.lstrip("/"))
    return folder


def everything(machine: Machine) -> frozenset[str]:
    """Paths of all files but those that no installation is asked about, and the names of users and groups."""
    paths = machine.run("find", "/", "-xdev", "-not", "-type", "d").splitlines()
    ours = (path for path in paths if not NOT_OURS.match(path))
    accounts = (machine.file(name).read_text().splitlines() for name in ("/etc/passwd", "/etc/group"))
    return frozenset([*ours, *(line for lines in accounts for line in lines)])


def listen(machine: Machine) -> None:
    """Write all messages to /heard, until the machine is rebooted."""
    # With a session that the broker keeps over its own restart, so that nothing is missed.
    listener = "exec mosquitto_sub -h localhost -c -i listener -q 1 -t 'korsal/#' -F '%t %p' >> /heard"
    again = ("-p", "Restart=always", "-p", "RestartSec=1", "-p", "StartLimitIntervalSec=0")
    machine.run("systemd-run", "--unit=listener", *again, "sh", "-c", listener)


def configure(machine: Machine, text: str) -> None:
    machine.file("/etc/korsal-edge/config.toml").write_text(text)


def main_pid(machine: Machine) -> int:
    return int(machine.run("systemctl", "show", "--property=MainPID", "--value", "korsal-edge"))


def is_ready(machine: Machine) -> bool:
    return machine.status("systemctl", "is-active", "--quiet", "korsal-edge")[0] == 0


def journal(machine: Machine) -> str:
    return machine.run("journalctl", "--unit=korsal-edge", "--no-pager", "--output=cat")


def received(machine: Machine, topic: str) -> list[str]:
    """Payloads on one topic of the device, the oldest first."""
    file = machine.file("/heard")
    whole = file.read_text().rpartition("\n")[0] if file.exists() else ""  # the last line may still be being written
    start = f"korsal/roof/{topic}"
    return [line.partition(" ")[2] for line in whole.splitlines() if line.startswith(start)]


def allowed(machine: Machine) -> str:
    """The devices that the unit may open, as systemd has loaded them."""
    return machine.run("systemctl", "show", "--property=DeviceAllow", "korsal-edge")
