"""How long the stages of a frame take, and how many frames come through. Shell: reads the clock."""

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
KEPT = 1000  # durations per stage


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


def rates(before: Mapping[str, int], now: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Frames per second of each camera between two counts; a camera that has just come counts from 0."""
    if seconds <= 0:
        return dict.fromkeys(now, 0.0)
    return {name: round((count - before.get(name, 0)) / seconds, 2) for name, count in now.items()}
