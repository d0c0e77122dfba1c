"""Brokers that keep no messages or acknowledge none get a sentence, and all that they can give."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.broker import capabilities, retained
from edge.broker.capabilities import NO_QOS_1, NO_RETAIN, Capabilities
from edge.broker.message import Message
from edge.broker.outbox import Outbox, OutboxLimits
from edge.doctor.broker import broker as check_broker
from tests.support.broker import Broker, Relay, Subscriber
from tests.support.publishing import TOPICS, at, event, impatient, numbers, publishing
from tests.support.waiting import wait_for

__all__ = ["impatient"]

POOR = "allow_anonymous true\nretain_available false\n"
POORER = "allow_anonymous true\nmax_qos 0\n"
POOREST = f"{POOR}max_qos 0\n"
STATE = TOPICS.state("door")


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (None, Capabilities()),
        (SimpleNamespace(), Capabilities()),
        (SimpleNamespace(RetainAvailable=0), Capabilities(retain=False)),
        (SimpleNamespace(RetainAvailable=1, MaximumQoS=0), Capabilities(qos=0)),
        (SimpleNamespace(MaximumQoS=1), Capabilities()),
        (SimpleNamespace(MaximumQoS=2), Capabilities()),
    ],
)
def test_capabilities_in_a_connack(properties: Any, expected: Capabilities) -> None:
    assert capabilities.from_connack(properties) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [(0x9A, Capabilities(retain=False)), (0x9B, Capabilities(qos=0)), (0x87, Capabilities()), (0, Capabilities())],
)
def test_what_is_left_after_a_refusal(code: int, expected: Capabilities) -> None:
    assert capabilities.without_refused(Capabilities(), code) == expected
    assert capabilities.without_refused(Capabilities(False, 0), code) == Capabilities(False, 0)


def test_messages_fit() -> None:
    kept = Message("a", b"b", qos=1, retain=True)
    assert capabilities.adapted(kept, Capabilities()) == kept
    assert capabilities.adapted(kept, Capabilities(False, 0)) == Message("a", b"b", qos=0, retain=False)
    assert capabilities.adapted(Message("a", b"b"), Capabilities()) == Message("a", b"b")


@pytest.mark.parametrize(
    ("conf", "limits"), [(POOR, [NO_RETAIN]), (POORER, [NO_QOS_1]), (POOREST, [NO_RETAIN, NO_QOS_1])]
)
def test_a_broker_with_fewer_features_gets_everything_and_a_warning(
    tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture, conf: str, limits: list[str]
) -> None:
    with Broker(tmp_path, conf) as broker, Subscriber(broker.port) as subscriber:
        with publishing(at(broker)) as publisher:
            publisher.publish_retained(STATE, b"online")
            for seq in range(40):  # more than fit into the window
                publisher.publish_event(event(seq))
            wait_for(lambda: len(set(numbers(subscriber))) == 40, "all events")
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
            subscriber.wait_for_payload(STATE, b"online")
            assert publisher.statistics().broker_payload()["limits"] == limits
        subscriber.wait_for_payload(TOPICS.available, b"offline")
        assert numbers(subscriber) == list(range(40))
        kept = NO_RETAIN not in limits
        assert all(message.retain == kept for message in subscriber.messages if "/actions/" not in message.topic)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [sum(limit in line for line in warnings) for limit in limits] == [1] * len(limits)


def test_what_is_not_retained_is_repeated(tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "REPEAT_SECONDS", 0.2)
    with Broker(tmp_path, POOR) as broker, publishing(at(broker)) as publisher:
        publisher.publish_retained(STATE, b"online")
        wait_for(lambda: publisher.statistics().online, "a connection")
        with Subscriber(broker.port) as late:
            late.wait_for_payload(STATE, b"online")
            late.wait_for_payload(TOPICS.available, b"online")


def test_what_is_retained_is_published_once(tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "REPEAT_SECONDS", 0.01)
    with Broker(tmp_path) as broker, Subscriber(broker.port) as subscriber, publishing(at(broker)) as publisher:
        publisher.publish_retained(STATE, b"online")
        for seq in range(5):
            publisher.publish_event(event(seq))
            wait_for(lambda seq=seq: seq in numbers(subscriber), "an event")  # type: ignore[misc]
        assert subscriber.payloads(STATE) == [b"online"]


@pytest.mark.parametrize("version", [5, 3])
def test_explicit_settings_give_no_warning(
    tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture, version: int
) -> None:
    """The one way with MQTT 3.1.1, whose brokers cannot say it and hang up."""
    with Broker(tmp_path, POOREST) as broker, Subscriber(broker.port) as subscriber:
        with publishing(at(broker, version=version, retain=False, qos=0)) as publisher:
            publisher.publish_retained(STATE, b"online")
            publisher.publish_event(event(0))
            wait_for(lambda: numbers(subscriber) == [0], "the event")
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "an empty outbox")
        subscriber.wait_for_payload(STATE, b"online")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_with_3_1_1_the_settings_are_named(tmp_path: Path, impatient: None, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(None, OutboxLimits())
    with Broker(tmp_path, POOREST) as broker, publishing(at(broker, version=3), outbox, flush=0.1) as publisher:
        publisher.publish_event(event(0))
        wait_for(lambda: "[mqtt] retain and qos" in caplog.text, "the sentence")
        assert publisher.statistics().outbox.rows == 1  # it waits


def test_a_last_will_reaches_current_subscribers(tmp_path: Path, impatient: None) -> None:
    """Without retention and acknowledgement as well, as long as somebody listens."""
    with (
        Broker(tmp_path, POOREST) as broker,
        Subscriber(broker.port) as subscriber,
        Relay(broker.port) as relay,
        publishing(at(broker, port=relay.port)) as publisher,
    ):
        wait_for(lambda: publisher.statistics().online, "a connection")
        subscriber.wait_for_payload(TOPICS.available, b"online")
        relay.cut()
        wait_for(lambda: b"offline" in subscriber.payloads(TOPICS.available), "the will")
        wait_for(lambda: publisher.statistics().connections > 1, "another connection")


@pytest.mark.parametrize(("conf", "words"), [(POOR, NO_RETAIN), (POORER, NO_QOS_1)])
def test_the_doctor_reports_it(tmp_path: Path, conf: str, words: str) -> None:
    with Broker(tmp_path, conf) as broker:
        found = check_broker(at(broker), "korsal/roof")
        assert (found.level, words in found.text) == ("warning", True)
        found = check_broker(at(broker, retain=False, qos=0), "korsal/roof")
        assert found.level == "ok"
