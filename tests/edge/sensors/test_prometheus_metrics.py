import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edge.sensors import host_sensors
from edge.sensors.prometheus_metrics import FAMILIES, families
from edge.sensors.sensor_reading import SensorReading, reading_payload
from tests.support.paths import ROOT

READING = SensorReading(
    "sysfs", {"tj": 51.5}, 7.0, {"VDD_IN": 7.0}, 0.4, 612.0, 0.2, 1500.0, 8192.0, 4096.0, "15W", ("gpu",), 3
)
TELEMETRY: dict[str, Any] = {
    "schema": 1,
    "fps": {"door": 9.5},
    "frames": {"door": 100},
    "dropped": {"door": 3},
    "skipped": {"door": 2},
    "failed": {"door": 6},
    "overloaded": {"door": True},
    "disabled": {"door": False},
    "invalid": 7,
    "runtime": {"name": "tensorrt 10.3.0 fp16", "preprocessing": "graph", "fallback": "no INT8 engine"},
    "stalls": {"door": 1},
    "reconnects": {"door": 4},
    "latency_ms": {"network": {"p50": 10.0, "p95": 20.0, "p99": 30.0}},
    "queue": {"rows": 5, "bytes": 1000, "in_flight": 1, "in_memory": False, "unsaved": 0},
    "lost": {"updates": 1, "events": 0, "expired": 0, "refused": 0, "damaged": 0},
    "connections": 2,
    "history": {"events": 9, "clips": 4, "bytes": 5000, "lost": 1, "fault": None},
    "clock_synced": True,
    "hardware": reading_payload(READING),
    "throttle": {"skipped": 0.25},
    "process": host_sensors.process_usage(),
}


class Shown:
    def __init__(self, telemetry: dict[str, Any]) -> None:
        self.telemetry = telemetry

    def collect(self) -> Any:
        return families(self.telemetry)


def page(telemetry: dict[str, Any]) -> str:
    registry = CollectorRegistry()
    registry.register(Shown(telemetry))
    return generate_latest(registry).decode()


def test_without_telemetry_the_page_is_empty() -> None:
    assert page({}) == ""
    assert page({"hardware": reading_payload(None)}) == ""


def test_what_prometheus_reads() -> None:
    lines = page(TELEMETRY).splitlines()
    for line in (
        'korsal_frames_total{camera="door"} 100.0',
        'korsal_frames_per_second{camera="door"} 9.5',
        'korsal_frames_dropped_total{camera="door"} 3.0',
        'korsal_frames_skipped_total{camera="door"} 2.0',
        'korsal_frames_failed_total{camera="door"} 6.0',
        'korsal_camera_overloaded{camera="door"} 1.0',
        'korsal_camera_disabled{camera="door"} 0.0',
        "korsal_invalid_answers_total 7.0",
        'korsal_latency_seconds{quantile="0.95",stage="network"} 0.02',
        'korsal_messages_lost_total{kind="updates"} 1.0',
        "korsal_outbox_in_memory 0.0",
        "korsal_outbox_unsaved_messages 0.0",
        "korsal_broker_connections_total 2.0",
        'korsal_temperature_celsius{sensor="tj"} 51.5',
        "korsal_power_watts 7.0",
        'korsal_rail_power_watts{rail="VDD_IN"} 7.0',
        "korsal_gpu_clock_hertz 6.12e+08",
        "korsal_memory_available_bytes 4.294967296e+09",
        "korsal_throttle_alerts 1.0",
        "korsal_overcurrent_events_total 3.0",
        "korsal_skipped_ratio 0.25",
        "korsal_clock_synced 1.0",
        "korsal_children 0.0",
        "korsal_runtime_fallback 1.0",
        'korsal_runtime_info{name="tensorrt 10.3.0 fp16",preprocessing="graph"} 1.0',
    ):
        assert line in lines


def test_every_family_is_found_in_a_whole_telemetry_and_names_are_standard() -> None:
    found = {metric.name: metric for metric in text_string_to_metric_families(page(TELEMETRY))}
    assert set(found) == {
        *(f"korsal_{family.name}" for family in FAMILIES),
        "korsal_latency_seconds",
        "korsal_throttle_alerts",
        "korsal_runtime_fallback",
        "korsal_runtime_info",
    }
    for name, metric in found.items():
        assert re.fullmatch(r"korsal_[a-z_]+", name)
        assert metric.documentation
        assert metric.type in ("gauge", "counter")
        assert all(sample.name.endswith("_total") == (metric.type == "counter") for sample in metric.samples)


def test_a_model_that_runs_as_configured() -> None:
    runtime = {**TELEMETRY["runtime"], "fallback": None}
    assert "korsal_runtime_fallback 0.0" in page({**TELEMETRY, "runtime": runtime}).splitlines()


@pytest.mark.parametrize("silent", ["hardware", "process", "queue", "latency_ms", "lost", "fps", "runtime"])
def test_what_is_missing_or_null_is_left_out(silent: str) -> None:
    assert 0 < len(page({**TELEMETRY, silent: None})) < len(page(TELEMETRY))
    assert page({key: value for key, value in TELEMETRY.items() if key != silent}) == page({**TELEMETRY, silent: None})


def test_every_family_is_documented() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text()
    for family in FAMILIES:
        assert f"`korsal_{family.name}{'_total' if family.counts else ''}`" in text


names = st.text(max_size=8)
numbers = st.one_of(st.integers(-(2**60), 2**60), st.floats(), st.none(), st.booleans(), st.text(max_size=3))


@given(st.dictionaries(names, numbers, max_size=4), st.sampled_from(["fps", "lost", "frames", "queue", "connections"]))
def test_any_names_of_cameras_and_sensors_give_a_valid_page(table: dict[str, Any], key: str) -> None:
    text = page({key: table, "hardware": {"temperatures_c": table}})
    list(text_string_to_metric_families(text))
