"""What a Jetson's kernel tells in its files: heat, power, GPU, power mode. Shell.

The paths are those of NVIDIA's Jetson Linux Developer Guide ("Platform Power and Performance") for Orin on JetPack 6,
and those seen on Thor with JetPack 7. Never run on a Jetson so far: the tests make such trees of files.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from edge.sensors.reading import Reading

ROOT = Path("/")
WHOLE = ("VDD_IN", "VIN", "POM_5V_IN")  # rails that feed the whole module; elsewhere it is the sum
INNER = ("VDDQ_VDD2_1V8AO",)  # rails that another one feeds
GPUS = ("*gpu", "*ga10b", "*gv11b", "gpu-gpc-0", "gpu.0")  # in /sys/class/devfreq; the fourth is Thor's
LOADS = ("gpu.0/load", "platform/gpu.0/load", "platform/*.gpu/load", "platform/bus@0/*.gpu/load")  # in /sys/devices
ALERT = re.compile(r".*-throttle-alert|hot-surface-alert")
POWER_MODEL = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>")


def is_jetson(root: Path = ROOT) -> bool:
    """Whether the device tree says that NVIDIA's Tegra is what we run on."""
    return "nvidia,tegra" in (_text(root / "proc/device-tree/compatible") or "")


def read(common: Reading, root: Path = ROOT) -> Reading:
    """`common`, what any machine tells, completed by what only a Jetson does."""
    rails = dict(_rails(root / "sys/class/hwmon"))
    return replace(
        common,
        source="sysfs",
        temperatures_c=temperatures(root / "sys/class/thermal") or common.temperatures_c,
        power_w=_whole(rails),
        rails_w=rails,
        gpu_load=_gpu_load(root / "sys"),
        gpu_mhz=_gpu_clock(root / "sys/class/devfreq"),
        mode=_mode(root),
        throttled=_throttled(root / "sys/class/thermal"),
        overcurrent=_overcurrent(root / "sys/class/hwmon"),
    )


def temperatures(thermal: Path) -> dict[str, float]:
    """°C of every thermal zone that can be read, by its type, or by its number where two have one type."""
    found: dict[str, float] = {}
    for zone in sorted(thermal.glob("thermal_zone*")):
        name, value = _text(zone / "type"), _number(zone / "temp")
        if name and value is not None:  # a zone that is switched off refuses to be read
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


def _whole(rails: dict[str, float]) -> float | None:
    """Watts of the whole module."""
    for name in WHOLE:
        if name in rails:
            return rails[name]
    return sum(watts for name, watts in rails.items() if name not in INNER) if rails else None


def _gpu_load(system: Path) -> float | None:
    """0..1; the driver tells thousandths. Thor's driver has no such file."""
    places = [f"class/devfreq/{name}/device/load" for name in GPUS] + [f"devices/{name}" for name in LOADS]
    load = _first(number for place in places for number in map(_number, sorted(system.glob(place))))
    return None if load is None else load / 1000


def _gpu_clock(devfreq: Path) -> float | None:
    """MHz."""
    files = (file for name in GPUS for file in sorted(devfreq.glob(f"{name}/cur_freq")))
    hertz = _first(map(_number, files))
    return None if hertz is None else hertz / 1e6


def _mode(root: Path) -> str | None:
    """The name of the power mode that nvpmodel has set; its number where the name is not to be found."""
    status = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status") or "")
    if not status:
        return None
    number = int(status[1])
    names = {int(found[1]): found[2] for found in POWER_MODEL.finditer(_text(root / "etc/nvpmodel.conf") or "")}
    return names.get(number, str(number))


def _throttled(thermal: Path) -> tuple[str, ...] | None:
    """The kernel's alerts that hold clocks down now; None where it has no alerts."""
    states: dict[str, float] = {}
    for device in sorted(thermal.glob("cooling_device*")):
        name, state = _text(device / "type") or "", _number(device / "cur_state")
        if ALERT.fullmatch(name) and state is not None:
            states[name] = state
    return tuple(name for name, state in states.items() if state > 0) if states else None


def _overcurrent(hwmon: Path) -> int | None:
    """Times that too low a voltage or too high a current held the clocks down since the start; None where uncounted."""
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
    """What the file says; None where the kernel, or the sensor behind it, refuses."""
    try:
        return file.read_text("utf-8", "replace").strip("\0 \n")
    except OSError:
        return None
