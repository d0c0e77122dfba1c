"""What systemd, the journal and the kernel have of the service and its devices, for a report. Shell."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.doctor.host import UNIT, systemctl

MACHINE_UNIT, ARGUS_UNIT = "korsal-edge-machine.service", "nvargus-daemon.service"
PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "NRestarts", "ExecMainStatus", "StatusText",
    "ActiveEnterTimestamp", "MemoryCurrent", "MemoryPeak", "MemoryMax", "CPUUsageNSec", "TasksCurrent", "DropInPaths",
)  # fmt: skip
LOG_LINES: Mapping[str, int] = {UNIT: 200, MACHINE_UNIT: 20, ARGUS_UNIT: 50}  # the newest of each unit
LONGEST_LINE = 1000  # characters
SECONDS = 20.0  # that the journal may take
DROP_IN = Path("/etc/systemd/system/korsal-edge.service.d/10-machine.conf")
NODES = (
    "video*",
    "media*",
    "capture-*",
    "nvidia*",
    "nvhost*",
    "nvmap",
    "nvsci*",
    "nvgpu/*/*",
    "tegra*",
    "host1x*",
    "dri/*",
    "dma_heap/*",
)  # of cameras and GPUs, in /dev


def units() -> Iterator[str]:
    """The state of the service and of those that it needs, as systemd knows it."""
    for unit in LOG_LINES:
        state = systemctl("show", unit, f"--property={','.join(PROPERTIES)}")
        known = [line for line in state.splitlines() if not line.endswith(("=", "=[not set]"))]
        yield f"{unit}: {', '.join(known) or 'no systemd here'}"


def journal() -> Iterator[str]:
    """The newest lines that each of these units has logged, without the name of this machine."""
    for unit, lines in LOG_LINES.items():
        yield f"-- {unit}"
        yield from _logged(unit, lines)


def devices(root: Path = Path("/")) -> Iterator[str]:
    """The nodes of cameras and GPUs with owner and mode, then the list that the service is held to."""
    found = {node for pattern in NODES for node in (root / "dev").glob(pattern) if node.is_char_device()}
    for node in sorted(found):
        name = _text(root / "sys/class/video4linux" / node.name / "name").strip()
        yield " ".join(filter(None, [_rights(node), f"/{node.relative_to(root)}", name]))
    if not found:
        yield "none of a camera or a GPU"
    kept = [line for line in _text(root / DROP_IN.relative_to("/")).splitlines() if line and not line.startswith("#")]
    yield f"-- {DROP_IN}{'' if kept else ': there is none'}"
    yield from kept


def _rights(node: Path) -> str:
    """Owner, group and mode; numbers where they have no name."""
    found = node.stat()
    try:
        owner = f"{node.owner()}:{node.group()}"
    except KeyError:
        owner = f"{found.st_uid}:{found.st_gid}"
    return f"{owner} {found.st_mode & 0o777:o}"


def _logged(unit: str, lines: int) -> Iterator[str]:
    command = ["journalctl", "--no-pager", "--no-hostname", "--output=short-iso", f"--unit={unit}", f"--lines={lines}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield f"cannot be read ({' '.join(str(error).split())})"
        return
    if done.returncode:
        yield f"cannot be read by this user (journalctl: status {done.returncode})"
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        yield line[:LONGEST_LINE]


def _text(path: Path) -> str:
    """A file's text; "" where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
