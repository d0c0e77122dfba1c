"""TCP ports of loopback for tests that run side by side."""

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator


def free_port() -> int:
    """A TCP port of loopback that nobody listens on.

    Some tests leave it free for seconds, so it is none that the kernel gives away (from 32768 on), nor of another
    process of the same run.
    """
    for port in PORTS:
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("PORTS has no end")


def _ports() -> Iterator[int]:
    """A thousand ports of this process's own, again and again."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + 1000 * (worker % 12)
    return itertools.cycle(first + (os.getpid() + place) % 1000 for place in range(1000))


PORTS = _ports()
