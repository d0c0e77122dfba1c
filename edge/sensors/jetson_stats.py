"""What jetson-stats (jtop) tells of a Jetson, where it is installed and its service runs. Shell.

The package is AGPL: it is used where somebody chose to install it, imported here and nowhere else, and never needed.
Written for its version 4.3; run with service and client of 4.3.2 on made-up sensors, never on a Jetson so far.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

from edge.sensors.reading import COLDEST, Reading

SOCKET = Path("/run/jtop.sock")
SECONDS = 2.0  # between two readings


class StatsError(Exception):
    """jetson-stats has nothing to say; the message names the cure."""


class Jetson(Protocol):
    """What is used of `jtop.jtop`; tables as its documentation describes them."""

    cpu: Mapping[str, Any]
    gpu: Mapping[str, Any]
    memory: Mapping[str, Any]
    power: Mapping[str, Any]
    temperature: Mapping[str, Any]
    nvpmodel: Any

    def ok(self) -> bool:
        """Wait for the next reading; False when there will be none."""


Opening = Callable[[], AbstractContextManager[Jetson]]


def available(socket: Path = SOCKET) -> bool:
    """Whether the service runs."""
    return socket.exists()


def readings(opening: Opening | None = None) -> Iterator[Reading]:
    """One reading after the other, as they come. Raises StatsError where that ends."""
    try:
        with (opening or _opening())() as jetson:
            while jetson.ok():
                yield reading(jetson)
    except (OSError, EOFError, LookupError, TypeError, ValueError, RuntimeError) as error:  # it has threads of its own
        raise StatsError(f"jetson-stats failed ({error!r}): sudo systemctl restart jtop.service") from error
    raise StatsError("jetson-stats says nothing any more: sudo systemctl restart jtop.service")


def reading(jetson: Jetson) -> Reading:
    """The newest state, in our units."""
    gpu: Mapping[str, Any] = next(iter(jetson.gpu.values()), {})
    memory = jetson.memory.get("RAM", {})
    total = memory.get("tot")
    rails = jetson.power.get("rail", {})
    return Reading(
        source="jtop",
        temperatures_c={name: float(zone["temp"]) for name, zone in jetson.temperature.items() if _works(zone)},
        power_w=_divided(jetson.power.get("tot", {}).get("power"), 1000),
        rails_w={name: rail["power"] / 1000 for name, rail in rails.items() if rail.get("online", True)},
        gpu_load=_divided(gpu.get("status", {}).get("load"), 100),
        gpu_mhz=_divided(gpu.get("freq", {}).get("cur"), 1000),
        cpu_load=_busy(jetson.cpu),
        cpu_mhz=_clock(jetson.cpu),
        memory_total_mib=_divided(total, 1024),
        memory_available_mib=_divided(_left(total, memory.get("used")), 1024),
        mode=getattr(jetson.nvpmodel, "name", None),
    )


def _opening() -> Opening:
    """The package itself, imported now and not before; its own kind of error becomes ours."""
    try:
        import jtop
    except ImportError:
        raise StatsError("jtop.service runs, but jetson-stats cannot be imported: pip install jetson-stats") from None

    class Client(jtop.jtop):  # type: ignore[misc]
        """The client, whose errors are OSErrors, so that what catches them need not know the package."""

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

    return cast(Opening, lambda: Client(interval=SECONDS))


def _works(zone: Mapping[str, Any]) -> bool:
    """A sensor that is switched off says −256 °C."""
    return bool(zone.get("online", True)) and zone["temp"] > COLDEST


def _divided(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _left(total: float | None, used: float | None) -> float | None:
    return None if total is None or used is None else total - used


def _busy(cpu: Mapping[str, Any]) -> float | None:
    """0..1, from the share of time in which the cores had nothing to do."""
    idle = cpu.get("total", {}).get("idle")
    return None if idle is None else 1 - idle / 100


def _clock(cpu: Mapping[str, Any]) -> float | None:
    """MHz, the mean of the cores that are switched on."""
    clocks = [core["freq"]["cur"] for core in cpu.get("cpu", []) if "cur" in core.get("freq", {})]
    return sum(clocks) / len(clocks) / 1000 if clocks else None
