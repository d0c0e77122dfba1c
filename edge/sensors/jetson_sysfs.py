"""Reads a Jetson's temperatures, power, GPU load and power mode from the kernel's files. Shell.

The paths are those of NVIDIA's Jetson Linux Developer Guide ("Platform Power and Performance") for Orin on JetPack 6,
and those reported of Thor with JetPack 7. Not yet run on a Jetson: the tests build such trees of files.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from edge.sensors.sensor_reading import SensorReading

ROOT = Path("/")
MODULE_RAILS = ("VDD_IN", "VIN", "POM_5V_IN")  # that feed the whole module; without one, the sum of rails counts
NESTED_RAILS = ("VDDQ_VDD2_1V8AO",)  # fed by another rail
GPUS = ("*gpu", "*ga10b", "*gv11b", "gpu-gpc-0", "gpu.0")  # in /sys/class/devfreq; the fourth is Thor's
LOADS = ("gpu.0/load", "platform/gpu.0/load", "platform/*.gpu/load", "platform/bus@0/*.gpu/load")  # in /sys/devices
ALERT = re.compile(r".*-throttle-alert|hot-surface-alert")
POWER_MODEL = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>")


def is_jetson(root: Path = ROOT) -> bool:
    """Whether the device tree names NVIDIA's Tegra."""
    return "nvidia,tegra" in (_text(root / "proc/device-tree/compatible") or "")


def read(common: SensorReading, root: Path = ROOT) -> SensorReading:
    """`common`, the reading of any machine, completed by what only a Jetson has."""
    rails = dict(_rails(root / "sys/class/hwmon"))
    return replace(
        common,
        source="sysfs",
        temperatures_c=temperatures(root / "sys/class/thermal") or common.temperatures_c,
        power_w=_module_power(rails),
        rails_w=rails,
        gpu_load=_gpu_load(root / "sys"),
        gpu_mhz=_gpu_clock(root / "sys/class/devfreq"),
        mode=_mode(root),
        throttled=_throttled(root / "sys/class/thermal"),
        overcurrent=_overcurrent(root / "sys/class/hwmon"),
    )


def temperatures(thermal: Path) -> dict[str, float]:
    """°C of every readable thermal zone, by its type, or its number where two share a type."""
    found: dict[str, float] = {}
    for zone in sorted(thermal.glob("thermal_zone*")):
        name, value = _text(zone / "type"), _number(zone / "temp")
        if name and value is not None:  # a zone that is switched off cannot be read
            found[name if name not in found else zone.name] = value / 1000
    return found


def _rails(hwmon: Path) -> Iterable[tuple[str, float]]:
    """Watts of every rail: from volts and amperes of an INA3221, or ready-made from an INA238 (Thor)."""
    for chip in sorted(hwmon.glob("hwmon*")):
        name = _text(chip / "name") or ""
        if not name.startswith("ina"):
            continue
        for channel in "123":
            label = _text(chip / f"in{channel}_label")
            millivolts, milliamperes = _number(chip / f"in{channel}_input"), _number(chip / f"curr{channel}_input")
            if label and label != "NC" and millivolts is not None and milliamperes is not None:
                yield label, millivolts * milliamperes / 1e6
        microwatts = _number(chip / "power1_input")
        if microwatts is not None:
            yield _text(chip / "power1_label") or "VIN", microwatts / 1e6


def _module_power(rails: dict[str, float]) -> float | None:
    """Watts of the whole module."""
    for name in MODULE_RAILS:
        if name in rails:
            return rails[name]
    return sum(watts for name, watts in rails.items() if name not in NESTED_RAILS) if rails else None


def _gpu_load(system: Path) -> float | None:
    """0..1; the driver reports thousandths. Thor's driver has no such file."""
    places = [f"class/devfreq/{name}/device/load" for name in GPUS] + [f"devices/{name}" for name in LOADS]
    load = _first(number for place in places for number in map(_number, sorted(system.glob(place))))
    return None if load is None else load / 1000


def _gpu_clock(devfreq: Path) -> float | None:
    """MHz."""
    files = (file for name in GPUS for file in sorted(devfreq.glob(f"{name}/cur_freq")))
    hertz = _first(map(_number, files))
    return None if hertz is None else hertz / 1e6


def _mode(root: Path) -> str | None:
    """The name of nvpmodel's power mode; its number where the name is not found."""
    status = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status") or "")
    if not status:
        return None
    number = int(status[1])
    names = {int(found[1]): found[2] for found in POWER_MODEL.finditer(_text(root / "etc/nvpmodel.conf") or "")}
    return names.get(number, str(number))


def _throttled(thermal: Path) -> tuple[str, ...] | None:
    """The kernel's alerts that throttle clocks now; None where it has no alerts."""
    states: dict[str, float] = {}
    for device in sorted(thermal.glob("cooling_device*")):
        name, state = _text(device / "type") or "", _number(device / "cur_state")
        if ALERT.fullmatch(name) and state is not None:
            states[name] = state
    return tuple(name for name, state in states.items() if state > 0) if states else None


def _overcurrent(hwmon: Path) -> int | None:
    """Throttlings by under-voltage or over-current since boot; None where they are not counted."""
    counts = [_number(file) for file in sorted(hwmon.glob("hwmon*/oc*_event_cnt"))]
    known = [count for count in counts if count is not None]
    return int(sum(known)) if known else None


def _first(numbers: Iterable[float | None]) -> float | None:
    return next((number for number in numbers if number is not None), None)


def _number(file: Path) -> float | None:
    text = _text(file)
    try:
        return None if text is None else float(int(text))
    except ValueError:
        return None


def _text(file: Path) -> str | None:
    """The file's text; None where the kernel, or the sensor behind it, refuses."""
    try:
        return file.read_text("utf-8", "replace").strip("\0 \n")
    except OSError:
        return None
