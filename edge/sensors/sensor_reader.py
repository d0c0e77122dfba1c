"""Reads this machine's sensors in the background and keeps the newest reading of the best source. Shell: threads.

Each source has its own thread: one that hangs, fails or ends costs its own readings and nothing else.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge import threads
from edge.sensors import host_sensors, jetson_stats, jetson_sysfs
from edge.sensors.jetson_stats import StatsError
from edge.sensors.sensor_reading import SensorReading
from edge.threads import ThreadError

log = logging.getLogger(__name__)

INTERVAL = 2.0  # seconds between two readings
STALE = 10.0  # seconds after which a reading is out of date
RETRY = 60.0  # seconds until a failed source is retried

OpenReadings = Callable[[threading.Event], Iterator[SensorReading]]


@dataclass(frozen=True)
class SensorSource:
    """A source of readings. `usable`: whether to try it now; `readings`: opens it, ends when the event is set."""

    name: str
    usable: Callable[[], bool]
    readings: OpenReadings


class SensorReader:
    """Reads in the background from its construction to `close`; never makes its caller wait."""

    def __init__(
        self, sources: Sequence[SensorSource] | None = None, stale: float = STALE, retry: float = RETRY
    ) -> None:
        """`sources`: best first, None for those of this machine."""
        self._threads = [_SourceThread(source, retry) for source in (machine_sources() if sources is None else sources)]
        self._stale = stale

    def newest(self) -> SensorReading | None:
        """The reading of the best source that has a fresh one; None where none has.

        Throttling that the best source does not know of is taken from the next that does.
        """
        fresh = [found for found in (thread.newest(self._stale) for thread in self._threads) if found is not None]
        if not fresh:
            return None
        informed = next((reading for reading in fresh if reading.throttled is not None), fresh[0])
        return replace(fresh[0], throttled=informed.throttled, overcurrent=informed.overcurrent)

    def close(self) -> None:
        """Ask the threads to stop; one that hangs ends with the program."""
        for thread in self._threads:
            thread.stop.set()


class _SourceThread:
    """One source and the thread that reads it."""

    def __init__(self, source: SensorSource, retry: float) -> None:
        self.stop = threading.Event()
        self._source, self._retry = source, retry
        self._newest: tuple[float, SensorReading] | None = None
        self._logged_fault: str | None = None
        self._start_at: float | None = 0.0  # monotonic, s; None once there is a thread
        self._start()

    def newest(self, stale: float) -> SensorReading | None:
        """The last reading, unless it is older than `stale` seconds."""
        self._start()
        latest = self._newest
        return latest[1] if latest is not None and time.monotonic() - latest[0] <= stale else None

    def _start(self) -> None:
        """Start the thread, or retry later; a failure is logged once."""
        if self._start_at is None or time.monotonic() < self._start_at:
            return
        try:
            threads.start(f"sensors-{self._source.name}", self._run)
            self._start_at = None
        except ThreadError as error:
            self._start_at = time.monotonic() + self._retry
            self._log_once(str(error))

    def _log_once(self, fault: str) -> None:
        if fault != self._logged_fault:
            log.warning("telemetry: %s; the kernel's own sensors are used instead", fault)
        self._logged_fault = fault

    def _run(self) -> None:
        while not self.stop.is_set():
            if self._source.usable():
                self._read()
            self.stop.wait(self._retry)

    def _read(self) -> None:
        """Read until the source fails; log the fault unless it is the same as before."""
        try:
            for reading in self._source.readings(self.stop):
                if self._logged_fault is not None:
                    log.info("telemetry: %s works again", self._source.name)
                    self._logged_fault = None
                self._newest = time.monotonic(), reading
                if self.stop.is_set():
                    return
        except (StatsError, OSError) as error:
            self._log_once(str(error))


def machine_sources(jetson: bool | None = None, interval: float = INTERVAL) -> tuple[SensorSource, ...]:
    """jtop where its service runs, then a Jetson's kernel files, or psutil on other machines."""
    on_jetson = jetson_sysfs.is_jetson() if jetson is None else jetson
    kernel = _jetson_reading if on_jetson else host_sensors.read
    return (
        SensorSource("jetson-stats", jetson_stats.available, lambda stop: jetson_stats.readings()),
        SensorSource("kernel", lambda: True, lambda stop: _every(kernel, interval, stop)),
    )


def _jetson_reading() -> SensorReading:
    return jetson_sysfs.read(host_sensors.read())


def _every(read: Callable[[], SensorReading], interval: float, stop: threading.Event) -> Iterator[SensorReading]:
    while not stop.is_set():
        yield read()
        stop.wait(interval)
