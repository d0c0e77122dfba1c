"""What a confined process can still do: nothing but to compute, and to write into what is open."""

import os
import struct
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE
from train.safe_reading import sandbox

CONFINED = """
import os
import socket
import threading
import numpy as np
from train.safe_reading.sandbox import enter

if not enter(64 << 20, (0, 1, 2)):
    print("cannot")
tries = {
    "open": lambda: open("/etc/hostname"),
    "write": lambda: open("/tmp/confined", "w"),
    "unlink": lambda: os.unlink("/tmp/confined"),
    "socket": socket.socket,
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "list": lambda: os.listdir("/"),
    "look": lambda: os.stat("/etc"),
    "link": lambda: os.symlink("/etc", "/tmp/confined"),
    "memory": lambda: bytearray(128 << 20),
    "thread": lambda: threading.Thread(target=print).start(),
}
for name, call in tries.items():
    try:
        call()
        print(name)
    except (OSError, MemoryError, RuntimeError):
        pass
print(int(np.ones((300, 300)).sum()), len(bytearray(16 << 20)))
"""


def test_a_confined_process_can_only_compute() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", CONFINED], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    if "cannot" in ended.stdout:
        pytest.skip("this kernel cannot refuse system calls")
    assert (ended.returncode, ended.stdout) == (0, "90000 16777216\n"), ended.stderr


@pytest.mark.parametrize(("name", "audit", "opens"), [("x86_64", 0xC000003E, 257), ("aarch64", 0xC00000B7, 56)])
def test_the_filter_of_each_processor_lets_pass_what_stays_and_nothing_else(name: str, audit: int, opens: int) -> None:
    """Carried out here, as the kernel does: 0x20 loads a word, 0x15 jumps where it is equal, 0x06 is the verdict."""
    machine = sandbox._PROCESSORS[name]
    program = [
        struct.unpack_from("=HBBI", sandbox._instructions(machine), at)
        for at in range(0, 10_000, 8)
        if at < len(sandbox._instructions(machine))
    ]

    def passes(number: int, architecture: int) -> bool:
        place, word = 0, 0
        while True:
            code, equal, other, value = program[place]
            if code == 0x06:
                return bool(value == 0x7FFF0000)
            if code == 0x20:
                word = {0: number, 4: architecture}[value]
            else:
                place += equal if word == value else other
            place += 1

    assert {number for number in range(600) if passes(number, audit)} == set(machine.stay)
    assert not passes(opens, audit)
    assert not any(passes(number, audit ^ 1) for number in range(600))
    assert not any(passes(number | 0x40000000, audit) for number in range(600))  # x32, on x86-64
