"""The devices of benchmarks/fleet.py that have a real outbox, in a process of their own.

paho waits for its socket by `select`, which knows no file beyond the 1024th; a device never has so many, but a process
with a thousand connections has.
"""

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.fleet_devices import OutboxDevice


@dataclass(frozen=True)
class OutboxPlan:
    """Which devices there are, at which ports; how many steps a second all of them publish together, and how long."""

    numbers: Sequence[int]
    ports: tuple[int, int]
    folder: Path
    rate: float
    seconds: float
    drain_seconds: float


class OutboxProcess:
    """Runs the devices of a plan. `begin` once all others are connected; `result` when all is over."""

    def __init__(self, plan: OutboxPlan) -> None:
        self._here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_run, args=(plan, there), daemon=True)
        self._process.start()

    def begin(self) -> None:
        """Publish from now on."""
        self._here.send(None)

    @property
    def is_over(self) -> bool:
        """Whether `result` is at hand."""
        return self._here.poll()

    def result(self) -> tuple[int, int]:
        """How many steps were published, and how many of them were never acknowledged."""
        published, waiting = self._here.recv()
        self._process.join()
        return published, waiting


def _run(plan: OutboxPlan, there: Connection) -> None:
    devices = [OutboxDevice(number, plan.ports[number % 2], plan.folder) for number in plan.numbers]
    there.recv()
    began, sent = time.monotonic(), 0
    while devices and (passed := time.monotonic() - began) < plan.seconds:
        while sent < passed * plan.rate:
            devices[sent % len(devices)].step()
            sent += 1
        time.sleep(0.02)
    deadline = time.monotonic() + plan.drain_seconds
    while any(device.waiting for device in devices) and time.monotonic() < deadline:
        time.sleep(0.1)
    there.send((sent, sum(device.waiting for device in devices)))
    for device in devices:
        device.close()
