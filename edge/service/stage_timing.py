"""Durations of a frame's stages, their percentiles, and frame rates. Shell: reads the clock."""

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
MAX_DURATIONS = 1000  # durations per stage


class Stopwatch:
    """Measures the stages of a frame; keeps the newest thousand durations of each, in seconds."""

    def __init__(self) -> None:
        self._stages: dict[str, deque[float]] = {}
        self._last = time.perf_counter()

    def start(self) -> None:
        """Start measuring a frame."""
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Record the stage that ends now; the next one starts."""
        now = time.perf_counter()
        self.record(stage, now - self._last)
        self._last = now

    def record(self, stage: str, seconds: float) -> None:
        """Record a duration that was measured elsewhere."""
        self._stages.setdefault(stage, deque(maxlen=MAX_DURATIONS)).append(seconds)

    def latencies(self) -> dict[str, dict[str, float]]:
        """Percentiles per stage, ms."""
        return {stage: percentiles(seconds) for stage, seconds in self._stages.items()}


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 in ms, by nearest rank; {} of no durations."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    ranks = {name: max(1, math.ceil(share * len(ordered))) for name, share in PERCENTILES.items()}
    return {name: round(ordered[rank - 1] * 1000, 3) for name, rank in ranks.items()}


def rates(before: Mapping[str, int], now: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Frames per second of each camera between two counts; a new camera counts from 0."""
    if seconds <= 0:
        return dict.fromkeys(now, 0.0)
    return {name: round((count - before.get(name, 0)) / seconds, 2) for name, count in now.items()}
