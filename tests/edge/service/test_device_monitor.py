import json
import threading
from collections.abc import Iterator

import pytest

from edge.broker.topics import Topics
from edge.sensors.prometheus_metrics import families
from edge.sensors.sensor_reader import SensorReader, SensorSource
from edge.sensors.sensor_reading import SensorReading, hottest
from edge.sensors.thermal import ThermalSettings
from edge.service import device_monitor
from edge.service.device_monitor import DeviceMonitor
from tests.support.waiting import wait_for

TOPICS = Topics("korsal", "korsal-edge")


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the sensors whenever asked to."""
    monkeypatch.setattr(device_monitor, "POLL_SECONDS", 0.0)


class Oven:
    """A device whose temperature is set by hand."""

    def __init__(self, celsius: float) -> None:
        self.celsius = celsius

    def sensors(self) -> SensorReader:
        found = SensorReader([SensorSource("oven", lambda: True, self._readings)])
        wait_for(lambda: found.newest() is not None, "the oven's first reading")
        return found

    def _readings(self, stop: threading.Event) -> Iterator[SensorReading]:
        while not stop.wait(0.005):
            yield SensorReading("psutil", {"tj": self.celsius})


def monitoring(sensors: SensorReader, **thermal: float) -> DeviceMonitor:
    return DeviceMonitor(ThermalSettings(**thermal), TOPICS, 60.0, sensors)


def next_event(monitor: DeviceMonitor, kind: str) -> dict[str, object]:
    """The next device event."""
    payloads: list[dict[str, object]] = []

    def arrived() -> bool:
        message = monitor.poll()
        if message is not None:
            assert message.topic == "korsal/korsal-edge/events/thermal"
            payloads.append(json.loads(message.payload))
        return bool(payloads)

    wait_for(arrived, f"a device event: {kind}")
    assert payloads[-1]["type"] == kind
    return payloads[-1]


def test_heat_skips_frames_and_is_reported_until_it_ends() -> None:
    oven = Oven(50.0)
    monitor = monitoring(oven.sensors(), limit=90.0)
    assert monitor.poll() is None
    assert all(monitor.admit_frame("door") for _ in range(20))
    oven.celsius = 95.0
    new = next_event(monitor, "new")
    assert (new["sensor"], new["temperature_c"], new["skipped"]) == ("tj", 95.0, 0.55)
    assert sum(monitor.admit_frame("door") for _ in range(100)) == 45
    assert sum(monitor.admit_frame("yard") for _ in range(20)) == 9
    payload = monitor.payload()
    assert payload["throttle"] == {"skipped": 0.55, "limit_c": 90.0}
    assert payload["skipped"] == {"door": 55, "yard": 11}
    oven.celsius = 80.0
    assert next_event(monitor, "end")["reason_ended"] == "cooled"
    assert all(monitor.admit_frame("door") for _ in range(20))
    assert monitor.close() is None


def test_by_default_no_frame_is_left_out_however_hot_it_is() -> None:
    monitor = monitoring(Oven(120.0).sensors())
    assert monitor.poll() is None
    assert all(monitor.admit_frame("door") for _ in range(20))
    monitor.close()


def test_a_reload_changes_the_limit() -> None:
    monitor = monitoring(Oven(70.0).sensors())
    assert monitor.poll() is None
    monitor.reconfigure(ThermalSettings(limit=60.0))
    assert next_event(monitor, "new")["limit_c"] == 60.0
    monitor.reconfigure(ThermalSettings())
    assert next_event(monitor, "end")["reason_ended"] == "cooled"
    monitor.close()


def test_the_end_of_the_program_ends_the_event() -> None:
    monitor = monitoring(Oven(70.0).sensors(), limit=60.0)
    next_event(monitor, "new")
    message = monitor.close()
    assert message is not None
    end = json.loads(message.payload)
    assert (end["type"], end["seq"], end["reason_ended"]) == ("end", 1, "shutdown")


def test_sensors_are_read_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_monitor, "POLL_SECONDS", 60.0)
    oven = Oven(50.0)
    sensors = oven.sensors()
    monitor = monitoring(sensors, limit=60.0)
    assert monitor.poll() is None
    oven.celsius = 99.0
    wait_for(lambda: hottest(sensors.newest()) == ("tj", 99.0), "the heat")
    assert monitor.poll() is None
    assert monitor.admit_frame("door")
    monitor.close()


def test_its_payload_is_json_and_feeds_the_page_for_prometheus() -> None:
    monitor = monitoring(Oven(50.0).sensors())
    payload = monitor.payload()
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    names = {metric.name for metric in families(payload)}
    assert {"korsal_temperature_celsius", "korsal_process_memory_bytes", "korsal_skipped_ratio"} <= names
    monitor.close()
