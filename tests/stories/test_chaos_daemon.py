"""The whole daemon and its broker are killed at random; each event is published from its `new` to its one `end`.

What is proved, by a subscriber that is independent of us (tests.support.chaos): of every event the steps come in order,
from `new` with the number 0, without a gap, to exactly one `end`, which is the last; a repeated step is the same.
Events that a kill has cut off end as `interrupted`, published by the next start, however often that is killed itself.

The daemon is a real `korsal-edge run` with two cameras, videos that are played over and over; both it and mosquitto are
ended by SIGKILL. The proof can fail: the last test has the daemon forget what was going on, and must find it.

KORSAL_CHAOS_KILLS sets how many kills there are, KORSAL_CHAOS_SEED the seed; both are printed.
"""

import contextlib
import json
import os
import random
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from tests.support.chaos import Line
from tests.support.real_daemon import Daemon
from tests.support.started_daemon import write_video
from tests.support.waiting import PATIENCE, wait_for

FPS = 20.0
VIDEOS = {"door": "#" * 12 + "." * 10, "yard": "#" * 31 + "." * 9}  # an event each time round, of some 1 and 2 s
EVENTS = """
[actions.default]
start_score = 0.5
keep_score = 0.3
min_duration = 0.1
cooldown = 0.2
update_interval = 0.1
"""
KINDS = ["daemon"] * 5 + ["broker"] * 2 + ["both", "line"]
LAST = "the last"  # event_id of what the test itself tells at the end

Payload = dict[str, Any]


def faults(arrived: Iterable[Payload]) -> list[str]:
    """What is wrong with the events that have arrived, a sentence each."""
    steps: dict[str, list[Payload]] = defaultdict(list)
    for payload in {
        json.dumps(one, sort_keys=True): one for one in arrived
    }.values():  # each the first time that it came
        steps[payload["event_id"]].append(payload)
    wrong = []
    for event_id, mine in steps.items():
        numbers, kinds = [one["seq"] for one in mine], [one["type"] for one in mine]
        if numbers != list(range(len(mine))):
            wrong.append(f"{event_id}: its steps came as {numbers}")
        elif kinds != ["new", *["update"] * (len(mine) - 2), "end"]:
            wrong.append(f"{event_id}: it was published as {kinds}")
    return wrong


class Chaos:
    """A daemon, its broker, and how often each was killed. `sabotage`: done before each start to the outbox's file."""

    def __init__(self, folder: Path, seed: int, sabotage: Callable[[Path], None] = lambda _: None) -> None:
        self.kills: Counter[str] = Counter()
        self._dice, self._sabotage = random.Random(seed), sabotage
        self._line = Line(folder)
        videos = {name: str(write_video(folder / f"{name}.avi", plan, FPS)) for name, plan in VIDEOS.items()}
        self._daemon = Daemon(folder, self._line.port, videos, EVENTS)
        for video in videos.values():
            self._daemon.edit(f'source = "{video}"\n', f'source = "{video}"\nloop = true\n')
        self._starts = 0
        self._start()

    @property
    def arrived(self) -> list[Payload]:
        return list(self._line.witness.arrived)

    def round(self) -> None:
        """Let it run for a random while, perhaps not even until it is ready, then kill and restart it."""
        kind = self._dice.choice(KINDS)
        if self._dice.random() < 0.85:
            self._wait_until_ready()
        threading.Event().wait(self._dice.random() ** 2 * 3)
        if kind == "line":
            self._line.cut()
        if kind in ("broker", "both"):
            self._line.kill_broker()
            self.kills["broker"] += 1
        if kind in ("daemon", "both"):
            self._kill()
            self._start()

    def finish(self) -> list[Payload]:
        """End it as systemd does once it runs; all that has arrived until then."""
        self._wait_until_ready()
        before = len(self.arrived)
        wait_for(lambda: len(self.arrived) > before, "a message after the last fault", PATIENCE)
        self._daemon.stop()
        assert "Traceback" not in self._daemon.log, self._daemon.log
        assert self._rows("messages") == 0
        assert self._rows("open_events") == 0
        publish.single("korsal/test/any/actions/any", json.dumps({"event_id": LAST}), port=self._line.broker_port)
        wait_for(lambda: any(payload["event_id"] == LAST for payload in self.arrived), "the last message", PATIENCE)
        return [payload for payload in self.arrived if payload["event_id"] != LAST]

    def close(self) -> None:
        self._daemon.process.kill()
        self._daemon.process.wait()
        self._line.close()

    def _start(self) -> None:
        self._sabotage(self._daemon.outbox)
        self._starts = self._daemon.log.count("running tiny")
        self._daemon.start()

    def _kill(self) -> None:
        assert self._daemon.process.poll() is None, self._daemon.log
        self._daemon.kill()
        self.kills["daemon"] += 1

    def _wait_until_ready(self) -> None:
        wait_for(lambda: self._daemon.log.count("running tiny") > self._starts, "the start", PATIENCE)

    def _rows(self, table: str) -> int:
        with contextlib.closing(sqlite3.connect(self._daemon.outbox)) as database:
            return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@contextlib.contextmanager
def chaos(*arguments: Any) -> Iterator[Chaos]:
    made = Chaos(*arguments)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_event_ends_once_whatever_is_killed(tmp_path: Path) -> None:
    kills = int(os.environ.get("KORSAL_CHAOS_KILLS", "24"))
    seed = int(os.environ.get("KORSAL_CHAOS_SEED", random.SystemRandom().getrandbits(32)))
    print(f"KORSAL_CHAOS_KILLS={kills} KORSAL_CHAOS_SEED={seed}")  # noqa: T201
    with chaos(tmp_path, seed) as made:
        while made.kills.total() < kills:
            made.round()
        arrived = made.finish()
    ends = Counter(payload["reason_ended"] for payload in arrived if payload["type"] == "end")
    print(f"kills {dict(made.kills)}, {len(arrived)} messages, ends {dict(ends)}")  # noqa: T201
    assert faults(arrived) == []
    assert ends["interrupted"] >= kills // 8  # there was something to lose
    assert made.kills["daemon"] >= kills // 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_proof_finds_what_a_daemon_without_memory_leaves_open(tmp_path: Path) -> None:
    def forget(outbox: Path) -> None:
        if outbox.exists():
            with contextlib.closing(sqlite3.connect(outbox)) as database, database:
                database.execute("DELETE FROM open_events")

    with chaos(tmp_path, 1, forget) as made:
        while made.kills["daemon"] < 3 or not any(payload["type"] == "update" for payload in made.arrived):
            made.round()
        wrong = faults(made.finish())
    assert any("it was published as" in fault for fault in wrong)


def step(event_id: str, seq: int, kind: str, mark: int = 0) -> Payload:
    return {"event_id": event_id, "seq": seq, "type": kind, "mark": mark}


WHOLE = [step("a", 0, "new"), step("a", 1, "update"), step("a", 2, "end")]
BRIEF = [step("b", 0, "new"), step("b", 1, "end")]


@pytest.mark.parametrize(
    ("arrived", "found"),
    [
        ([], []),
        ([*WHOLE, *BRIEF], []),
        ([WHOLE[0], BRIEF[0], WHOLE[1], WHOLE[0], BRIEF[1], WHOLE[1], WHOLE[2], WHOLE[2]], []),  # some twice
        (WHOLE[:2], ["a: it was published as ['new', 'update']"]),
        (WHOLE[:1], ["a: it was published as ['new']"]),
        (WHOLE[1:], ["a: its steps came as [1, 2]"]),
        ([WHOLE[0], WHOLE[2]], ["a: its steps came as [0, 2]"]),
        ([WHOLE[1], WHOLE[0], WHOLE[2]], ["a: its steps came as [1, 0, 2]"]),
        (
            [*WHOLE, step("a", 2, "end", mark=1)],
            ["a: its steps came as [0, 1, 2, 2]"],
        ),  # the number again, not the same
        ([*WHOLE, step("a", 3, "end")], ["a: it was published as ['new', 'update', 'end', 'end']"]),
        ([*WHOLE, step("a", 3, "update")], ["a: it was published as ['new', 'update', 'end', 'update']"]),
    ],
)
def test_the_comparison_finds(arrived: list[Payload], found: list[str]) -> None:
    assert faults(arrived) == found
