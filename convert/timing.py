"""How long two engines take, call by call in turns. Shell over a clock."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convert.calibration import FramePair
from convert.frame_answers import Stream, network_call
from edge.inference import Engine

ROUNDS = 60  # calls that are timed for each batch size
WARM_UP = 5


@dataclass(frozen=True)
class Latency:
    """Of one model and one batch size: milliseconds a call, frames a second."""

    batch: int
    p50: float
    p95: float
    p99: float

    @property
    def throughput(self) -> float:
        """Frames per second at the median."""
        return 1000 * self.batch / self.p50


def latencies(
    first: Engine, second: Engine, pair: FramePair, batches: Sequence[int]
) -> tuple[tuple[Latency, Latency], ...]:
    """Both engines in turns, call by call, so that what else the machine does falls on both alike.

    `pair` is fitted. Where one of them prepares frames itself, both are timed from frames on.
    """
    whole = any(engine.preprocessor == "graph" for engine in (first, second))
    rows = []
    for batch in batches:
        calls = [
            Stream(engine, pair, batch) if whole else network_call(engine, pair, batch) for engine in (first, second)
        ]
        times = np.array([[_seconds(call) for call in calls] for _ in range(WARM_UP + ROUNDS)])
        p50, p95, p99 = 1000 * np.percentile(times[WARM_UP:], (50, 95, 99), axis=0)
        one, other = (Latency(batch, float(p50[i]), float(p95[i]), float(p99[i])) for i in (0, 1))
        rows.append((one, other))
    return tuple(rows)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
