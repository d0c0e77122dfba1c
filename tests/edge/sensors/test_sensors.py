import logging
import threading
import time
from collections.abc import Iterator

import pytest

from edge.sensors import jetson_sysfs
from edge.sensors.jetson_stats import StatsError
from edge.sensors.reading import Reading
from edge.sensors.sensors import Sensors, Source, own_sources
from tests.support.waiting import wait_for

BEST, SECOND = Reading("jtop", {"tj": 60.0}), Reading("sysfs", {"tj": 61.0}, throttled=("gpu",), overcurrent=2)


def always() -> bool:
    return True


def steady(reading: Reading, name: str = "kernel") -> Source:
    def readings(stop: threading.Event) -> Iterator[Reading]:
        while not stop.wait(0.01):
            yield reading

    return Source(name, always, readings)


def hangs(stop: threading.Event) -> Iterator[Reading]:
    yield BEST
    threading.Event().wait()  # for ever, as a driver does


def newest(sensors: Sensors) -> Reading:
    wait_for(lambda: sensors.newest() is not None, "a reading")
    found = sensors.newest()
    assert found is not None
    return found


def test_the_best_source_is_heard_and_the_next_fills_in_what_it_does_not_know() -> None:
    sensors = Sensors([steady(BEST, "jetson-stats"), steady(SECOND)])
    wait_for(lambda: newest(sensors).source == "jtop", "the best source")
    wait_for(lambda: newest(sensors).throttled == ("gpu",), "what only the second knows")
    assert (newest(sensors).temperatures_c, newest(sensors).overcurrent) == ({"tj": 60.0}, 2)
    sensors.close()


def test_a_source_that_hangs_costs_only_itself_and_nobody_waits() -> None:
    sensors = Sensors([Source("jetson-stats", always, hangs), steady(SECOND)], stale=0.3)
    wait_for(lambda: newest(sensors).source == "jtop", "its one reading")
    wait_for(lambda: newest(sensors).source == "sysfs", "the next source, once that reading is old")
    begin = time.monotonic()
    for _ in range(1000):
        sensors.newest()
    assert time.monotonic() - begin < 1.0
    sensors.close()


def test_where_every_source_hangs_nothing_is_known() -> None:
    sensors = Sensors([Source("jetson-stats", always, hangs)], stale=0.1)
    wait_for(lambda: sensors.newest() is not None, "its one reading")
    wait_for(lambda: sensors.newest() is None, "that it is too old")
    assert Sensors([]).newest() is None


def test_a_source_that_fails_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tries: list[int] = []

    def readings(stop: threading.Event) -> Iterator[Reading]:
        tries.append(1)
        if len(tries) < 5:
            raise StatsError("jetson-stats failed: restart it")
        yield BEST
        stop.wait()

    sensors = Sensors([Source("jetson-stats", always, readings), steady(SECOND)], retry=0.01)
    wait_for(lambda: newest(sensors).source == "jtop", "a better day")
    sensors.close()
    assert [record.getMessage() for record in caplog.records] == [
        "telemetry: jetson-stats failed: restart it; going on with what the kernel tells",
        "telemetry: jetson-stats answers again",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_with_a_mistake_of_ours_ends_alone() -> None:
    def readings(stop: threading.Event) -> Iterator[Reading]:
        raise ZeroDivisionError
        yield BEST

    sensors = Sensors([Source("jetson-stats", always, readings), steady(SECOND)])
    wait_for(lambda: newest(sensors).source == "sysfs", "the other source")
    sensors.close()


def test_a_source_that_comes_later_is_found() -> None:
    there = threading.Event()
    late = Source("jetson-stats", there.is_set, steady(BEST).readings)
    sensors = Sensors([late, steady(SECOND)], retry=0.01)
    assert newest(sensors).source == "sysfs"
    there.set()
    wait_for(lambda: newest(sensors).source == "jtop", "the service that was started")
    sensors.close()


def test_the_threads_end() -> None:
    sensors = Sensors([steady(SECOND, "ending")], retry=60)
    newest(sensors)
    sensors.close()
    wait_for(lambda: not any(thread.name == "sensors-ending" for thread in threading.enumerate()), "the thread's end")


@pytest.mark.parametrize("jetson", [False, True])
def test_this_machine(jetson: bool) -> None:
    sensors = Sensors(own_sources(jetson, interval=0.05))
    expected = "sysfs" if jetson or jetson_sysfs.is_jetson() else "psutil"
    wait_for(lambda: newest(sensors).source in (expected, "jtop"), "a reading of this machine")
    assert (newest(sensors).memory_total_mib or 0) > 100
    sensors.close()
