"""The telemetry as Prometheus names things: base units, `_total` for what only grows. Pure.

What is null in the telemetry is left out, so that a sensor that falls silent leaves a gap and no false number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

MIB, MEGA, MILLI = 1024.0 * 1024, 1e6, 1e-3
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}


@dataclass(frozen=True)
class Family:
    """One metric. `path`: where the telemetry has it; `label`: what tells a table's entries apart, where it is one.

    `counts`: it only grows; its name gets `_total`. `scale`: what makes the telemetry's unit the base unit.
    """

    name: str
    path: str
    meaning: str
    label: str = ""
    counts: bool = False
    scale: float = 1.0


FAMILIES = (
    Family(
        "frames_per_second", "fps", "Frames that went through the model, per second, since the last reading", "camera"
    ),
    Family("frames", "frames", "Frames that went through the model", "camera", counts=True),
    Family("frames_dropped", "dropped", "Frames that a newer one replaced", "camera", counts=True),
    Family("frames_skipped", "skipped", "Frames left out because the device was too hot", "camera", counts=True),
    Family("frames_failed", "failed", "Frames whose processing failed", "camera", counts=True),
    Family("camera_overloaded", "overloaded", "1 where the machine is too slow for this camera", "camera"),
    Family("invalid_answers", "invalid", "Answers of the network that no network may give", counts=True),
    Family("camera_stalls", "stalls", "Times that a camera sent nothing new", "camera", counts=True),
    Family("camera_reconnects", "reconnects", "Times that a camera was opened anew", "camera", counts=True),
    Family("outbox_messages", "queue.rows", "Messages that wait for the broker"),
    Family("outbox_bytes", "queue.bytes", "Their payloads, bytes"),
    Family("outbox_in_memory", "queue.in_memory", "1 where the disk refuses and a crash would cost what waits"),
    Family("outbox_unsaved_messages", "queue.unsaved", "Messages that a crash would cost, as the disk refuses"),
    Family("messages_in_flight", "queue.in_flight", "Messages sent and not acknowledged"),
    Family("messages_lost", "lost", "What did not get out, by kind", "kind", counts=True),
    Family("broker_connections", "connections", "Connections to the broker", counts=True),
    Family("temperature_celsius", "hardware.temperatures_c", "Temperature", "sensor"),
    Family("power_watts", "hardware.power_w", "What the whole module draws"),
    Family("rail_power_watts", "hardware.rails_w", "What a part of it draws", "rail"),
    Family("gpu_load_ratio", "hardware.gpu.load", "How busy the GPU is, 0 to 1"),
    Family("gpu_clock_hertz", "hardware.gpu.mhz", "Clock of the GPU", scale=MEGA),
    Family("cpu_load_ratio", "hardware.cpu.load", "How busy all cores together are, 0 to 1"),
    Family("cpu_clock_hertz", "hardware.cpu.mhz", "Mean clock of the cores", scale=MEGA),
    Family("memory_size_bytes", "hardware.memory.total_mib", "The machine's memory", scale=MIB),
    Family("memory_available_bytes", "hardware.memory.available_mib", "What of it can be had", scale=MIB),
    Family("overcurrent_events", "hardware.overcurrent", "Times that the supply held the clocks down", counts=True),
    Family("skipped_ratio", "throttle.skipped", "Share of the frames left out now because of heat, 0 to 1"),
    Family("clock_synced", "clock_synced", "1 where a time server has set the clock"),
    Family("process_memory_bytes", "process.memory_mib", "Resident memory of the daemon", scale=MIB),
    Family("process_open_files", "process.open_files", "Open files of the daemon"),
    Family("process_threads", "process.threads", "Threads of the daemon"),
    Family("process_cpu_seconds", "process.cpu_s", "CPU time of the daemon", counts=True),
    Family("children", "process.children.count", "Processes that the daemon has started, one for each live camera"),
    Family("children_memory_bytes", "process.children.memory_mib", "Resident memory of these", scale=MIB),
    Family("children_open_files", "process.children.open_files", "Open files of these"),
    Family("children_threads", "process.children.threads", "Threads of these"),
)


def families(telemetry: Mapping[str, Any]) -> Iterator[Metric]:
    """All metrics of one telemetry message; those of which nothing is known are left out."""
    for family in FAMILIES:
        found = _found(telemetry, family.path.split("."))
        entries = found.items() if isinstance(found, Mapping) else [("", found)]
        values = [
            (name, float(value) * family.scale) for name, value in entries if isinstance(value, bool | int | float)
        ]
        if values and bool(family.label) == isinstance(found, Mapping):
            yield _metric(family, values)
    yield from _latencies(telemetry.get("latency_ms"))
    yield from _throttled(_found(telemetry, ["hardware", "throttled"]))


def _found(table: object, path: Sequence[str]) -> object:
    for key in path:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


def _metric(family: Family, values: Iterable[tuple[str, float]]) -> Metric:
    kind = CounterMetricFamily if family.counts else GaugeMetricFamily
    metric = kind(f"korsal_{family.name}", family.meaning, labels=[family.label] if family.label else [])
    for name, value in values:
        metric.add_metric([name] if family.label else [], value)
    return metric


def _latencies(stages: object) -> Iterator[Metric]:
    """Quantiles of the newest frames; no summary, as nobody sums them up."""
    metric = GaugeMetricFamily(
        "korsal_latency_seconds", "How long a stage takes, of the newest frames", labels=["stage", "quantile"]
    )
    for stage, percentiles in stages.items() if isinstance(stages, Mapping) else ():
        for name, milliseconds in percentiles.items():
            metric.add_metric([stage, QUANTILES[name]], milliseconds * MILLI)
    if metric.samples:
        yield metric


def _throttled(alerts: object) -> Iterator[Metric]:
    """How many of the kernel's alerts hold clocks down; nothing where it has none."""
    if isinstance(alerts, Sequence):
        yield _metric(
            Family("throttle_alerts", "", "Alerts of the kernel that hold clocks down now"), [("", len(alerts))]
        )
