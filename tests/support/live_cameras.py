"""What the tests of live cameras share: waiting for frames, servers."""

import contextlib
import gc
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.sources import Frame
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

QUICK = LiveSettings(stall_seconds=1.5, open_seconds=20, min_retry=0.05, max_retry=0.2)


def always(chance: float) -> Callable[[], float]:
    return lambda: chance


def watch_until(camera: LiveCamera, condition: Callable[[], bool]) -> None:
    """Keep taking frames, as the daemon does, until the condition is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{camera.name} is {camera.state}, {camera.counts()}"
        camera.newest(0.05)


def first_frame(camera: LiveCamera) -> Frame:
    frame = camera.newest(PATIENCE)
    assert frame is not None
    return frame


def alive(process_id: int) -> bool:
    """False for a zombie too."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def logged_states(messages: Iterable[str]) -> list[str]:
    """The states that a camera has logged, each change once."""
    return [state for state, _ in itertools.groupby(message.split(": ")[1] for message in messages)]


def descriptors() -> set[str]:
    """Of the open files of this process, without those that only wait to be collected."""
    gc.collect()
    return set(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def serve(protocol: str, port: int, stream: Path, *login: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(ROOT / "tests/support/stream_server.py"), protocol, str(port), str(stream), *login]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        try:
            yield server
        finally:
            server.kill()
