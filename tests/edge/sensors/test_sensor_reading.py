import json

import pytest

from edge.sensors.sensor_reading import SensorReading, hottest, reading_payload


def keys(table: dict[str, object]) -> dict[str, object]:
    return {key: keys(value) if isinstance(value, dict) else None for key, value in table.items()}


def test_the_shape_is_one_whatever_is_known() -> None:
    full = SensorReading("jtop", {}, 7.1234, {}, 0.41999, 612.4, 0.1, 1510.0, 7620.55, 5000.0, "15W", ("gpu",), 3)
    assert keys(reading_payload(full)) == keys(reading_payload(SensorReading("psutil"))) == keys(reading_payload(None))
    payload = reading_payload(full)
    assert (payload["power_w"], payload["gpu"], payload["throttled"]) == (7.123, {"load": 0.42, "mhz": 612}, ["gpu"])
    assert reading_payload(None)["source"] == "none"
    assert reading_payload(None)["throttled"] is None


def test_what_json_has_no_number_for_is_not_known() -> None:
    odd = SensorReading("psutil", {"a": float("nan")}, cpu_load=float("inf"))
    payload = json.loads(json.dumps(reading_payload(odd), allow_nan=False))
    assert (payload["temperatures_c"], payload["cpu"]["load"]) == ({"a": None}, None)


@pytest.mark.parametrize(
    ("temperatures", "expected"),
    [
        ({}, None),
        ({"cpu": 50.0}, ("cpu", 50.0)),
        ({"cpu": 50.0, "gpu": 60.0}, ("gpu", 60.0)),
        ({"b": 60.0, "a": 60.0}, ("a", 60.0)),
        ({"off": -256.0, "broken": 255.0, "cpu": 1.0}, ("cpu", 1.0)),
        ({"broken": float("nan")}, None),
    ],
)
def test_hottest(temperatures: dict[str, float], expected: tuple[str, float] | None) -> None:
    assert hottest(SensorReading("psutil", temperatures)) == expected
    assert hottest(None) is None
