"""A reading of the device's sensors, in the same shape for every source. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

COLDEST, HOTTEST = -55.0, 150.0  # °C; beyond these a sensor is switched off or broken


@dataclass(frozen=True)
class SensorReading:
    """One reading; None, or an empty table, where the source does not know. Loads are 0..1, of all cores together.

    `source`: jtop, sysfs or psutil. `power_w`: of the whole module; `rails_w`: of its rails, by name. `mode`: of
    nvpmodel. `throttled`: the kernel's names of what throttles the clocks because of heat; empty where nothing does.
    `overcurrent`: how often the power supply has throttled the clocks since boot.
    """

    source: str
    temperatures_c: Mapping[str, float] = field(default_factory=dict)
    power_w: float | None = None
    rails_w: Mapping[str, float] = field(default_factory=dict)
    gpu_load: float | None = None
    gpu_mhz: float | None = None
    cpu_load: float | None = None
    cpu_mhz: float | None = None
    memory_total_mib: float | None = None
    memory_available_mib: float | None = None
    mode: str | None = None
    throttled: tuple[str, ...] | None = None
    overcurrent: int | None = None


def hottest(reading: SensorReading | None) -> tuple[str, float] | None:
    """The hottest sensor and its °C; None where there is none. Of equals, the first by name."""
    plausible = sorted((name, value) for name, value in (reading.temperatures_c if reading else {}).items())
    plausible = [(name, value) for name, value in plausible if COLDEST <= value <= HOTTEST]
    return max(plausible, key=lambda entry: entry[1], default=None)


def reading_payload(reading: SensorReading | None) -> dict[str, object]:
    """The telemetry's `hardware` table. All keys are always there; unknown values are null."""
    known = reading or SensorReading("none")
    return {
        "source": known.source,
        "temperatures_c": {name: _rounded(value, 2) for name, value in sorted(known.temperatures_c.items())},
        "power_w": _rounded(known.power_w, 3),
        "rails_w": {name: _rounded(value, 3) for name, value in sorted(known.rails_w.items())},
        "gpu": {"load": _rounded(known.gpu_load, 3), "mhz": _rounded(known.gpu_mhz, 0)},
        "cpu": {"load": _rounded(known.cpu_load, 3), "mhz": _rounded(known.cpu_mhz, 0)},
        "memory": {
            "total_mib": _rounded(known.memory_total_mib, 1),
            "available_mib": _rounded(known.memory_available_mib, 1),
        },
        "mode": known.mode,
        "throttled": None if known.throttled is None else list(known.throttled),
        "overcurrent": known.overcurrent,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    """Rounded for people; a value that JSON cannot hold counts as unknown."""
    return round(value, digits) if value is not None and math.isfinite(value) else None
