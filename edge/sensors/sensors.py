"""The newest reading of the best source of this machine, without ever waiting for one. Shell: threads.

Every source is read by a thread of its own: one that hangs, fails or ends costs its own readings and nothing else.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge import threads
from edge.sensors import host_sensors, jetson_stats, jetson_sysfs
from edge.sensors.jetson_stats import StatsError
from edge.sensors.reading import Reading
from edge.threads import ThreadError

log = logging.getLogger(__name__)

INTERVAL = 2.0  # seconds between two readings
STALE = 10.0  # seconds after which a reading says nothing any more
RETRY = 60.0  # seconds before a source that has failed is tried again

Opening = Callable[[threading.Event], Iterator[Reading]]


@dataclass(frozen=True)
class Source:
    """Where readings come from. `usable`: whether to try now; `readings`: opens it, ends when the event is set."""

    name: str
    usable: Callable[[], bool]
    readings: Opening


class Sensors:
    """Reads in the background from its making to `close`."""

    def __init__(self, sources: Sequence[Source] | None = None, stale: float = STALE, retry: float = RETRY) -> None:
        """`sources`: the best one first, None for those of this machine."""
        self._watches = [_Watch(source, retry) for source in (own_sources() if sources is None else sources)]
        self._stale = stale

    def newest(self) -> Reading | None:
        """Of the best source that said something lately; None where none did.

        What the best one does not know of throttling is taken from the next that does.
        """
        fresh = [found for found in (watch.newest(self._stale) for watch in self._watches) if found is not None]
        if not fresh:
            return None
        knowing = next((reading for reading in fresh if reading.throttled is not None), fresh[0])
        return replace(fresh[0], throttled=knowing.throttled, overcurrent=knowing.overcurrent)

    def close(self) -> None:
        """Let the threads end; one that hangs is left to itself and ends with the program."""
        for watch in self._watches:
            watch.stop.set()


class _Watch:
    """One source and its thread."""

    def __init__(self, source: Source, retry: float) -> None:
        self.stop = threading.Event()
        self._source, self._retry = source, retry
        self._newest: tuple[float, Reading] | None = None
        self._told: str | None = None
        self._start_at: float | None = 0.0  # monotonic, s; None once there is a thread
        self._start()

    def newest(self, stale: float) -> Reading | None:
        """The last reading, unless it is older than so many seconds."""
        self._start()
        latest = self._newest
        return latest[1] if latest is not None and time.monotonic() - latest[0] <= stale else None

    def _start(self) -> None:
        """Have a thread, or try again now and then; not to have one is told once."""
        if self._start_at is None or time.monotonic() < self._start_at:
            return
        try:
            threads.start(f"sensors-{self._source.name}", self._run)
            self._start_at = None
        except ThreadError as error:
            self._start_at = time.monotonic() + self._retry
            self._tell(str(error))

    def _tell(self, fault: str) -> None:
        if fault != self._told:
            log.warning("telemetry: %s; going on with what the kernel tells", fault)
        self._told = fault

    def _run(self) -> None:
        while not self.stop.is_set():
            if self._source.usable():
                self._read()
            self.stop.wait(self._retry)

    def _read(self) -> None:
        """Read until the source fails, which is told once; it is told anew when the fault is another."""
        try:
            for reading in self._source.readings(self.stop):
                if self._told is not None:
                    log.info("telemetry: %s answers again", self._source.name)
                    self._told = None
                self._newest = time.monotonic(), reading
                if self.stop.is_set():
                    return
        except (StatsError, OSError) as error:
            self._tell(str(error))


def own_sources(jetson: bool | None = None, interval: float = INTERVAL) -> tuple[Source, ...]:
    """jtop where its service runs, then the kernel's files of a Jetson, or psutil elsewhere."""
    on_jetson = jetson_sysfs.is_jetson() if jetson is None else jetson
    kernel = _jetson_reading if on_jetson else host_sensors.read
    return (
        Source("jetson-stats", jetson_stats.available, lambda stop: jetson_stats.readings()),
        Source("kernel", lambda: True, lambda stop: _every(kernel, interval, stop)),
    )


def _jetson_reading() -> Reading:
    return jetson_sysfs.read(host_sensors.read())


def _every(read: Callable[[], Reading], interval: float, stop: threading.Event) -> Iterator[Reading]:
    while not stop.is_set():
        yield read()
        stop.wait(interval)
