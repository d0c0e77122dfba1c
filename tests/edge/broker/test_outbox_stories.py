"""Long random stories of an outbox: whatever happens, a subscriber receives whole events, each step meaning one thing.

What happens: the broker is away, breaks off, acknowledges late; the disk refuses, and takes everything again; another
program holds the file, at a start too; there is no room; messages grow too old; the clock is set; the program ends, or
is killed. No threads and no real broker, so that a seed tells the same story again.

KORSAL_STORIES sets how many stories there are, KORSAL_STORIES_SEED the first one's seed.
"""

import json
import os
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.broker import outbox as outbox_module
from edge.broker.outbox import Message, Outbox, OutboxLimits, StoredMessage
from edge.broker.payload import InterruptedEnds, end_interrupted, iso_time
from tests.support.event_streams import faults

NOW = 1_800_000_000.0
HOUR = 3600.0
MAX_AGE = 24 * HOUR
STORIES = int(os.environ.get("KORSAL_STORIES", "5"))
SEED = int(os.environ.get("KORSAL_STORIES_SEED", "0"))
LENGTH = 120


class World:
    """A daemon with its outbox, the disk, a broker, and a subscriber that hangs directly on it."""

    def __init__(self, place: Path, seed: int, rows: int) -> None:
        self.dice = random.Random(seed)
        self.arrived: list[dict[str, Any]] = []
        self._path, self._limits = place / "roof.outbox.sqlite", OutboxLimits(rows=rows, size=1_000_000)
        self._now, self._jumped = NOW, 0.0  # true time; by how much the wall clock is wrong
        self._events = self._marks = 0
        self._open: dict[str, int] = {}  # the number of each event's last step
        self._in_flight: list[StoredMessage] = []
        self._other: sqlite3.Connection | None = None
        self.outbox = self._start()

    @property
    def wall(self) -> float:
        return self._now + self._jumped

    def story(self, length: int) -> None:
        steps = {self.store_step: 12, self.send: 6, self.acknowledge: 6, self.hang_up: 1, self.pass_time: 2,
                 self.set_clock: 1, self.disk_refuses: 1, self.disk_is_back: 2, self.end: 1, self.kill: 1}  # fmt: skip
        for step in self.dice.choices(list(steps), list(steps.values()), k=length):
            step()
            self.outbox.maintain()

    def finish(self) -> list[dict[str, Any]]:
        """Everything is well again, and what waits is sent."""
        self.disk_is_back()
        self.end()
        self.disk_is_back()
        for _ in range(1000):
            self.send()
            self.acknowledge()
            if not self.outbox.pending(0, 1):
                break
        self.outbox.close()
        return self.arrived

    def store_step(self) -> None:
        """Some steps of events."""
        messages = []
        for _ in range(self.dice.randint(1, 3)):
            if len(self._open) < 3 and self.dice.random() < 0.5:
                self._events += 1
                messages.append(self._message(f"event{self._events}", 0, "new"))
            elif self._open:
                event_id = self.dice.choice(list(self._open))
                kind = "end" if self.dice.random() < 0.4 else "update"
                messages.append(self._message(event_id, self._open[event_id] + 1, kind))
        self.outbox.put(messages, self.wall)

    def send(self) -> None:
        known = {row.id for row in self._in_flight}
        rows = [row for row in self.outbox.pending(0, 4 + len(known)) if row.id not in known][:4]
        self.outbox.handed_over(rows)
        self._in_flight += rows
        self.arrived += [json.loads(row.message.payload) for row in rows]

    def acknowledge(self) -> None:
        count = self.dice.randint(0, len(self._in_flight))
        self.outbox.remove(row.id for row in self._in_flight[:count])
        del self._in_flight[:count]

    def hang_up(self) -> None:
        self._in_flight.clear()

    def pass_time(self) -> None:
        self._now += self.dice.choice([0.1, 1.0, 9.0]) * HOUR
        self.outbox.expire(self.wall)

    def set_clock(self) -> None:
        """Eight days forward or back, as the publisher tells the outbox."""
        jump = self.dice.choice([-8.0, 8.0]) * 24 * HOUR
        self._jumped += jump
        self.outbox.clock_moved(jump)
        self.outbox.expire(self.wall)

    def disk_refuses(self) -> None:
        """From now on, and as long as another program holds the file."""
        if not self.outbox.statistics().in_memory:
            self.outbox._database.execute("PRAGMA query_only = ON")
            self.outbox.put([], self.wall)
            assert self.outbox.statistics().in_memory
            self._hold()

    def disk_is_back(self) -> None:
        if self._other is not None:
            self._other.close()
            self._other = None
        self.outbox.maintain()
        assert not self.outbox.statistics().in_memory

    def end(self) -> None:
        """In order: all events end, and what was kept in memory is written down."""
        ends = [self._message(event_id, seq + 1, "end") for event_id, seq in list(self._open.items())]
        self.outbox.put(ends, self.wall)
        if self._other is not None:
            self._other.close()
            self._other = None
        self.outbox.close()
        self._restart()

    def kill(self) -> None:
        """While the disk takes everything; else what is in memory is gone, which is another story."""
        if self._other is None:
            self.outbox._database.close()
            self.outbox._mark.close()
            self._restart()

    def _restart(self) -> None:
        self._in_flight.clear()
        self._open.clear()
        if self.dice.random() < 0.3:
            self._hold()
        self.outbox = self._start()

    def _start(self) -> Outbox:
        return Outbox(self._path, self._limits, self._ends)

    def _ends(self, open_steps: Sequence[Message], gap: int) -> InterruptedEnds:
        return end_interrupted(open_steps, self.wall, self.wall + MAX_AGE, gap)

    def _hold(self) -> None:
        self._other = sqlite3.connect(self._path)
        self._other.execute("BEGIN EXCLUSIVE")

    def _message(self, event_id: str, seq: int, kind: str) -> Message:
        self._marks += 1
        payload = {"event_id": event_id, "seq": seq, "type": kind, "mark": self._marks, "started": iso_time(self.wall),
                   "duration": 1.0, "event_type": kind, "ended": None, "reason_ended": None}  # fmt: skip
        self._open[event_id] = seq
        if kind == "end":
            del self._open[event_id]
        return Message("topic", json.dumps(payload).encode(), event_id, seq, kind, self.wall + MAX_AGE)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after the disk at every step, and wait for nobody."""
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(outbox_module, "RETRY_PATIENCE", 0.0)
    monkeypatch.setattr("edge.broker.outbox_tables.LOCK_SECONDS", 0.0)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("rows", [8, 1000], ids=["little room", "room"])
def test_whole_events_arrive_whatever_happens(tmp_path: Path, rows: int) -> None:
    count = 0
    for seed in range(SEED, SEED + STORIES):
        place = tmp_path / str(seed)
        place.mkdir()
        world = World(place, seed, rows)
        world.story(LENGTH)
        arrived = world.finish()
        assert faults(arrived) == [], f"KORSAL_STORIES_SEED={seed}"
        count += len(arrived)
    assert count > 20 * STORIES


def step(event_id: str, seq: int, kind: str, mark: int = 0) -> dict[str, Any]:
    return {"event_id": event_id, "seq": seq, "type": kind, "mark": mark}


@pytest.mark.parametrize(
    ("arrived", "count"),
    [
        ([], 0),
        ([step("a", 0, "new"), step("a", 1, "update"), step("a", 2, "end")], 0),
        ([step("a", 0, "new"), step("a", 0, "new"), step("a", 5, "end")], 0),  # twice, and updates that were dropped
        ([step("a", 0, "new"), step("a", 0, "new", 1), step("a", 1, "end")], 1),  # two things
        ([step("a", 1, "update"), step("a", 2, "end")], 2),  # no new, no number 0
        ([step("a", 0, "new")], 1),  # no end
        ([step("a", 0, "new"), step("a", 1, "end"), step("a", 2, "end")], 1),  # two ends
        ([step("a", 0, "new"), step("a", 2, "end"), step("a", 1, "update")], 3),  # overtaken, after the end
    ],
)
def test_the_judge_finds(arrived: list[dict[str, Any]], count: int) -> None:
    assert len(faults(arrived)) == count
