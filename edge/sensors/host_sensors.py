"""Reads temperatures, CPU and memory of any Linux machine, through psutil. Shell."""

from pathlib import Path

import psutil

from edge.sensors.sensor_reading import SensorReading

MIB = 1024 * 1024
PROC = Path("/proc")


def read() -> SensorReading:
    """Temperatures, CPU and memory. The CPU load is the one since the last call; the first call has none."""
    memory = psutil.virtual_memory()
    return SensorReading(
        source="psutil",
        temperatures_c=_temperatures(),
        cpu_load=psutil.cpu_percent() / 100,
        cpu_mhz=_clock(),
        memory_total_mib=memory.total / MIB,
        memory_available_mib=memory.available / MIB,
    )


def process_usage() -> dict[str, object]:
    """What the daemon uses: memory (MiB), open files, threads, CPU time (s); `children`: the capture processes.

    A child that ends meanwhile is left out. Where the kernel cannot be asked, because no more files can be opened, the
    table is empty.
    """
    try:
        here = psutil.Process()
        with here.oneshot():
            spent = here.cpu_times()
            held = _held(here)
    except (OSError, psutil.Error):
        return {}
    children = [found for found in map(_held_if_alive, _descendants(here.pid)) if found is not None]
    return {
        **held,
        "cpu_s": round(spent.user + spent.system, 2),
        "children": {
            "count": len(children),
            **{key: round(sum(child[key] for child in children), 1) for key in held},
        },
    }


def _held(one: psutil.Process) -> dict[str, float]:
    return {
        "memory_mib": round(one.memory_info().rss / MIB, 1),
        "open_files": one.num_fds(),
        "threads": one.num_threads(),
    }


def _held_if_alive(number: int) -> dict[str, float] | None:
    try:
        return _held(psutil.Process(number))
    except (OSError, psutil.Error):
        return None


def _descendants(number: int) -> list[int]:
    """A process's descendants. Read from the kernel; psutil would go through every process of the machine."""
    try:
        tasks = list((PROC / str(number) / "task").iterdir())
        if tasks and not (tasks[0] / "children").exists():  # a kernel without CONFIG_PROC_CHILDREN
            return [child.pid for child in psutil.Process(number).children(recursive=True)]
        found = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (OSError, psutil.Error):
        return []  # it has ended
    return found + [below for child in found for below in _descendants(child)]


def _temperatures() -> dict[str, float]:
    """°C by chip, and by label where a chip has several; sensors with equal names are numbered."""
    found: dict[str, float] = {}
    try:
        chips = psutil.sensors_temperatures()
    except OSError:
        return found
    for chip, sensors in chips.items():
        for number, sensor in enumerate(sensors):
            name = f"{chip} {sensor.label}" if sensor.label else chip
            found[name if name not in found else f"{name} {number}"] = sensor.current
    return found


def _clock() -> float | None:
    """MHz, the mean of all cores; None where the kernel does not report it."""
    try:
        clock = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return clock.current if clock else None
