"""What a process and its children show of themselves in /proc: open sockets, command lines."""

from dataclasses import dataclass
from pathlib import Path

LISTENS = {"tcp": "0A", "tcp6": "0A"}  # the state; a UDP socket listens as soon as it is bound to a port
UNIX_LISTENS = 0x10000  # the flag of a socket that accepts


@dataclass(frozen=True)
class Door:
    """A socket that others can reach. `address` as /proc has it: hexadecimal address and port, or a path."""

    kind: str
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2], 16)


def family(process: int) -> list[int]:
    """A process and all that it has started, theirs included; without those that are gone."""
    found, waiting = [], [process]
    while waiting:
        number = waiting.pop()
        found.append(number)
        for task in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                waiting += map(int, task.read_text().split())
            except OSError:  # that thread has ended
                continue
    return found


def command_lines(process: int) -> str:
    """Of a process and all its children."""
    texts = []
    for number in family(process):
        try:
            texts.append(Path(f"/proc/{number}/cmdline").read_text())
        except OSError:
            continue
    return "\n".join(texts)


def doors(process: int) -> list[Door]:
    """Everything that a process and its children listen on."""
    return [door for number in family(process) for door in _doors(number)]


def _doors(process: int) -> list[Door]:
    own = _inodes(process)
    found = []
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        for line in _lines(process, kind):
            _, local, remote, state, *_, inode = line[:10]
            listens = state == LISTENS.get(kind, state) and remote.endswith(":0000")
            if inode in own and listens:
                found.append(Door(kind, local))
    for line in _lines(process, "unix"):
        named = line[7] if len(line) > 7 else ""
        if line[6] in own and (int(line[3], 16) & UNIX_LISTENS or named):
            found.append(Door("unix", named))
    return found


def _lines(process: int, kind: str) -> list[list[str]]:
    file = Path(f"/proc/{process}/net/{kind}")
    return [line.split() for line in file.read_text().splitlines()[1:]] if file.exists() else []


def _inodes(process: int) -> set[str]:
    targets = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except OSError:
            continue
    return {target[len("socket:[") : -1] for target in targets if target.startswith("socket:[")}
