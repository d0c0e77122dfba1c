"""What feeds systemd's watchdog, and what is logged."""

import logging
import time
from types import SimpleNamespace
from typing import Any

import pytest

from edge.service import health
from edge.service.health import Health
from tests.support.waiting import wait_for


class Publisher:
    """One that gets on when it is told to."""

    last_active = 0.0


def test_invalid_network_outputs_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    publisher: Any = Publisher()
    device: Any = None
    watched = Health(publisher, device)
    for invalid in (0, 3, 2):
        watched.count_invalid(invalid)
    (record,) = caplog.records
    assert record.message.startswith("the model returned 3 outputs that are not finite")


class Feed:
    """A live camera of 30 frames a second."""

    live, state = True, "online"

    def __init__(self) -> None:
        self.captured = 0

    def counts(self) -> Any:
        return SimpleNamespace(captured=self.captured)


def test_a_machine_that_is_too_slow_is_logged_once_and_so_is_its_recovery(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    anything: Any = Publisher()
    watched = Health(anything, anything, "use fewer cameras")
    feed = Feed()
    session: Any = SimpleNamespace(feed=feed, frames=0, skipped=0, failed=0)
    for taken in (15.0, 3.0, 3.0, 3.0, 15.0, 15.0):  # frames a second, half a minute each
        for _ in range(10):
            now += 3
            feed.captured += 90
            session.frames += round(3 * taken)
            watched.check_overload({"door": session})
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.records[0].message == (
        "this machine is too slow for its cameras: it processes 3.0 of 30 frames/s of door; use fewer cameras"
    )


def test_a_stage_that_stands_still_is_logged_once_and_once_when_that_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(health, "STAGE_TIMEOUT", 0.05)
    publisher: Any = Publisher()
    device: Any = None  # nobody asks for it
    watched = Health(publisher, device)
    assert watched.check_progress({})
    for _ in range(2):
        wait_for(lambda: not watched.check_progress({}), "the watchdog to be starved")
        assert not any(watched.check_progress({}) for _ in range(50))
        assert watched.stalled_stages({})[0].startswith("publisher: no progress for ")
        publisher.last_active += 1
        assert watched.check_progress({})
    logged = [(record.levelname, record.message[:25]) for record in caplog.records]
    assert logged == [("ERROR", "publisher: no progress fo"), ("INFO", "publisher: makes progress")] * 2


def test_a_camera_with_only_unusable_frames_does_not_restart_the_daemon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    publisher: Any = Publisher()
    device: Any = None
    watched = Health(publisher, device)
    feed = Feed()
    session: Any = SimpleNamespace(feed=feed, frames=7, skipped=0, failed=0, stall_seconds=5.0)
    for _ in range(100):  # five minutes; 30 s and the camera's stall limit are allowed
        now += 3
        feed.captured += 90
        session.failed += 90
        publisher.last_active = now
        assert watched.check_progress({"door": session})
    now += health.STAGE_TIMEOUT + session.stall_seconds + 1
    feed.captured, publisher.last_active = feed.captured + 1, now
    assert not watched.check_progress({"door": session})
