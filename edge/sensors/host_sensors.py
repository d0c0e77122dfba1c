"""What any Linux machine tells of itself, through psutil. Shell."""

from pathlib import Path

import psutil

from edge.sensors.reading import Reading

MIB = 1024 * 1024
PROC = Path("/proc")


def read() -> Reading:
    """Temperatures, CPU and memory. The CPU's load is that since the last call; the first one knows none."""
    memory = psutil.virtual_memory()
    return Reading(
        source="psutil",
        temperatures_c=_temperatures(),
        cpu_load=psutil.cpu_percent() / 100,
        cpu_mhz=_clock(),
        memory_total_mib=memory.total / MIB,
        memory_available_mib=memory.available / MIB,
    )


def process() -> dict[str, object]:
    """What this program holds: memory (MiB), open files, threads, CPU time (s); `children` are the cameras' processes.

    A child that ends while it is looked at is left out; where the kernel cannot be asked, as no more files can be
    opened, the table is empty.
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
    """Children of a process, theirs and so on. Asked of the kernel; psutil looks at every process of the machine."""
    try:
        tasks = list((PROC / str(number) / "task").iterdir())
        if tasks and not (tasks[0] / "children").exists():  # a kernel without CONFIG_PROC_CHILDREN
            return [child.pid for child in psutil.Process(number).children(recursive=True)]
        found = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (OSError, psutil.Error):
        return []  # it has ended
    return found + [below for child in found for below in _descendants(child)]


def _temperatures() -> dict[str, float]:
    """°C by chip, and by label where a chip has several; a sensor that shares a name with another gets a number."""
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
    """MHz, the mean of all cores; None where the kernel does not tell."""
    try:
        clock = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return clock.current if clock else None
