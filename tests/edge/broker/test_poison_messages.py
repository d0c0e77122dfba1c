"""Stories of a broker that hangs up over a message and says nothing, and of networks that only break."""

import random
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from edge.broker.outbox import Outbox, OutboxLimits
from edge.broker.poison_messages import (
    FORGET_SECONDS,
    PoisonMessage,
    PoisonSearch,
    SentMessage,
    acknowledged,
    disconnected,
    may_send,
    needs_isolation,
    record_sent,
    will_be_refused,
)  # fmt: skip
from edge.config.schema import MqttConfig
from tests.support.broker import Broker, Relay, Subscriber
from tests.support.publishing import TOPICS, at, event, impatient, numbers, publishing
from tests.support.refusing_broker import PUBLISH, RefusingBroker
from tests.support.waiting import wait_for

__all__ = ["impatient"]
SMALL, PICTURE = SentMessage(0, "available", 0, 50), SentMessage(0, "snapshot", 0, 40_000)


def step(row: int, size: int = 800) -> SentMessage:
    return SentMessage(0, "actions", row, size)


def connection(
    known: PoisonSearch,
    taken: Iterable[SentMessage],
    unanswered: Iterable[SentMessage],
    strikes: int = 1,
    now: float = 0.0,
) -> tuple[PoisonSearch, PoisonMessage | None]:
    """One that took some messages, one after the other, and then broke with others in flight."""
    for number, message in enumerate(taken, 1):
        known = record_sent(known, SentMessage(number, message.topic, message.row, message.size))
        known, _ = acknowledged(known, number)
    for message in unanswered:
        known = record_sent(known, SentMessage(99, message.topic, message.row, message.size))
    return disconnected(known, strikes, now)


def test_the_poison_message_is_found_and_the_limit_with_it() -> None:
    known, poison = connection(PoisonSearch(), [SMALL], [PICTURE, step(1), step(2)])
    assert poison is None
    assert all(needs_isolation(known, one) for one in (PICTURE, step(1), step(2)))
    assert not needs_isolation(known, step(3))
    known, poison = connection(known, [SMALL], [PICTURE])
    assert poison is None
    known, poison = connection(known, [SMALL], [PICTURE])
    assert poison is not None
    assert (poison.message.key, poison.accepted_size) == ("snapshot", 50)
    assert will_be_refused(known, SentMessage(0, "other/snapshot", 0, 40_000), 1.0)
    assert not will_be_refused(known, SentMessage(0, "other/snapshot", 0, 39_999), 1.0)
    assert not will_be_refused(known, PICTURE, FORGET_SECONDS)  # it may have been mended
    known, poison = connection(known, [SMALL, step(1), step(2)], [])
    assert poison is None
    assert not needs_isolation(known, step(1))


def test_an_event_is_given_up_later_than_others_and_the_third_proves_the_limit() -> None:
    known = PoisonSearch()
    for _ in range(2):
        known, poison = connection(known, [SMALL], [step(1)])
        assert poison is None
    known, poison = connection(known, [SMALL], [step(1)])
    assert poison is not None
    for row in (2, 3):
        assert not will_be_refused(known, step(row), 0.0)
        assert needs_isolation(known, step(row))
        known, poison = connection(known, [SMALL], [step(row)])  # once is enough for one above the limit
        assert poison is not None
    assert will_be_refused(known, step(4), 0.0)
    assert not will_be_refused(known, step(4, size=799), 0.0)


def test_snapshots_of_many_sizes_cost_few_connections() -> None:
    """The limit is approached from above: one that is a little smaller than the last culprit is found out at once."""
    dice = random.Random(8)
    known, ends = PoisonSearch(), 0
    for _ in range(300):
        picture = SentMessage(0, "snapshot", 0, dice.randint(20_000, 40_000))
        while not will_be_refused(known, picture, 1.0):
            known, poison = connection(known, [SMALL], [picture])
            ends += 1
            if poison is not None:
                break
        else:
            assert picture.size > 5000
    assert ends < 12  # the records of 300 numbers, and one for the first
    known, _ = connection(known, [SentMessage(0, "status", 0, 15_000)], [])
    assert not needs_isolation(known, SentMessage(0, "status", 0, 15_000))


def test_one_that_is_no_larger_than_others_sets_no_limit() -> None:
    known = PoisonSearch()
    large = SentMessage(0, "status", 0, 900)
    for _ in range(2):
        known, poison = connection(known, [SMALL, large], [SentMessage(0, "active", 0, 100)])
    assert poison is not None
    assert poison.accepted_size is None
    assert will_be_refused(known, SentMessage(0, "active", 0, 10), 1.0)
    assert not will_be_refused(known, large, 1.0)


def test_a_message_that_the_broker_blames_is_found_at_once() -> None:
    assert connection(PoisonSearch(), [SMALL], [step(1)], strikes=10)[1] is not None
    assert connection(PoisonSearch(), [SMALL], [step(1), step(2)], strikes=10)[1] is None  # one of them


def test_no_suspects_where_the_broker_has_not_disconnected() -> None:
    known = PoisonSearch()
    for _ in range(9):
        known, poison = connection(known, [SMALL], [step(1)], strikes=0)
        assert poison is None
    assert not needs_isolation(known, step(1))


def test_a_broker_that_cannot_be_reached_in_between_clears_the_suspects() -> None:
    """One that disconnects at a message accepts the next connection at once; one that is away does not."""
    known = PoisonSearch()
    for _ in range(9):
        known, poison = connection(known, [SMALL], [step(1)])
        assert poison is None
        known, poison = connection(known, [], [], strikes=0)  # nobody answers
        assert poison is None
    for _ in range(3):
        known, poison = connection(known, [SMALL], [step(1)])
    assert poison is not None  # the third of three without anything in between


def test_connections_that_break_before_anything_is_accepted_prove_little() -> None:
    known = PoisonSearch()
    for _ in range(8):
        known, poison = connection(known, [], [step(1)])
        assert poison is None
    assert connection(known, [], [step(1)])[1] is not None  # 3 x 3, where others need 3


def test_what_arrives_at_last_was_not_it() -> None:
    known = PoisonSearch()
    for _ in range(5):
        for _ in range(2):
            known, poison = connection(known, [SMALL], [step(1)])
            assert poison is None
        known, poison = connection(known, [SMALL, step(1)], [])
        assert poison is None


def test_a_limit_that_is_exceeded_is_none() -> None:
    known = PoisonSearch()
    for _ in range(2):
        known, _ = connection(known, [SMALL], [PICTURE])
    assert will_be_refused(known, PICTURE, 1.0)
    known, _ = connection(known, [PICTURE], [])
    assert not will_be_refused(known, PICTURE, 1.0)


def test_a_suspicious_message_waits_for_the_others_and_they_for_it() -> None:
    known, _ = connection(PoisonSearch(), [], [step(1), step(2)])
    assert may_send(known, step(1), in_flight=False)
    assert not may_send(known, step(1), in_flight=True)
    assert may_send(known, step(3), in_flight=True)
    assert not may_send(record_sent(known, step(1)), step(3), in_flight=True)


def test_an_acknowledgement_covers_what_was_sent_before() -> None:
    known = record_sent(
        record_sent(record_sent(PoisonSearch(), SentMessage(1, "a", 0, 10)), SentMessage(2, "b", 0, 20)),
        SentMessage(3, "c", 0, 30),
    )
    known, keys = acknowledged(known, 2)
    assert keys == {"a", "b"}
    assert [one.key for one in known.sent] == ["c"]
    assert known.accepted_size == 20
    assert acknowledged(known, 7) == (known, frozenset())


def test_networks_that_break_at_random_cost_nothing() -> None:
    """A message is acknowledged in nine of ten connections, however full the window is when they break."""
    dice = random.Random(5)
    known, waiting = PoisonSearch(), list(range(1, 400))
    while waiting:
        took = [step(waiting.pop(0)) for _ in range(min(len(waiting), dice.choice([1, 2, 5, 30])))]
        count = 1 if waiting and needs_isolation(known, step(waiting[0])) else dice.randint(0, 16)
        known, poison = connection(known, [SMALL, *took], [step(row) for row in waiting[:count]])
        assert poison is None
        assert len(known.suspects) <= 200


# With a real broker, and with one that names its reason.


@pytest.mark.usefixtures("impatient")
def test_a_snapshot_that_a_3_1_1_broker_rejects_is_dropped_and_all_else_arrives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = b"\xff\xd8" + bytes(20_000)
    with (
        Broker(tmp_path, "allow_anonymous true\nmax_packet_size 5000") as broker,
        Subscriber(broker.port) as subscriber,
        publishing(at(broker, version=3)) as publisher,
    ):
        publisher.publish_retained(TOPICS.status, b"{}" * 400)
        for number in range(30):
            publisher.publish_snapshot(TOPICS.snapshot("door", f"Dunk{number % 3}"), picture)
            publisher.publish_event(event(number, size=700))
        wait_for(lambda: numbers(subscriber)[-1:] == [29], "the last event")
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
        wait_for(lambda: "it disconnects at" in caplog.text, "the sentence")
        connections = publisher.statistics().connections
        for number in range(30, 60):
            publisher.publish_snapshot(TOPICS.snapshot("door", "Dunk0"), picture)
            publisher.publish_event(event(number, size=700))
        publisher.publish_snapshot(TOPICS.snapshot("door", "Dunk1"), picture[:1000])
        wait_for(lambda: numbers(subscriber)[-1:] == [59], "the last event")
        subscriber.wait_for_payload(TOPICS.snapshot("door", "Dunk1"), picture[:1000])
        assert publisher.statistics().connections == connections
        assert publisher.statistics().outbox.refused == 0
        wait_for(lambda: len(set(numbers(subscriber))) == 60, "all events")
        assert list(dict.fromkeys(numbers(subscriber))) == list(range(60))
    assert connections <= 8
    assert "snapshot/Dunk" in caplog.text
    assert caplog.text.count("raise its limit for the size of messages") <= 3


@pytest.mark.usefixtures("impatient")
def test_an_event_that_poisons_a_broker_of_3_1_1_is_counted(tmp_path: Path) -> None:
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number, size=2000 if number in (3, 9) else 500) for number in range(20)], 0.0)
    with (
        Broker(tmp_path, "allow_anonymous true\nmax_packet_size 1000") as broker,
        Subscriber(broker.port) as subscriber,
        publishing(at(broker, version=3), outbox) as publisher,
    ):
        wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go", 60)
        assert publisher.statistics().outbox.refused == 2
        sent = [number for number in range(20) if number not in (3, 9)]
        wait_for(lambda: list(dict.fromkeys(numbers(subscriber))) == sent, "the others")


class ParticularBroker(RefusingBroker):
    """Of MQTT 5; it takes messages of up to 1000 bytes, does not say so before, and ends the connection at others."""

    def _answer(self, head: int, body: bytes) -> bytes:
        if head >> 4 == PUBLISH and len(body) > 1000:
            self.refused += 1
            return b"\xe0\x01\x95"
        return super()._answer(head, body)


@pytest.mark.usefixtures("impatient")
def test_the_reason_that_a_broker_names_is_used(caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(None, OutboxLimits())
    outbox.put([event(number, size=2000 if number == 7 else 0) for number in range(20)], 0.0)
    with ParticularBroker(lambda _: False) as broker:
        with publishing(MqttConfig(host="127.0.0.1", port=broker.port), outbox) as publisher:
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go")
            assert publisher.statistics().outbox.refused == 1
        assert list(dict.fromkeys(broker.taken)) == [number for number in range(20) if number != 7]
        assert broker.refused == 2  # once among others, once alone


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_breaks_repeatedly_loses_no_message(tmp_path: Path) -> None:
    """At any moment, with 3.1.1, where nobody says why."""
    with Broker(tmp_path) as broker, Relay(broker.port) as relay, Subscriber(broker.port) as subscriber:
        settings = MqttConfig(host="127.0.0.1", port=relay.port, version=3)
        with publishing(settings) as publisher:
            dice = random.Random(3)
            for start in range(0, 600, 30):
                for number in range(start, start + 30):
                    publisher.publish_event(event(number))
                threading.Event().wait(dice.random() * 0.05)
                relay.cut()
            wait_for(lambda: publisher.statistics().outbox.rows == 0, "none to go", 60)
            assert publisher.statistics().outbox.refused == 0
        wait_for(lambda: set(numbers(subscriber)) == set(range(600)), "all events")
    assert list(dict.fromkeys(numbers(subscriber))) == list(range(600))
