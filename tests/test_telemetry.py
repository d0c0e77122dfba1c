import json
from pathlib import Path

import pytest

from edge import telemetry
from edge.telemetry import Stopwatch, percentiles, rates


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
    for _ in range(telemetry.KEPT):
        stopwatch.record("network", 1.0)
    stopwatch.record("network", 2.0)
    found = stopwatch.latencies()
    assert found["network"] == {"p50": 1000, "p95": 1000, "p99": 1000}
    assert 0 <= found["motion"]["p50"] < 1000


def test_temperatures_of_what_can_be_read(tmp_path: Path) -> None:
    for number, (name, value) in enumerate([("cpu", "41500\n"), ("cpu", "42000"), ("gpu", "no number"), ("soc", None)]):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(f"{name}\n")
        if value is not None:
            (zone / "temp").write_text(value)
    assert telemetry.temperatures(tmp_path) == {"cpu": 41.5, "thermal_zone1": 42.0}
    assert telemetry.temperatures(tmp_path / "none") == {}


def test_memory_in_mebibytes(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("Name:\tkorsal\nVmRSS:\t  2048 kB\n")
    assert telemetry.memory(tmp_path) == {"process_mib": 2.0}
    (tmp_path / "meminfo").write_text("MemTotal: 4096 kB\nMemAvailable: 1024 kB\nHugePages_Total: 0\n")
    assert telemetry.memory(tmp_path) == {"process_mib": 2.0, "total_mib": 4.0, "available_mib": 1.0}


def test_this_machine_can_be_told_as_json() -> None:
    told = [telemetry.temperatures(), telemetry.memory(), telemetry.processor()]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert telemetry.memory()["process_mib"] > 1
