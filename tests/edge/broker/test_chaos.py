"""Publisher and broker are killed at random moments, and what was stored arrives all the same.

What is proved: every message that the outbox has committed reaches a subscriber that is independent of us, and within
one `event_id` no message reaches it for the first time after one with a higher `seq`; and nothing reaches it that was
not committed before. Duplicates are allowed, and counted.

How it is kept honest.
- What counts as stored is not what the publisher says but what SQLite has committed: a trigger in the same database
  copies every row into a journal in the very transaction that stores it, and nothing of ours ever deletes there.
- The processes are real, and are ended by SIGKILL: a Python process with outbox and publisher, and a mosquitto without
  persistence, which so forgets everything that it holds. The connection between them is cut as well.
- What has reached the broker is seen by the subscriber, whatever is killed then (tests.support.chaos says why). Were
  that not so, this test would fail, not pass: it looks at what has arrived.
- The database is never opened by anybody else between two runs: recovery after a kill is the publisher's own. What the
  next run has to know is read from a copy of the files.
- The proof can fail: the last test has rows leave the outbox when they are sent, and must find losses.

KORSAL_CHAOS_KILLS sets how many kills there are, KORSAL_CHAOS_SEED the seed; both are printed.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.broker.outbox import Outbox, OutboxLimits
from tests.support.chaos import Line
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

JOURNAL = """
CREATE TABLE journal (number INTEGER PRIMARY KEY, event_id TEXT, seq INTEGER, mark TEXT);
CREATE TRIGGER witness AFTER INSERT ON messages BEGIN
    INSERT INTO journal (event_id, seq, mark) VALUES (new.event_id, new.seq, json_extract(new.payload, '$.mark'));
END;
"""
KINDS = ["publisher"] * 5 + ["broker"] * 3 + ["both", "line"]

Step = tuple[str, int, str]  # event_id, seq, mark


@dataclass(frozen=True)
class Verdict:
    """What a comparison of the journal with what has arrived finds."""

    missing: frozenset[Step]
    never_stored: frozenset[Step]
    out_of_order: tuple[Step, ...]
    duplicates: int


def compare(stored: Iterable[Step], arrived: Iterable[Step]) -> Verdict:
    arrived = list(arrived)
    kept, first = frozenset(stored), dict.fromkeys(arrived)
    highest: dict[str, int] = {}
    out_of_order = []
    for step in first:
        if step[1] < highest.get(step[0], -1):
            out_of_order.append(step)
        highest[step[0]] = max(step[1], highest.get(step[0], -1))
    return Verdict(kept.difference(first), frozenset(first) - kept, tuple(out_of_order), len(arrived) - len(first))


class Chaos:
    """Broker, witness and publisher, and how often each was killed."""

    def __init__(self, folder: Path, seed: int, kinds: list[str], sabotage: bool = False) -> None:
        self.kills: Counter[str] = Counter()
        self.most_waiting = 0
        self._folder, self._kinds, self._sabotage = folder, kinds, sabotage
        self._dice = random.Random(seed)
        self._runs = 0
        self.file = folder / "outbox.sqlite"
        Outbox(self.file, OutboxLimits()).close()
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            database.executescript(JOURNAL)
        self._line = Line(folder)
        self._publisher = self._start()

    def round(self) -> None:
        """Let it run for a random while, perhaps not even until it is ready, then kill and restart it."""
        kind = self._dice.choice(self._kinds)
        if self._dice.random() < 0.8:
            self._wait_until_ready()
        threading.Event().wait(self._dice.random() ** 2 * 0.8)
        if kind == "line":
            self._line.cut()
        if kind in ("broker", "both"):
            self._line.kill_broker()
            self.kills["broker"] += 1
        if kind in ("publisher", "both"):
            self._kill_publisher()
            self._publisher = self._start()

    def finish(self) -> None:
        """Kill the publisher a last time; the next one only sends what waits, and ends."""
        self._kill_publisher()
        last = self._start(feed=False)
        _, output = last.communicate(timeout=PATIENCE)
        assert last.returncode == 0, output
        self._line.close()

    def _start(self, feed: bool = True) -> subprocess.Popen[str]:
        self._runs += 1
        self._is_ready = False
        arguments = {
            "port": self._line.port,
            "file": str(self.file),
            "run": self._runs,
            "seed": self._dice.getrandbits(32),
            "open": self._open_events(),
            "feed": feed,
            "sabotage": self._sabotage,
        }
        command = [sys.executable, str(ROOT / "tests" / "support" / "chaos_publisher.py"), json.dumps(arguments)]
        paths = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        return subprocess.Popen(command, env=paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _wait_until_ready(self) -> None:
        if not self._is_ready:
            assert self._publisher.stdout is not None
            self._publisher.stdout.readline()
            self._is_ready = True

    def _kill_publisher(self) -> None:
        assert self._publisher.poll() is None, self._publisher.communicate()[1]
        self._publisher.send_signal(signal.SIGKILL)
        _, output = self._publisher.communicate()
        assert "Traceback" not in output, output
        self.kills["publisher"] += 1

    def _open_events(self) -> list[tuple[str, int]]:
        """What the next run goes on with, from a copy, so that the file's recovery is left to the publisher."""
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for suffix in ("", "-wal"):
            source = self.file.with_name(self.file.name + suffix)
            if source.exists():
                shutil.copy(source, copy / source.name)
        with contextlib.closing(sqlite3.connect(copy / self.file.name)) as database:
            waiting = database.execute("SELECT count(*) FROM messages").fetchone()[0]
            self.most_waiting = max(self.most_waiting, waiting)
            return [(e, seq + 1) for e, seq in database.execute("SELECT event_id, seq FROM open_events")]

    def arrived(self) -> list[Step]:
        return [(found["event_id"], found["seq"], found["mark"]) for found in self._line.witness.arrived]

    def stored(self) -> list[Step]:
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            assert database.execute("SELECT count(*) FROM losses").fetchone() == (0,)
            if not self._sabotage:
                assert database.execute("SELECT count(*) FROM messages").fetchone() == (0,)
            return database.execute("SELECT event_id, seq, mark FROM journal ORDER BY number").fetchall()


def run(folder: Path, kills: int, seed: int, kinds: list[str], sabotage: bool = False) -> tuple[Chaos, Verdict]:
    chaos = Chaos(folder, seed, kinds, sabotage)
    while chaos.kills.total() < kills - 1:
        chaos.round()
    chaos.finish()
    return chaos, compare(chaos.stored(), chaos.arrived())


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_what_was_stored_arrives_whatever_is_killed(tmp_path: Path) -> None:
    kills = int(os.environ.get("KORSAL_CHAOS_KILLS", "40"))
    seed = int(os.environ.get("KORSAL_CHAOS_SEED", random.SystemRandom().getrandbits(32)))
    print(f"KORSAL_CHAOS_KILLS={kills} KORSAL_CHAOS_SEED={seed}")  # noqa: T201
    chaos, verdict = run(tmp_path, kills, seed, KINDS)
    stored = chaos.stored()
    print(  # noqa: T201
        f"kills {dict(chaos.kills)}, stored {len(stored)} messages of {len({step[0] for step in stored})} events, "
        f"arrived {len(chaos.arrived())}, of them twice or more {verdict.duplicates}, "
        f"at most {chaos.most_waiting} waiting at a kill"
    )
    assert not verdict.missing
    assert not verdict.never_stored
    assert not verdict.out_of_order
    assert len(stored) > 10 * kills  # there was something to lose
    assert chaos.most_waiting > 0
    assert min(chaos.kills["publisher"], chaos.kills["broker"]) >= kills // 8


@pytest.mark.slow
def test_the_proof_finds_what_a_forgetful_outbox_loses(tmp_path: Path) -> None:
    _, verdict = run(tmp_path, 16, 1, ["broker", "line"], sabotage=True)
    assert verdict.missing


@pytest.mark.parametrize(
    ("arrived", "missing", "strange", "disorder", "duplicates"),
    [
        ([("a", 0, "x"), ("a", 1, "y"), ("b", 0, "z")], 0, 0, 0, 0),
        ([("a", 0, "x"), ("b", 0, "z"), ("a", 0, "x"), ("a", 1, "y"), ("a", 0, "x")], 0, 0, 0, 2),
        ([("a", 1, "y"), ("a", 0, "x"), ("b", 0, "z")], 0, 0, 1, 0),
        ([("a", 0, "x"), ("b", 0, "z")], 1, 0, 0, 0),
        ([("a", 0, "x"), ("a", 1, "other"), ("a", 1, "y"), ("b", 0, "z")], 0, 1, 0, 0),
        ([], 3, 0, 0, 0),
    ],
)
def test_the_comparison_finds(arrived: list[Step], missing: int, strange: int, disorder: int, duplicates: int) -> None:
    found = compare([("a", 0, "x"), ("a", 1, "y"), ("b", 0, "z")], arrived)
    counts = (len(found.missing), len(found.never_stored), len(found.out_of_order), found.duplicates)
    assert counts == (missing, strange, disorder, duplicates)
