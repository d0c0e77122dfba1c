"""How the device is doing: time per stage, temperatures, memory. Shell."""

import math
import os
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edge import jetson_sysfs

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
KEPT = 1000  # durations per stage

THERMAL = Path("/sys/class/thermal")
PROC = Path("/proc")


class Stopwatch:
    """Durations of the stages of a frame, the newest thousand of each, in seconds."""

    def __init__(self) -> None:
        self._stages: dict[str, deque[float]] = {}
        self._last = time.perf_counter()

    def start(self) -> None:
        """A frame begins."""
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """A stage is over; the next begins."""
        now = time.perf_counter()
        self.record(stage, now - self._last)
        self._last = now

    def record(self, stage: str, seconds: float) -> None:
        """Count a duration that was measured elsewhere."""
        self._stages.setdefault(stage, deque(maxlen=KEPT)).append(seconds)

    def latencies(self) -> dict[str, dict[str, float]]:
        """Percentiles per stage, ms."""
        return {stage: percentiles(seconds) for stage, seconds in self._stages.items()}


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 in ms, each the smallest value that so many are not above ("nearest rank"); {} of nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    ranks = {name: max(1, math.ceil(share * len(ordered))) for name, share in SHARES.items()}
    return {name: round(ordered[rank - 1] * 1000, 3) for name, rank in ranks.items()}


def temperatures(root: Path = THERMAL) -> dict[str, float]:
    """°C of every thermal zone that the kernel shows, by its type; empty where there is none."""
    return jetson_sysfs.temperatures(root)


def memory(root: Path = PROC) -> dict[str, float]:
    """MiB: what this process holds, what the machine has and what is free there; only what can be read."""
    status, machine = _table(root / "self" / "status"), _table(root / "meminfo")
    wanted = {
        "process_mib": status.get("VmRSS"),
        "total_mib": machine.get("MemTotal"),
        "available_mib": machine.get("MemAvailable"),
    }
    return {name: round(kib / 1024, 1) for name, kib in wanted.items() if kib is not None}


def processor() -> dict[str, float]:
    """Seconds of CPU time that this process has used, and the machine's load over one minute."""
    return {"process_s": round(time.process_time(), 2), "load": round(os.getloadavg()[0], 2)}


def rates(before: Mapping[str, int], now: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Frames per second of each camera between two counts; a camera that has just come counts from 0."""
    if seconds <= 0:
        return dict.fromkeys(now, 0.0)
    return {name: round((count - before.get(name, 0)) / seconds, 2) for name, count in now.items()}


def _table(file: Path) -> dict[str, int]:
    """`Name:  123 kB` lines of the kernel, in KiB."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    words: Sequence[list[str]] = [line.split() for line in lines]
    return {entry[0].rstrip(":"): int(entry[1]) for entry in words if len(entry) == 3 and entry[2] == "kB"}
