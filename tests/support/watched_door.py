"""A running daemon, the camera at its door, its broker and who listens there: fixtures of the tests of faults.

A test file names this one in `pytest_plugins`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.asker import Asker
from tests.support.broker import Broker
from tests.support.fake_http_camera import FakeHttpCamera
from tests.support.real_daemon import Daemon, Witness


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    with Broker(tmp_path) as broker, Witness(broker.port) as witness:
        yield witness


@pytest.fixture
def asker(witness: Witness) -> Iterator[Asker]:
    """Its answers are heard by the witness."""
    with Asker(witness.port, witness) as asker:
        yield asker


@pytest.fixture
def camera() -> Iterator[FakeHttpCamera]:
    with FakeHttpCamera() as camera:
        yield camera


@pytest.fixture
def fresh(tmp_path: Path, witness: Witness, camera: FakeHttpCamera) -> Daemon:
    """Not started yet."""
    return Daemon(tmp_path, witness.port, {"door": camera.url})


@pytest.fixture
def daemon(fresh: Daemon, witness: Witness) -> Iterator[Daemon]:
    """It has seen something at the door already."""
    with fresh:
        witness.wait_for_new_steps()
        yield fresh
        fresh.stop()
        witness.nothing_is_missing()
