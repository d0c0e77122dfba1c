"""Capture processes that end: asked to release their cameras, and killed where they do not. Shell."""

import time
from dataclasses import dataclass
from typing import Protocol

RELEASE_SECONDS = 3.0  # that a process has to release its camera; then it is killed
REAP_SECONDS = 5.0  # how long a killed process is waited for; one that hangs in a driver is left to the kernel


class Process(Protocol):
    """The part of `subprocess.Popen` that ending a process needs."""

    pid: int

    def poll(self) -> int | None:
        """None while it runs."""

    def kill(self) -> None:
        """Send SIGKILL."""


@dataclass
class _Ending:
    process: Process
    kill_at: float  # monotonic, s; infinite once it has been killed
    killed: bool = False


class EndingProcesses:
    """Processes that were asked to end and have not been reaped yet. One that hangs in a driver may never end."""

    def __init__(self) -> None:
        self._processes: list[_Ending] = []

    def add(self, process: Process, now: float, seconds: float = RELEASE_SECONDS) -> None:
        """Keep a process that was asked to end; it is killed after so many seconds."""
        self._processes.append(_Ending(process, now + seconds))

    def poll(self, now: float) -> int:
        """Reap those that have ended and kill those whose time is over; how many have not ended."""
        for one in self._processes:
            if not one.killed and now >= one.kill_at and one.process.poll() is None:
                one.process.kill()
                one.killed = True
        self._processes = [one for one in self._processes if one.process.poll() is None]
        return len(self._processes)

    @property
    def releasing(self) -> bool:
        """Whether one of them may still hold the camera and has not been killed."""
        return any(not one.killed for one in self._processes)

    @property
    def hanging(self) -> int:
        """How many were killed and have not ended."""
        return sum(one.killed for one in self._processes)

    def forget(self) -> tuple[int, ...]:
        """Leave those that have not ended to the kernel; their ids."""
        left = tuple(one.process.pid for one in self._processes)
        self._processes = []
        return left


def wait_for_all(groups: list[EndingProcesses], seconds: float = RELEASE_SECONDS + REAP_SECONDS) -> None:
    """Wait for all of them at the same time; when that returns, those left hang in a driver."""
    deadline = time.monotonic() + seconds
    while sum([group.poll(time.monotonic()) for group in groups]) and time.monotonic() < deadline:
        time.sleep(0.01)
