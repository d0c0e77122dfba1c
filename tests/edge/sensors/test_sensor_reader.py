import logging
import threading
import time
from collections.abc import Iterator

import pytest

from edge.sensors import jetson_sysfs
from edge.sensors.jetson_stats import StatsError
from edge.sensors.sensor_reader import SensorReader, SensorSource, machine_sources
from edge.sensors.sensor_reading import SensorReading
from tests.support.waiting import wait_for

BEST, SECOND = (
    SensorReading("jtop", {"tj": 60.0}),
    SensorReading("sysfs", {"tj": 61.0}, throttled=("gpu",), overcurrent=2),
)


def always() -> bool:
    return True


def steady(reading: SensorReading, name: str = "kernel") -> SensorSource:
    def readings(stop: threading.Event) -> Iterator[SensorReading]:
        while not stop.wait(0.01):
            yield reading

    return SensorSource(name, always, readings)


def hangs(stop: threading.Event) -> Iterator[SensorReading]:
    yield BEST
    threading.Event().wait()  # for ever, as a driver does


def newest(sensors: SensorReader) -> SensorReading:
    wait_for(lambda: sensors.newest() is not None, "a reading")
    found = sensors.newest()
    assert found is not None
    return found


def test_the_best_source_takes_precedence_and_the_next_fills_gaps() -> None:
    sensors = SensorReader([steady(BEST, "jetson-stats"), steady(SECOND)])
    wait_for(lambda: newest(sensors).source == "jtop", "the best source")
    wait_for(lambda: newest(sensors).throttled == ("gpu",), "what only the second knows")
    assert (newest(sensors).temperatures_c, newest(sensors).overcurrent) == ({"tj": 60.0}, 2)
    sensors.close()


def test_a_source_that_hangs_costs_only_itself_and_nobody_waits() -> None:
    sensors = SensorReader([SensorSource("jetson-stats", always, hangs), steady(SECOND)], stale=0.3)
    wait_for(lambda: newest(sensors).source == "jtop", "its one reading")
    wait_for(lambda: newest(sensors).source == "sysfs", "the next source, once that reading is old")
    begin = time.monotonic()
    for _ in range(1000):
        sensors.newest()
    assert time.monotonic() - begin < 1.0
    sensors.close()


def test_where_every_source_hangs_nothing_is_known() -> None:
    sensors = SensorReader([SensorSource("jetson-stats", always, hangs)], stale=0.1)
    wait_for(lambda: sensors.newest() is not None, "its one reading")
    wait_for(lambda: sensors.newest() is None, "that it is too old")
    assert SensorReader([]).newest() is None


def test_a_failing_source_is_logged_once_and_retried(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tries: list[int] = []

    def readings(stop: threading.Event) -> Iterator[SensorReading]:
        tries.append(1)
        if len(tries) < 5:
            raise StatsError("jetson-stats failed: restart it")
        yield BEST
        stop.wait()

    sensors = SensorReader([SensorSource("jetson-stats", always, readings), steady(SECOND)], retry=0.01)
    wait_for(lambda: newest(sensors).source == "jtop", "a better day")
    sensors.close()
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry: jetson-stats failed: restart it; the kernel's own sensors are used instead",
        "telemetry: jetson-stats works again",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_that_raises_an_unexpected_error_ends_alone() -> None:
    def readings(stop: threading.Event) -> Iterator[SensorReading]:
        raise ZeroDivisionError
        yield BEST

    sensors = SensorReader([SensorSource("jetson-stats", always, readings), steady(SECOND)])
    wait_for(lambda: newest(sensors).source == "sysfs", "the other source")
    sensors.close()


def test_a_source_that_comes_later_is_found() -> None:
    there = threading.Event()
    late = SensorSource("jetson-stats", there.is_set, steady(BEST).readings)
    sensors = SensorReader([late, steady(SECOND)], retry=0.01)
    assert newest(sensors).source == "sysfs"
    there.set()
    wait_for(lambda: newest(sensors).source == "jtop", "the service that was started")
    sensors.close()


def test_the_threads_end() -> None:
    sensors = SensorReader([steady(SECOND, "ending")], retry=60)
    newest(sensors)
    sensors.close()
    wait_for(lambda: not any(thread.name == "sensors-ending" for thread in threading.enumerate()), "the thread's end")


@pytest.mark.parametrize("jetson", [False, True])
def test_this_machine(jetson: bool) -> None:
    sensors = SensorReader(machine_sources(jetson, interval=0.05))
    expected = "sysfs" if jetson or jetson_sysfs.is_jetson() else "psutil"
    wait_for(lambda: newest(sensors).source in (expected, "jtop"), "a reading of this machine")
    assert (newest(sensors).memory_total_mib or 0) > 100
    sensors.close()
