"""Events that a crash left open: what the outbox remembers of them, and the ends that the next start tells."""

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.broker.outbox import Message, Outbox, OutboxLimits
from edge.broker.payload import end_interrupted, iso_time
from tests.support.event_steps import NOW, step
from tests.support.paths import ROOT

MANY = OutboxLimits(rows=1000, size=1_000_000)


def opened(outbox: Outbox) -> list[tuple[str, int]]:
    return [(message.event_id, message.seq) for message in outbox.open_events()]


def restarted(path: Path) -> list[dict[str, object]]:
    """What a start does with the file, and the ends that it then holds."""
    outbox = Outbox(path, MANY)
    interruption = end_interrupted(outbox.open_events(), NOW + 100, NOW + 1000)
    outbox.put(interruption.ends, NOW)
    outbox.forget_open(interruption.unreadable)
    assert outbox.open_events() == ()
    ends = [json.loads(row.message.payload) for row in outbox.pending(0, 10_000) if row.message.type == "end"]
    outbox.close()
    return [end for end in ends if end["reason_ended"] == "interrupted"]


def test_nothing_is_open_in_an_empty_outbox() -> None:
    assert Outbox(None, MANY).open_events() == ()
    assert end_interrupted((), NOW, NOW).ends == ()


def test_an_event_is_open_from_its_first_step_to_its_end() -> None:
    outbox = Outbox(None, MANY)
    outbox.put([step("a", 0, "new"), step("b", 0, "new")], NOW)
    assert opened(outbox) == [("a", 0), ("b", 0)]
    outbox.put([step("b", 1, "update"), step("a", 1, "end")], NOW)
    assert opened(outbox) == [("b", 1)]
    outbox.put([step("b", 2, "end"), step("c", 0, "new"), step("c", 1, "end")], NOW)
    assert opened(outbox) == []


def test_it_stays_open_when_its_messages_have_left() -> None:
    outbox = Outbox(None, MANY)
    outbox.put([step("a", 0, "new")], NOW)
    outbox.remove([row.id for row in outbox.pending(0, 10)])
    assert opened(outbox) == [("a", 0)]


def test_the_end_is_when_the_action_was_last_detected(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, MANY)
    outbox.put([step("a", 0, "new"), step("a", 1, "update", duration=7.25), step("b", 0, "new")], NOW)
    outbox.put([step("b", 1, "end")], NOW)
    outbox.close()
    (end,) = restarted(path)
    assert (end["event_id"], end["seq"], end["type"]) == ("a", 2, "end")
    assert (end["started"], end["ended"]) == (iso_time(NOW), iso_time(NOW + 7.25))
    assert restarted(path) == [end]  # told once: the second start finds the first one's end, and makes none


def test_ends_come_after_what_the_crash_left_and_expire_anew(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put([step("a", 0, "new")], NOW)
    outbox.put(end_interrupted(outbox.open_events(), NOW, NOW + 1000).ends, NOW)
    rows = outbox.pending(0, 10)
    assert [(row.message.seq, row.message.type, row.message.expires) for row in rows] == [
        (0, "new", NOW + 60),
        (1, "end", NOW + 1000),
    ]
    assert rows[1].message.topic == rows[0].message.topic


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"seq": 0}',
        b'{"seq": 1, "type": "new"}',
        b"[" * 100_000,
        b'{"seq": 0, "type": "new", "started": "2026-01-01T00:00:00.000Z", "duration": 1e300}',
    ],
)
def test_messages_that_are_not_events_get_no_end(payload: bytes) -> None:
    outbox = Outbox(None, MANY)
    outbox.put([Message("t", payload, "a", 0, "new", NOW + 60)], NOW)
    interruption = end_interrupted(outbox.open_events(), NOW, NOW)
    assert interruption.ends == ()
    assert interruption.unreadable == ("a",)
    outbox.forget_open(interruption.unreadable)
    assert outbox.open_events() == ()


def test_open_events_go_along_when_the_disk_is_left(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put([step("a", 0, "new"), step("b", 0, "new"), step("b", 1, "end")], NOW)
    outbox._replace(sqlite3.OperationalError("disk I/O error"))
    assert outbox.statistics().in_memory
    assert opened(outbox) == [("a", 0)]


def test_a_step_that_could_not_be_stored_opens_no_event(tmp_path: Path) -> None:
    """Message and memory of it are one transaction: a failure in the second half undoes the first."""
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox._database.execute("CREATE TRIGGER no BEFORE INSERT ON open_events BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(sqlite3.IntegrityError):
        outbox._database.execute("INSERT INTO open_events VALUES ('x', 't', '', 0, 'new', 0, 0)")
    outbox.put([step("a", 0, "new")], NOW)  # ends in a fresh file, as after any damage
    assert len(outbox.pending(0, 10)) == 1
    assert opened(outbox) == [("a", 0)]


ENDLESS = """
import json, sys
from pathlib import Path
from edge.broker.outbox import OutboxLimits, Outbox
from tests.edge.broker.test_outbox_open_events import NOW, step
outbox = Outbox(Path(sys.argv[1]), OutboxLimits())
print("ready", flush=True)
for number in range(1_000_000):
    for seq, kind in enumerate(["new", "update", "update", "end"]):
        outbox.put([step(f"{number}", seq, kind), step(f"{number}-{seq}", 0, "new")], NOW)
        outbox.put([step(f"{number}-{seq}", 1, "end")], NOW)
    print(number, flush=True)
"""


@pytest.mark.parametrize("steps", range(5))
def test_a_killed_process_leaves_open_just_what_has_no_end(tmp_path: Path, steps: int) -> None:
    """SIGKILL at whatever moment it comes; then every event that has a beginning has one end."""
    path = tmp_path / "outbox.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        for _ in range(steps + 2):  # "ready", then one line for each event
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    restarted(path)
    kinds: dict[str, list[tuple[int, str]]] = {}
    outbox = Outbox(path, MANY)
    for row in outbox.pending(0, 1_000_000):
        kinds.setdefault(row.message.event_id, []).append((row.message.seq, row.message.type))
    assert kinds
    for seqs in kinds.values():
        assert [seq for seq, _ in seqs] == list(range(len(seqs)))
        assert seqs[0][1] == "new"
        assert [kind for _, kind in seqs].count("end") == 1
        assert seqs[-1][1] == "end"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["new", "update", "end"])), max_size=30), st.data())
def test_open_is_what_began_and_has_no_end_however_it_is_batched(
    steps: list[tuple[str, str]], data: st.DataObject
) -> None:
    outbox = Outbox(None, MANY)
    messages = [step(event_id, seq, kind) for seq, (event_id, kind) in enumerate(steps)]
    while messages:
        size = data.draw(st.integers(1, len(messages)))
        outbox.put(messages[:size], NOW)
        messages = messages[size:]
    last = {event_id: (seq, kind) for seq, (event_id, kind) in enumerate(steps)}
    expected = sorted((event_id, seq) for event_id, (seq, kind) in last.items() if kind != "end")
    assert sorted(opened(outbox)) == expected
