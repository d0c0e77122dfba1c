"""What a confined process can still do: nothing but to compute, and to write into what is open."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFINED = """
import os
import socket
import threading
import numpy as np
from train.confinement import confine

if not confine(64 << 20, (0, 1, 2)):
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
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", CONFINED], env=environment, capture_output=True, text=True, timeout=60
    )
    if "cannot" in ended.stdout:
        pytest.skip("this kernel cannot refuse system calls")
    assert (ended.returncode, ended.stdout) == (0, "90000 16777216\n"), ended.stderr
