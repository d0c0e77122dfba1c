"""Turns a telemetry message into Prometheus metrics: base units, `_total` for counters. Pure.

What is null in the telemetry is left out: a sensor without readings leaves a gap, not a false number.
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
    """One metric. `path`: its place in the telemetry; `label`: the label of a table's entries, where it is one.

    `counts`: a counter, whose name gets `_total`. `scale`: the factor from the telemetry's unit to the base unit.
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
    Family("frames_skipped", "skipped", "Frames skipped because the device was too hot", "camera", counts=True),
    Family("frames_failed", "failed", "Frames whose processing failed", "camera", counts=True),
    Family("camera_overloaded", "overloaded", "1 where the machine is too slow for this camera", "camera"),
    Family("camera_disabled", "disabled", "1 where this camera is switched off", "camera"),
    Family("invalid_answers", "invalid", "Invalid outputs of the network, left out", counts=True),
    Family("camera_stalls", "stalls", "Times that a camera stalled", "camera", counts=True),
    Family("camera_reconnects", "reconnects", "Times that a camera was reopened", "camera", counts=True),
    Family("outbox_messages", "queue.rows", "Messages waiting for the broker"),
    Family("outbox_bytes", "queue.bytes", "Size of their payloads, bytes"),
    Family("outbox_in_memory", "queue.in_memory", "1 where the disk fails and a crash would lose waiting messages"),
    Family("outbox_unsaved_messages", "queue.unsaved", "Messages that a crash would lose, as the disk fails"),
    Family("messages_in_flight", "queue.in_flight", "Messages sent and not yet acknowledged"),
    Family("messages_lost", "lost", "Messages lost, by kind", "kind", counts=True),
    Family("history_events", "history.events", "Events in the event store"),
    Family("history_clips", "history.clips", "Clips in the event store"),
    Family("history_bytes", "history.bytes", "Size of the event store, bytes"),
    Family("history_lost", "history.lost", "Entries that the event store has lost to its disk", counts=True),
    Family("broker_connections", "connections", "Connections to the broker", counts=True),
    Family("temperature_celsius", "hardware.temperatures_c", "Temperature", "sensor"),
    Family("power_watts", "hardware.power_w", "Power of the whole module"),
    Family("rail_power_watts", "hardware.rails_w", "Power of a rail", "rail"),
    Family("gpu_load_ratio", "hardware.gpu.load", "GPU load, 0 to 1"),
    Family("gpu_clock_hertz", "hardware.gpu.mhz", "Clock of the GPU", scale=MEGA),
    Family("cpu_load_ratio", "hardware.cpu.load", "CPU load of all cores together, 0 to 1"),
    Family("cpu_clock_hertz", "hardware.cpu.mhz", "Mean clock of the cores", scale=MEGA),
    Family("memory_size_bytes", "hardware.memory.total_mib", "Total memory of the machine", scale=MIB),
    Family("memory_available_bytes", "hardware.memory.available_mib", "Available memory of the machine", scale=MIB),
    Family("overcurrent_events", "hardware.overcurrent", "Times that the supply throttled the clocks", counts=True),
    Family("skipped_ratio", "throttle.skipped", "Share of frames skipped now because of heat, 0 to 1"),
    Family("clock_synced", "clock_synced", "1 where a time server has set the clock"),
    Family("process_memory_bytes", "process.memory_mib", "Resident memory of the daemon", scale=MIB),
    Family("process_open_files", "process.open_files", "Open files of the daemon"),
    Family("process_threads", "process.threads", "Threads of the daemon"),
    Family("process_cpu_seconds", "process.cpu_s", "CPU time of the daemon", counts=True),
    Family("children", "process.children.count", "Child processes of the daemon, one for each live camera"),
    Family("children_memory_bytes", "process.children.memory_mib", "Resident memory of the child processes", scale=MIB),
    Family("children_open_files", "process.children.open_files", "Open files of the child processes"),
    Family("children_threads", "process.children.threads", "Threads of the child processes"),
)


def families(telemetry: Mapping[str, Any]) -> Iterator[Metric]:
    """All metrics of one telemetry message; those without a value are left out."""
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
    yield from _runtime(telemetry.get("runtime"))


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
    """Quantiles of the newest frames; a gauge, as a summary would need sums."""
    metric = GaugeMetricFamily(
        "korsal_latency_seconds", "How long a stage takes, of the newest frames", labels=["stage", "quantile"]
    )
    for stage, percentiles in stages.items() if isinstance(stages, Mapping) else ():
        for name, milliseconds in percentiles.items():
            metric.add_metric([stage, QUANTILES[name]], milliseconds * MILLI)
    if metric.samples:
        yield metric


def _throttled(alerts: object) -> Iterator[Metric]:
    """The number of kernel alerts that throttle clocks; nothing where the kernel reports none."""
    if isinstance(alerts, Sequence):
        yield _metric(Family("throttle_alerts", "", "Kernel alerts that throttle clocks now"), [("", len(alerts))])


def _runtime(runtime: object) -> Iterator[Metric]:
    """What runs the model, and whether that is a fallback; why it is one is text, which telemetry tells."""
    if isinstance(runtime, Mapping):
        fallback = float(runtime.get("fallback") is not None)
        yield _metric(Family("runtime_fallback", "", "1 where the model does not run as configured"), [("", fallback)])
        ways = {key: str(runtime.get(key)) for key in ("name", "preprocessing")}
        metric = GaugeMetricFamily("korsal_runtime_info", "What runs the model", labels=list(ways))
        metric.add_metric(list(ways.values()), 1)
        yield metric
