"""A publisher with its broker and events, for the tests of delivery."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge.broker import outages
from edge.broker.outbox import Message, Outbox, OutboxLimits
from edge.broker.publisher import Publisher
from edge.broker.topics import Topics
from edge.config.schema import MqttConfig
from tests.support.broker import Broker, Subscriber

TOPICS = Topics("korsal", "roof")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Dial again after a tenth of a second, so that the tests need not wait."""
    monkeypatch.setattr(outages, "FIRST", 0.1)
    monkeypatch.setattr(outages, "LONGEST", 0.2)
    monkeypatch.setattr(outages, "MANY", 1000)
    caplog.set_level(logging.INFO)


@contextmanager
def publishing(settings: MqttConfig, outbox: Outbox | None = None, flush: float = 20.0) -> Iterator[Publisher]:
    publisher = Publisher(settings, TOPICS, outbox or Outbox(None, OutboxLimits()))
    try:
        yield publisher
    finally:
        publisher.close(flush)
        assert not publisher.alive


def at(broker: Broker, **more: object) -> MqttConfig:
    return MqttConfig.model_validate({"host": "127.0.0.1", "port": broker.port, **more})


def event(seq: int, event_id: str = "a", seconds: float = 60.0, action: str = "Dunk", size: int = 0) -> Message:
    """`size`: bytes by which the payload is padded."""
    payload = json.dumps({"event_id": event_id, "seq": seq}).encode() + b" " * size
    return Message(TOPICS.event("door", action), payload, event_id, seq, "update", time.time() + seconds)


def numbers(subscriber: Subscriber, event_id: str = "a") -> list[int]:
    return [found["seq"] for found in subscriber.events() if found["event_id"] == event_id]
