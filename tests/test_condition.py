"""What systemd's watchdog is told, and what the log says of it."""

import logging
from typing import Any

import pytest
from broker import wait_for

from edge.service import condition
from edge.service.condition import Condition


class Publisher:
    """One that gets on when it is told to."""

    turned = 0.0


def test_a_stage_that_stands_still_is_logged_once_and_once_when_that_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(condition, "PATIENCE", 0.05)
    publisher: Any = Publisher()
    device: Any = None  # nobody asks for it
    watched = Condition(publisher, device)
    assert watched.alive({})
    for _ in range(2):
        wait_for(lambda: not watched.alive({}), "the watchdog to be starved")
        assert not any(watched.alive({}) for _ in range(50))
        assert watched.late({})[0].startswith("publisher: nothing for ")
        publisher.turned += 1
        assert watched.alive({})
    said = [(record.levelname, record.message[:27]) for record in caplog.records]
    assert said == [("ERROR", "publisher: nothing for 0 s,"), ("INFO", "publisher: gets on again, a")] * 2
