"""Where there is no room, or what waits is too old: single updates go, or whole events, never parts."""

import contextlib
import json
import random
import time
from pathlib import Path

import pytest

from edge.broker.outbox import Message, Outbox, OutboxLimits
from edge.broker.publisher import Publisher
from edge.config.schema import MqttConfig
from tests.support.chaos import Line
from tests.support.event_streams import faults
from tests.support.ports import free_port
from tests.support.publishing import TOPICS
from tests.support.publishing import impatient as impatient
from tests.support.waiting import wait_for

NOW = 1_800_000_000.0
DAY = 86_400.0
MANY = OutboxLimits(rows=1000, size=1_000_000)


def step(event_id: str, seq: int, kind: str, expires: float = NOW + 7 * DAY) -> Message:
    return Message("korsal/roof/door/actions/Run", b"x" * 10, event_id, seq, kind, expires)


def waiting(outbox: Outbox) -> list[tuple[str, int, str]]:
    return [(row.message.event_id, row.message.seq, row.message.type) for row in outbox.pending(0, 1000)]


def send_first(outbox: Outbox, count: int, arrived: bool) -> None:
    rows = outbox.pending(0, count)
    outbox.handed_over(rows)
    if arrived:
        outbox.remove(row.id for row in rows)


@pytest.mark.parametrize("arrived", [True, False], ids=["acknowledged", "in flight"])
def test_a_published_event_keeps_its_end(arrived: bool) -> None:
    outbox = Outbox(None, OutboxLimits(rows=3, size=1000))
    outbox.put([step("a", 0, "new")], NOW)
    send_first(outbox, 1, arrived)
    outbox.put([step("a", 1, "end"), *[step(event_id, 0, "new") for event_id in "bcde"]], NOW)
    kept = [] if arrived else [("a", 0, "new")]
    rest = [("d", 0, "new"), ("e", 0, "new")] if arrived else [("e", 0, "new")]
    assert waiting(outbox) == [*kept, ("a", 1, "end"), *rest]


def test_what_has_arrived_is_published_whatever_run_sent_it() -> None:
    outbox = Outbox(None, OutboxLimits(rows=2, size=1000))
    outbox.put([step("a", 0, "new")], NOW)
    outbox.remove(row.id for row in outbox.pending(0, 1))
    outbox.put([step("a", 1, "end"), *[step(event_id, 0, "new") for event_id in "bcde"]], NOW)
    assert waiting(outbox) == [("a", 1, "end"), ("e", 0, "new")]


def test_ends_of_published_events_take_precedence_over_the_limits() -> None:
    outbox = Outbox(None, OutboxLimits(rows=2, size=1000))
    outbox.put([step("a", 0, "new"), step("b", 0, "new")], NOW)
    send_first(outbox, 2, arrived=True)
    outbox.put([step("c", 0, "new")], NOW)
    send_first(outbox, 1, arrived=True)
    outbox.put([step(event_id, 1, "end") for event_id in "abc"], NOW)
    assert waiting(outbox) == [("a", 1, "end"), ("b", 1, "end"), ("c", 1, "end")]


def test_of_an_event_that_was_dropped_nothing_comes_any_more(tmp_path: Path) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    outbox = Outbox(path, OutboxLimits(rows=2, size=1000))
    outbox.put([step("a", 0, "new"), step("b", 0, "new"), step("c", 0, "new")], NOW)  # a goes
    outbox.put([step("a", 1, "update")], NOW)
    assert waiting(outbox) == [("b", 0, "new"), ("c", 0, "new")]
    assert [message.event_id for message in outbox.open_events()] == ["b", "c"]  # no end is made for a
    outbox.put([step("a", 2, "end")], NOW)
    assert waiting(outbox) == [("b", 0, "new"), ("c", 0, "new")]
    assert outbox.statistics().dropped_events == 1
    outbox.close()


def test_messages_in_flight_at_a_kill_are_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    killed = Outbox(path, MANY)
    killed.put([step("a", 0, "new"), step("a", 1, "end"), step("b", 0, "new"), step("b", 1, "end")], NOW)
    send_first(killed, 1, arrived=False)
    killed._database.close()
    killed._mark.close()
    outbox = Outbox(path, OutboxLimits(rows=3, size=1000))
    outbox.put([step("c", 0, "new")], NOW)
    assert waiting(outbox) == [("a", 0, "new"), ("a", 1, "end"), ("c", 0, "new")]
    outbox.close()


def test_events_grow_too_old_as_a_whole() -> None:
    outbox = Outbox(None, MANY)
    outbox.put([step("a", 0, "new", NOW + 1), step("a", 1, "update", NOW + 2), step("a", 2, "end", NOW + 3)], NOW)
    outbox.expire(NOW + 2)
    assert waiting(outbox) == [("a", 0, "new"), ("a", 2, "end")]  # but for updates
    outbox.expire(NOW + 3)
    assert waiting(outbox) == []
    assert outbox.statistics().expired == 3


def test_an_open_event_is_as_old_as_its_newest_step() -> None:
    outbox = Outbox(None, MANY)
    outbox.put([step("a", 0, "new", NOW + 1), step("a", 1, "update", NOW + 9)], NOW)
    outbox.expire(NOW + 5)
    assert waiting(outbox) == [("a", 0, "new"), ("a", 1, "update")]
    outbox.expire(NOW + 9)
    assert waiting(outbox) == []
    outbox.put([step("a", 2, "end", NOW + 99)], NOW + 10)  # nobody has heard of it
    assert waiting(outbox) == []


def test_a_published_event_keeps_its_end_however_old() -> None:
    outbox = Outbox(None, MANY)
    outbox.put([step("a", 0, "new", NOW + 1)], NOW)
    send_first(outbox, 1, arrived=True)
    outbox.put([step("a", 1, "update", NOW + 2), step("a", 2, "end", NOW + 2)], NOW)
    outbox.expire(NOW + 99)
    assert waiting(outbox) == [("a", 2, "end")]


@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_that_is_set_makes_nothing_older(tmp_path: Path, restart: bool) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    outbox = Outbox(path, MANY)
    outbox.put([step("a", 0, "new")], NOW)
    for seq, jump in enumerate((8 * DAY, -16 * DAY, 8 * DAY), start=1):
        outbox.clock_moved(jump)
        now = NOW + {1: 8 * DAY, 2: -8 * DAY, 3: 0.0}[seq]
        if restart:
            outbox.close()
            outbox = Outbox(path, MANY)
        outbox.put([step("a", seq, "update", now + 7 * DAY)], now)
    assert [seq for _, seq, _ in waiting(outbox)] == [0, 1, 2, 3]
    assert all(row.message.expires == NOW + 7 * DAY for row in outbox.pending(0, 10))
    outbox.expire(NOW + 7 * DAY - 1)
    assert len(waiting(outbox)) == 4
    outbox.expire(NOW + 7 * DAY)
    assert waiting(outbox) == []
    outbox.close()


def test_the_publisher_notices_that_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker: what waits stays, whatever the clock does."""
    real, jumped = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jumped[0])
    outbox = Outbox(None, MANY)
    publisher = Publisher(MqttConfig(host="127.0.0.1", port=free_port()), TOPICS, outbox)
    with contextlib.closing(contextlib.ExitStack()) as owned:
        owned.callback(publisher.close, 0.0)
        for seq, jump in enumerate((0.0, 8 * DAY, 0.0, -8 * DAY, 0.0)):
            before = publisher.last_active
            jumped[0] = jump
            wait_for(lambda before=before: publisher.last_active > before + 0.5, "a round")  # type: ignore[misc]
            publisher.publish_event(step("a", seq, "update" if seq else "new", time.time() + 7 * DAY))
            wait_for(lambda seq=seq: outbox.statistics().rows == seq + 1, "the message, and those before")  # type: ignore[misc]
        assert outbox.statistics().expired == 0


def test_a_message_that_was_stamped_just_before_the_clock_was_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    real, jumped = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jumped[0])
    outbox = Outbox(None, MANY)
    publisher = Publisher(MqttConfig(host="127.0.0.1", port=free_port()), TOPICS, outbox)
    with contextlib.closing(contextlib.ExitStack()) as owned:
        owned.callback(publisher.close, 0.0)
        wait_for(lambda: publisher.statistics().version == 5, "the publisher")
        stamped = step("a", 0, "new", time.time() + 7 * DAY)
        jumped[0] = 8 * DAY
        publisher.publish_event(stamped)
        publisher.publish_event(step("a", 1, "update", time.time() + 7 * DAY))
        wait_for(lambda: outbox.statistics().rows == 2, "both")
        before = publisher.last_active
        wait_for(lambda: publisher.last_active > before + 0.5, "a round")
        publisher.publish_event(step("b", 0, "new", time.time() + 7 * DAY))
        wait_for(lambda: outbox.statistics().rows == 3, "all three")
        assert outbox.statistics().expired == 0


class Feed:
    """Steps of events, three at a time, as a daemon hands them over."""

    def __init__(self, publisher: Publisher, seed: int) -> None:
        self._publisher, self._dice = publisher, random.Random(seed)
        self._going_on: dict[str, int] = {}
        self._begun = 0

    def steps(self, count: int) -> None:
        for _ in range(count):
            if len(self._going_on) < 3:
                self._begun += 1
                self._store_step(f"event{self._begun}", 0, "new")
            else:
                event_id = self._dice.choice(list(self._going_on))
                self._store_step(event_id, self._going_on[event_id] + 1, self._dice.choice(["update", "update", "end"]))

    def end(self) -> None:
        for event_id, seq in list(self._going_on.items()):
            self._store_step(event_id, seq + 1, "end")

    def _store_step(self, event_id: str, seq: int, kind: str) -> None:
        payload = json.dumps({"event_id": event_id, "seq": seq, "type": kind}).encode()
        topic = TOPICS.event("door", "Dunk")
        self._publisher.publish_event(Message(topic, payload, event_id, seq, kind, time.time() + DAY))
        self._going_on[event_id] = seq
        if kind == "end":
            del self._going_on[event_id]


@pytest.mark.usefixtures("impatient")
def test_whole_events_arrive_at_a_broker_that_is_away_for_longer_than_there_is_room(tmp_path: Path) -> None:
    """A real one, which breaks off with messages in flight."""
    line = Line(tmp_path)
    outbox = Outbox(tmp_path / "roof.outbox.sqlite", OutboxLimits(rows=25, size=1_000_000))
    publisher = Publisher(MqttConfig(host="127.0.0.1", port=line.port), TOPICS, outbox)
    feed = Feed(publisher, seed=1)
    for _ in range(6):
        wait_for(lambda: publisher.statistics().online, "the connection")
        feed.steps(60)
        line.go_away()
        feed.steps(120)
        wait_for(lambda: not publisher.statistics().online, "the end of the connection")
        feed.steps(120)
        line.come_back()
    feed.end()
    wait_for(lambda: publisher.statistics().online and not outbox.statistics().rows, "everything")
    publisher.close(10)
    line.close()
    statistics = outbox.statistics()
    assert statistics.dropped_updates > 100
    assert statistics.dropped_events > 20
    assert faults(line.witness.arrived) == []
