import pytest

from edge.service.stage_timing import MAX_DURATIONS, Stopwatch, percentiles, rates


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], {}),
        ([0.002], {"p50": 2, "p95": 2, "p99": 2}),
        ([0.003, 0.001, 0.002], {"p50": 2, "p95": 3, "p99": 3}),  # ranks ⌈1.5⌉ = 2, ⌈2.85⌉ = 3, ⌈2.97⌉ = 3
        ([i / 1000 for i in range(1, 101)], {"p50": 50, "p95": 95, "p99": 99}),
    ],
)
def test_percentiles(seconds: list[float], expected: dict[str, float]) -> None:
    assert percentiles(seconds) == expected


@pytest.mark.parametrize(
    ("before", "now", "seconds", "expected"),
    [
        ({}, {}, 1.0, {}),
        ({"door": 10}, {"door": 70}, 2.0, {"door": 30.0}),
        ({}, {"door": 5}, 10.0, {"door": 0.5}),
        ({"door": 1}, {"door": 2}, 0.0, {"door": 0.0}),
    ],
)
def test_rates(before: dict[str, int], now: dict[str, int], seconds: float, expected: dict[str, float]) -> None:
    assert rates(before, now, seconds) == expected


def test_a_stopwatch_keeps_every_stage_apart_and_only_the_newest() -> None:
    stopwatch = Stopwatch()
    stopwatch.start()
    stopwatch.lap("motion")
    for _ in range(MAX_DURATIONS):
        stopwatch.record("network", 1.0)
    stopwatch.record("network", 2.0)
    found = stopwatch.latencies()
    assert found["network"] == {"p50": 1000, "p95": 1000, "p99": 1000}
    assert 0 <= found["motion"]["p50"] < 1000
