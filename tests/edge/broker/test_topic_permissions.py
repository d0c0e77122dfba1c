"""What may be sent to a broker that takes some topics and refuses others."""

import threading
from dataclasses import dataclass

import pytest

from edge.broker.broker_link import WINDOW
from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.topic_permissions import (
    MAX_REJECTED,
    TopicPermissions,
    after_accepted,
    after_disconnected,
    after_refused,
    after_rejected,
    held_topics,
    sendable,
)
from edge.config.schema import MqttConfig
from tests.support.publishing import event, publishing
from tests.support.refusing_broker import RefusingBroker
from tests.support.waiting import wait_for

STEPS = list(range(40))


@dataclass(frozen=True)
class Row:
    id: int
    topic: str


def rows(topics: str) -> list[Row]:
    """One for each letter, which is its topic."""
    return [Row(number, topic) for number, topic in enumerate(topics, 1)]


def sent(permissions: TopicPermissions, topics: str, in_flight: str = "") -> list[int]:
    """Ids of what is sent of these rows, whose first ones are `in_flight`."""
    flying = {row.id: row.topic for row in rows(in_flight)}
    return [row.id for row in sendable(permissions, rows(topics), flying)]


def test_a_topic_gets_one_message_until_it_has_been_accepted() -> None:
    assert sent(TopicPermissions(), "aaabab") == [1, 4]
    assert sent(TopicPermissions(), "aaabab", in_flight="a") == [4]
    assert sent(after_accepted(TopicPermissions(), "a"), "aaabab", in_flight="a") == [2, 3, 4, 5]
    assert sent(after_accepted(after_accepted(TopicPermissions(), "a"), "b"), "aaabab") == [1, 2, 3, 4, 5, 6]
    assert sent(TopicPermissions(), "") == []


def test_after_a_refusal_and_at_a_new_connection_it_begins_again() -> None:
    proven = after_accepted(TopicPermissions(), "a")
    assert sent(after_refused(proven, "a", 60.0), "aaa") == [1]
    assert sent(after_disconnected(proven), "aaa") == [1]
    assert sent(after_accepted(after_refused(proven, "a", 60.0), "a"), "aaa") == [1, 2, 3]


def test_what_is_refused_is_held_until_its_time_or_until_it_is_accepted() -> None:
    permissions = after_refused(after_refused(TopicPermissions(), "a", 60.0), "b", 70.0)
    assert held_topics(permissions, 59.9) == ["a", "b"]
    assert held_topics(permissions, 60.0) == ["b"]
    assert held_topics(after_disconnected(permissions), 59.9) == ["a", "b"]
    assert held_topics(after_accepted(permissions, "a"), 0.0) == ["b"]


@pytest.mark.parametrize("refusals", [1, 2])
def test_no_step_overtakes_another_when_a_refused_topic_is_allowed_again(
    refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rights change right after the refusal: what came next in the same window would be taken."""
    monkeypatch.setattr("edge.broker.send_window.HOLD_SECONDS", 0.1)
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number) for number in STEPS], 0.0)
    with RefusingBroker(lambda _: broker.refused < refusals) as broker:
        with publishing(at_port(broker.port), outbox) as publisher:
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
        assert broker.taken == STEPS
        assert broker.refused == refusals


def test_none_overtakes_another_when_permissions_go_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused in the middle, for longer than the window."""
    monkeypatch.setattr("edge.broker.send_window.HOLD_SECONDS", 0.1)
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number) for number in STEPS], 0.0)
    with RefusingBroker(lambda seq: seq >= 10 and broker.refused < 20) as broker:
        with publishing(at_port(broker.port), outbox) as publisher:
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go", 60)
        assert broker.taken == STEPS
        assert broker.refused == 20


def test_a_proven_topic_fills_the_window() -> None:
    """Going one by one is for the first message alone: the second is not answered before the window is full."""
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number) for number in STEPS], 0.0)
    answer = threading.Event()
    with RefusingBroker(lambda seq: seq == 1 and not answer.wait(60)) as broker:
        with publishing(at_port(broker.port), outbox) as publisher:
            wait_for(lambda: publisher.statistics().in_flight == WINDOW, "a full window")
            answer.set()
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
        assert broker.taken == STEPS


REASONS = [0x80, 0x83, 0x90, 0x91, 0x95, 0x99, 0x9A, 0x9B, 0xC3, 0xFF]  # paho can name five of them in this place


@pytest.mark.parametrize("code", REASONS)
def test_a_message_refused_for_its_content_blocks_no_other(code: int, caplog: pytest.LogCaptureFixture) -> None:
    """It is counted, told of, and the next one follows at once."""
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number) for number in STEPS], 0.0)
    with RefusingBroker(lambda seq: seq in (0, 7, 8), code) as broker:
        with publishing(at_port(broker.port), outbox) as publisher:
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
            assert publisher.statistics().outbox.refused == 3
            assert publisher.statistics().connections == 1
        assert broker.taken == [number for number in STEPS if number not in (0, 7, 8)]
    assert caplog.text.count("it refuses korsal/roof/door/actions/Dunk (") == 1


def test_other_contents_of_an_acknowledgement_are_ignored() -> None:
    """A property that nobody knows, and none that could be read."""
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number) for number in STEPS], 0.0)
    with RefusingBroker(lambda seq: False, beside=b"\x7f\xff\xff") as broker:
        with publishing(at_port(broker.port), outbox) as publisher:
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
            assert publisher.statistics().connections == 1
        assert broker.taken == STEPS


def test_a_broker_that_refuses_everything_does_not_empty_the_outbox() -> None:
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number) for number in STEPS], 0.0)
    with RefusingBroker(lambda seq: True, 0x83) as broker, publishing(at_port(broker.port), outbox, 0.1) as publisher:
        wait_for(lambda: publisher.statistics().outbox.refused >= MAX_REJECTED, "many to be refused")
        turned = publisher.last_active
        wait_for(lambda: publisher.last_active > turned, "another round")
        assert publisher.statistics().outbox.refused == MAX_REJECTED


def test_many_refusals_in_a_row_hold_a_topic() -> None:
    permissions = after_accepted(TopicPermissions(), "a")
    for _ in range(MAX_REJECTED - 1):
        permissions = after_rejected(permissions, "a", 60.0)
    assert held_topics(permissions, 0.0) == []
    assert held_topics(after_rejected(permissions, "a", 60.0), 0.0) == ["a"]
    assert (
        held_topics(after_rejected(after_accepted(permissions, "a"), "a", 60.0), 0.0) == []
    )  # they were none in a row


def at_port(port: int) -> MqttConfig:
    return MqttConfig(host="127.0.0.1", port=port)
