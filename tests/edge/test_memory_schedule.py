"""When the memory takes a step: a table of times."""

import numpy as np
import pytest

from edge.memory_schedule import LONGEST, StepKind, next_step

INTERVAL, RATE = 4, 25.0  # 0.16 s

TABLE: list[tuple[float | None, float, StepKind]] = [
    (None, 0.0, "begin"),  # the first frame
    (0.0, 0.0, "wait"),  # the same frame again
    (0.0, 0.12, "wait"),
    (0.0, 0.16, "continue"),
    (0.32, 0.48, "continue"),  # 0.48 - 0.32 is less than 0.16 by what floats round
    (0.0, 0.141, "continue"),  # nearer to the fourth frame than to the third
    (0.0, 0.139, "wait"),
    (0.0, LONGEST * 0.16 - 1e-9, "continue"),  # frames were missed, for not too long
    (0.0, LONGEST * 0.16 + 0.01, "begin"),  # another scene
    (10.0, 9.9, "begin"),  # the clock has stepped back
    (1e6, 1e6 + 0.16, "continue"),  # a machine that has been up for eleven days
]


@pytest.mark.parametrize(("last", "now", "expected"), TABLE)
def test_what_a_frame_is_for_the_memory(last: float | None, now: float, expected: StepKind) -> None:
    assert next_step(last, now, INTERVAL, RATE) == expected


@pytest.mark.parametrize(("rate", "every"), [(25, 4), (30, 5), (24, 4), (12.5, 2), (6.25, 1), (5, 1), (1, 1)])
def test_steps_of_a_steady_camera(rate: float, every: int) -> None:
    """It looks at the first frame that is 0.14 s or more after the last one it saw; a slow camera at all."""
    assert looked_at([index / rate for index in range(40)]) == list(range(0, 40, every))


def test_times_that_are_not_quite_even_change_nothing() -> None:
    random = np.random.default_rng(0)
    assert looked_at([index / 25 + random.uniform(-0.009, 0.009) for index in range(40)]) == list(range(0, 40, 4))


def looked_at(times: list[float]) -> list[int]:
    last, seen = None, []
    for index, time in enumerate(times):
        if next_step(last, time, INTERVAL, RATE) != "wait":
            last = time
            seen.append(index)
    return seen
