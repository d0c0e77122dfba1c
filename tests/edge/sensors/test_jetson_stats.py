"""jetson-stats as its documentation of version 4.3 describes it; neither the package nor a Jetson is needed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tomli

from edge.sensors import jetson_stats
from edge.sensors.jetson_stats import StatsError, readings
from edge.sensors.sensor_reading import SensorReading
from tests.support.paths import ROOT

TABLES: dict[str, Any] = {
    "temperature": {
        "cpu": {"temp": 51.25, "online": True},
        "cv0": {"temp": -256, "online": False},
        "tj": {"temp": 52.0, "max": 90.0},
    },
    "power": {
        "rail": {
            "VDD_IN": {"online": True, "volt": 5000, "curr": 1400, "power": 7000, "avg": 6800},
            "off": {"online": False, "power": 0},
        },
        "tot": {"volt": 5000, "power": 7000, "avg": 6800},
    },
    "gpu": {"gpu": {"type": "integrated", "status": {"load": 42.3}, "freq": {"cur": 612_000}}},
    "cpu": {
        "total": {"user": 20.0, "system": 5.0, "idle": 75.0},
        "cpu": [{"online": True, "freq": {"cur": 1_500_000}}, {"online": True, "freq": {"cur": 500_000}}, {}],
    },
    "memory": {"RAM": {"tot": 8 * 2**20, "used": 3 * 2**20}},
    "nvpmodel": SimpleNamespace(name="15W"),
}


class Fake:
    """A client that gives so many readings; `error`: what it raises after them."""

    def __init__(self, count: int, error: Exception | None = None, **tables: Any) -> None:
        self.__dict__ |= {**TABLES, **tables}
        self.left, self.error, self.closed = count, error, False

    def ok(self) -> bool:
        self.left -= 1
        if self.left < 0 and self.error:
            raise self.error
        return self.left >= 0


@contextmanager
def opened(client: Fake) -> Iterator[Any]:
    yield client
    client.closed = True


def test_a_reading_in_our_units() -> None:
    assert next(readings(lambda: opened(Fake(1)))) == SensorReading(
        source="jtop",
        temperatures_c={"cpu": 51.25, "tj": 52.0},
        power_w=7.0,
        rails_w={"VDD_IN": 7.0},
        gpu_load=pytest.approx(0.423),  # type: ignore[arg-type]
        gpu_mhz=612.0,
        cpu_load=0.25,
        cpu_mhz=1000.0,
        memory_total_mib=8192.0,
        memory_available_mib=5120.0,
        mode="15W",
    )


def test_what_a_board_does_not_have_is_not_known() -> None:
    bare = Fake(1, temperature={}, power={}, gpu={}, cpu={}, memory={}, nvpmodel=None)
    assert next(readings(lambda: opened(bare))) == SensorReading("jtop")


def test_a_client_that_ends_is_an_error_after_its_readings() -> None:
    found = readings(lambda: opened(Fake(3)))
    assert len([next(found) for _ in range(3)]) == 3
    with pytest.raises(StatsError, match="systemctl restart jtop"):
        next(found)


@pytest.mark.parametrize("error", [OSError("gone"), EOFError(), KeyError("gpu"), TypeError("None"), ValueError("x")])
def test_any_client_failure_is_one_kind_of_error(error: Exception) -> None:
    with pytest.raises(StatsError, match=r"jetson-stats failed .*restart jtop"):
        list(readings(lambda: opened(Fake(1, error))))


def test_a_table_of_another_shape_is_an_error_and_no_crash() -> None:
    with pytest.raises(StatsError):
        next(readings(lambda: opened(Fake(1, temperature={"cpu": {}}))))


def test_where_the_service_does_not_run_it_is_not_tried(tmp_path: Path) -> None:
    assert not jetson_stats.available(tmp_path / "jtop.sock")
    (tmp_path / "jtop.sock").touch()
    assert jetson_stats.available(tmp_path / "jtop.sock")


@pytest.mark.skipif("jtop" in sys.modules, reason="somebody has imported jetson-stats here")
def test_the_package_is_imported_by_nobody_but_when_it_is_asked() -> None:
    script = "import edge.sensors.sensor_reader, edge.service.stage_timing, sys; sys.exit('jtop' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_but_the_tests_installs_it() -> None:
    """As docs/telemetry.md says of it: it is AGPL-3.0."""
    extras = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name, packages in extras.items() if "jetson-stats" in str(packages)] == ["dev"]


def test_a_missing_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jtop.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "jtop", raising=False)
    with pytest.raises(StatsError, match=r"leads nowhere .* pipx install .* jetson-stats"):
        next(readings())


CLIENT = """
class JtopException(Exception): pass

class jtop:
    temperature, power, gpu, cpu, memory, nvpmodel = {}, {}, {}, {}, {}, None
    def __init__(self, interval): self.interval, self.left = interval, 1
    def start(self):
        if FAULT == "start": raise JtopException("The jtop.service is not active.\\nPlease run")
    def __enter__(self):
        self.start()
        return self
    def __exit__(self, *error): return error[0] is None
    def ok(self, spin=False):
        self.left -= 1
        if self.left < 0: raise JtopException("Lost connection")
        return True
"""


@pytest.mark.parametrize(("fault", "count", "words"), [("start", 0, "not active. Please"), ("", 1, "Lost connection")])
def test_the_package_s_own_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, count: int, words: str
) -> None:
    """A package of the same interface in its place."""
    (tmp_path / "jtop.py").write_text(f"FAULT = {fault!r}\n{CLIENT}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "jtop", raising=False)
    found = readings()
    assert [next(found) for _ in range(count)] == [SensorReading("jtop")] * count
    with pytest.raises(StatsError, match=words):
        next(found)
    monkeypatch.delitem(sys.modules, "jtop", raising=False)
