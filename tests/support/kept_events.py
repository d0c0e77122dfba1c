"""A store of 70 events, and live pages upon it, without a password and with one: fixtures.

A test file names this one in `pytest_plugins`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.history.event_store import EventStore, KeptStep
from edge.history.store_files import PICTURE
from edge.history.tube_points import TubePoint
from edge.web import passwords
from tests.support.served_page import NOW, PASSWORD, ServedPage


def step(number: int, action: str = "Run") -> KeptStep:
    payload = {
        "event_id": f"0000{number:04}",
        "type": "end",
        "seq": 1,
        "camera": "door",
        "action": action,
        "top_score": 0.5,
        "started": "2026-09-21T13:33:20.000Z",
        "ended": None,
        "duration": 2.0,
        "zones": ["a", "b"],
    }
    return KeptStep(payload, NOW + number)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 events; the newest has a picture, and the one before it a tube."""
    made = EventStore(tmp_path_factory.mktemp("store") / "roof.history.sqlite")
    tube = [TubePoint(0.5, 3, (0.1, 0.2, 0.3, 0.4), 0.75, True)]
    made.write([step(number, "Jump" if number == 7 else "Run") for number in range(70)], {"00000068": tube})
    assert made.write_media("00000069", PICTURE, b"\xff\xd8 a picture")
    return made.path


@pytest.fixture(scope="module")
def page(store: Path) -> Iterator[ServedPage]:
    with ServedPage(store) as served:
        served.open()
        yield served


@pytest.fixture(scope="module")
def guarded(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    file = tmp_path_factory.mktemp("password") / "hash"
    file.write_text(passwords.hashed(PASSWORD))
    with ServedPage(store, str(file)) as served:
        yield served
