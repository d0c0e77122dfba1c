"""A small fleet: a node breaks, and nothing is lost."""

import sys

import pytest

from benchmarks import fleet
from tests.support.broker import mosquitto


def test_a_small_fleet_loses_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    mosquitto()  # skips where it is absent
    monkeypatch.setattr(fleet, "CONNECT_SECONDS", 1.0)
    options = ["--devices", "12", "--outboxes", "2", "--rate", "24", "--seconds", "3", "--absent", "0.5"]
    monkeypatch.setattr(sys, "argv", ["fleet", *options])
    assert fleet.main() == 0
    said = capsys.readouterr().out
    assert "lost: 0" in said
    assert "unacknowledged in the end: 0" in said
