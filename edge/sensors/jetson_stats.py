"""Reads a Jetson's sensors through jetson-stats (jtop), where that is installed and its service runs. Shell.

The package is AGPL-3.0: it is optional, imported here alone, and only where its service runs. Tested with the classes
of versions 4.3.2 and 7.2.2; tried with service and client of 4.3.2 on simulated sensors, not yet on a Jetson.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

from edge.sensors.jtop_location import REMEDY, UnusableInstallationError, packages_folder
from edge.sensors.sensor_reading import COLDEST, SensorReading

SOCKET = Path("/run/jtop.sock")
SECONDS = 2.0  # between two readings
LOWEST_KHZ = 10_000  # of a GPU; a smaller number is of the versions that give MHz where their documentation says kHz


class StatsError(Exception):
    """jetson-stats gives no readings; the message names the remedy."""


class Jetson(Protocol):
    """The part of `jtop.jtop` that is used; tables as its documentation describes them."""

    cpu: Mapping[str, Any]
    gpu: Mapping[str, Any]
    memory: Mapping[str, Any]
    power: Mapping[str, Any]
    temperature: Mapping[str, Any]
    nvpmodel: Any

    def ok(self) -> bool:
        """Wait for the next reading; False when there are no more."""


OpenJtop = Callable[[], AbstractContextManager[Jetson]]


def available(socket: Path = SOCKET) -> bool:
    """Whether the jtop service runs."""
    return socket.exists()


def readings(open_jtop: OpenJtop | None = None) -> Iterator[SensorReading]:
    """Yield readings as they come. Raises StatsError at the end."""
    try:
        with (open_jtop or _open_jtop())() as jetson:
            while jetson.ok():
                yield reading(jetson)
    except (
        OSError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # jtop runs threads
        raise StatsError(f"jetson-stats failed ({error!r}): sudo systemctl restart jtop.service") from error
    raise StatsError("jetson-stats gives no more readings: sudo systemctl restart jtop.service")


def reading(jetson: Jetson) -> SensorReading:
    """jtop's newest state as a reading."""
    gpu: Mapping[str, Any] = next(iter(jetson.gpu.values()), {})
    memory = jetson.memory.get("RAM", {})
    total = memory.get("tot")
    rails = jetson.power.get("rail", {})
    return SensorReading(
        source="jtop",
        temperatures_c={name: float(zone["temp"]) for name, zone in jetson.temperature.items() if _is_on(zone)},
        power_w=_divided(jetson.power.get("tot", {}).get("power"), 1000),
        rails_w={name: rail["power"] / 1000 for name, rail in rails.items() if _measures(rail)},
        gpu_load=_divided(gpu.get("status", {}).get("load"), 100),
        gpu_mhz=_gpu_mhz(gpu.get("freq", {}).get("cur")),
        cpu_load=_cpu_load(jetson.cpu),
        cpu_mhz=_cpu_mhz(jetson.cpu),
        memory_total_mib=_divided(total, 1024),
        memory_available_mib=_divided(_available(total, memory.get("used")), 1024),
        mode=getattr(jetson.nvpmodel, "name", None),
    )


def _open_jtop() -> OpenJtop:
    """Import the package, now and not earlier, and turn its errors into OSErrors."""
    try:
        import jtop
    except ImportError:
        _add_own_environment()
        try:
            import jtop
        except ImportError as error:
            raise StatsError(f"jtop.service runs, but jetson-stats cannot be imported ({error}): {REMEDY}") from None

    class Client(jtop.jtop):  # type: ignore[misc]
        """The client, raising OSErrors, so that its user need not know the package."""

        def start(self) -> None:
            try:
                super().start()
            except jtop.JtopException as error:
                raise OSError(str(error).replace("\n", " ")) from error

        def ok(self, spin: bool = False) -> bool:
            try:
                return bool(super().ok(spin))
            except jtop.JtopException as error:
                raise OSError(str(error).replace("\n", " ")) from error

    return cast(OpenJtop, lambda: Client(interval=SECONDS))


def _add_own_environment() -> None:
    """Make importable what pipx has installed. Raises StatsError where the service cannot or must not import it."""
    try:
        folder = str(packages_folder())
    except UnusableInstallationError as error:
        raise StatsError(f"jtop.service runs, but jetson-stats cannot be imported ({error}): {REMEDY}") from None
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that it replaces nothing


def _is_on(zone: Mapping[str, Any]) -> bool:
    """Whether a sensor is on: one that is switched off reads −256 °C."""
    return bool(zone.get("online", True)) and zone["temp"] > COLDEST


def _measures(rail: Mapping[str, Any]) -> bool:
    """Whether a rail is on and its monitor could be read."""
    return bool(rail.get("online", True)) and "power" in rail


def _gpu_mhz(clock: float | None) -> float | None:
    """MHz of a clock in kHz, or in MHz as jetson-stats 7 gives that of Thor."""
    return clock if clock is None or clock < LOWEST_KHZ else clock / 1000


def _divided(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _available(total: float | None, used: float | None) -> float | None:
    return None if total is None or used is None else total - used


def _cpu_load(cpu: Mapping[str, Any]) -> float | None:
    """CPU load, 0..1, from the idle share."""
    idle = cpu.get("total", {}).get("idle")
    return None if idle is None else 1 - idle / 100


def _cpu_mhz(cpu: Mapping[str, Any]) -> float | None:
    """MHz, the mean of the cores that are on."""
    clocks = [core["freq"]["cur"] for core in cpu.get("cpu", []) if "cur" in core.get("freq", {})]
    return sum(clocks) / len(clocks) / 1000 if clocks else None
