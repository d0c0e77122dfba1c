import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.broker.outbox import Message, Outbox, OutboxLimits

NOW = 1_800_000_000.0
MANY = OutboxLimits(rows=1000, size=1_000_000)


def message(event_id: str, seq: int, kind: str = "update", size: int = 10, expires: float = NOW + 60) -> Message:
    return Message(f"korsal/d/door/actions/{event_id}", b"x" * size, event_id, seq, kind, expires)


def story(event_id: str, updates: int = 1) -> list[Message]:
    """new, some updates, end"""
    kinds = ["new", *["update"] * updates, "end"]
    return [message(event_id, seq, kind) for seq, kind in enumerate(kinds)]


def waiting(outbox: Outbox) -> list[tuple[str, int]]:
    return [(row.message.event_id, row.message.seq) for row in outbox.pending(0, 10_000)]


def test_what_is_put_comes_back_in_order_and_whole(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put(story("a"), NOW)
    outbox.put(story("b"), NOW)
    assert [row.message for row in outbox.pending(0, 10)] == story("a") + story("b")


def test_an_empty_outbox_has_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put([], NOW)
    outbox.remove([])
    assert outbox.pending(0, 10) == ()
    assert outbox.statistics().rows == 0


def test_pending_gives_what_lies_beyond_an_id(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put(story("a", updates=3), NOW)
    first = outbox.pending(0, 2)
    rest = outbox.pending(first[-1].id, 2)
    assert [row.message.seq for row in first + rest] == [0, 1, 2, 3]


def test_rows_leave_when_they_are_removed(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put(story("a"), NOW)
    outbox.remove([outbox.pending(0, 1)[0].id, 99])
    assert waiting(outbox) == [("a", 1), ("a", 2)]
    assert (outbox.statistics().rows, outbox.statistics().size) == (2, 20)


def test_reopened_it_still_holds_everything_and_new_rows_come_last(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, MANY)
    outbox.put(story("a"), NOW)
    outbox.close()
    again = Outbox(path, MANY)
    again.put(story("b"), NOW)
    assert waiting(again) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]
    assert again.statistics().rows == 6


def test_a_killed_process_leaves_what_it_had_put(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from edge.broker.outbox import OutboxLimits, Message, Outbox\n"
        "outbox = Outbox(Path(sys.argv[1]), OutboxLimits())\n"
        "for seq in range(5):\n"
        "    outbox.put([Message('t', b'x', 'a', seq, 'update', 2e6)], 1e6)\n"
        "print('stored', flush=True)\n"
        "sys.stdin.read()\n"
    )
    path = tmp_path / "outbox.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "stored\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert waiting(Outbox(path, MANY)) == [("a", seq) for seq in range(5)]


def test_when_full_updates_go_first_then_the_oldest_whole_event(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxLimits(rows=4, size=1_000_000))
    outbox.put(story("a", updates=1) + story("b", updates=1), NOW)  # 6 rows: both updates go
    assert waiting(outbox) == [("a", 0), ("a", 2), ("b", 0), ("b", 2)]
    outbox.put([message("c", 0, "new")], NOW)  # 5 rows, no update left: all of a goes
    assert waiting(outbox) == [("b", 0), ("b", 2), ("c", 0)]
    statistics = outbox.statistics()
    assert (statistics.dropped_updates, statistics.dropped_events) == (2, 1)


def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxLimits(rows=100, size=1000))
    outbox.put([message("a", 0, "new", 400), message("b", 0, "new", 400), message("c", 0, "new", 400)], NOW)
    assert waiting(outbox) == [("b", 0), ("c", 0)]
    assert outbox.statistics().size == 800


def test_a_message_beyond_the_bound_leaves_an_empty_outbox(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxLimits(rows=100, size=100))
    outbox.put([message("a", 0, "new", 101)], NOW)
    assert waiting(outbox) == []


def test_what_is_too_old_is_dropped_and_counted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put([message("a", 0, expires=NOW + 1), message("b", 0, expires=NOW + 9)], NOW)
    outbox.put([], NOW + 1)
    assert waiting(outbox) == [("b", 0)]
    assert outbox.statistics().expired == 1


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 100])
def test_a_file_of_another_kind_is_moved_aside_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(content)
    outbox = Outbox(path, MANY)
    outbox.put(story("a"), NOW)
    assert len(waiting(outbox)) == 3
    aside = list(tmp_path.glob("outbox.sqlite.damaged-*"))
    assert len(aside) == (1 if content else 0)  # an empty file is an empty database
    assert all(file.read_bytes() == content and str(file) in caplog.text for file in aside)


def test_a_file_of_a_newer_version_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "outbox.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    Outbox(path, MANY).put(story("a"), NOW)
    assert "version 99" in caplog.text


def test_damage_while_running_costs_the_file_but_not_what_comes_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, OutboxLimits(rows=100_000, size=100_000_000))
    outbox.put([message("a", seq, size=2000) for seq in range(2000)], NOW)
    outbox.close()
    with path.open("r+b") as file:  # the head stays whole, the rows do not
        file.seek(8192)
        file.write(os.urandom(path.stat().st_size - 8192))
    outbox = Outbox(path, MANY)
    outbox.put(story("b"), NOW)
    assert waiting(outbox) == [("b", 0), ("b", 1), ("b", 2)]
    assert "damaged" in caplog.text


def test_ids_grow_on_after_damage_so_that_nothing_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, MANY)
    outbox.put(story("a"), NOW)
    last = outbox.pending(0, 10)[-1].id
    outbox._replace(sqlite3.DatabaseError("made up"))
    outbox.put(story("b"), NOW)
    assert [row.message.event_id for row in outbox.pending(last, 10)] == ["b", "b", "b"]


def test_a_place_where_no_directory_can_be_keeps_messages_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    outbox = Outbox(tmp_path / "file" / "outbox.sqlite", MANY)
    outbox.put(story("a"), NOW)
    assert waiting(outbox) == [("a", 0), ("a", 1), ("a", 2)]
    assert outbox.statistics().in_memory
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING


def test_a_full_disk_costs_one_warning_and_no_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxLimits(rows=10_000, size=100_000_000))
    outbox.put(story("a"), NOW)
    outbox._database.execute("PRAGMA max_page_count = 12")  # SQLite itself then says "database or disk is full"
    for seq in range(50):
        outbox.put([message("b", seq, size=4000)], NOW)
    assert waiting(outbox) == [("a", 0), ("a", 1), ("a", 2), *[("b", seq) for seq in range(50)]]
    assert outbox.statistics().rows == 53
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "full" in caplog.text


def test_a_second_process_on_the_same_file_continues_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.sqlite"
    first, second = Outbox(path, MANY), Outbox(path, MANY)
    first.put(story("a"), NOW)
    second.put(story("b"), NOW)
    assert second.statistics().in_memory
    assert "locked" in caplog.text
    assert "which may be another korsal-edge with the same [outbox] directory" in caplog.text
    assert waiting(first) == [("a", 0), ("a", 1), ("a", 2)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["new", "update", "end"]), st.integers(0, 60))))
def test_bounds_hold_and_order_stays_whatever_is_put(steps: list[tuple[str, str, int]]) -> None:
    outbox = Outbox(None, OutboxLimits(rows=5, size=100))
    for seq, (event_id, kind, size) in enumerate(steps):
        outbox.put([message(event_id, seq, kind, size)], NOW)
        statistics = outbox.statistics()
        rows = outbox.pending(0, 100)
        assert len(rows) == statistics.rows <= 5
        assert sum(len(row.message.payload) for row in rows) == statistics.size <= 100
        assert [row.message.seq for row in rows] == sorted(row.message.seq for row in rows)


def test_losses_are_remembered_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, OutboxLimits(rows=3, size=1_000_000))
    outbox.put([*story("a", updates=2), message("b", 0, "new", expires=NOW - 1)], NOW)  # 5 rows, 1 expired, 1 too many
    outbox.remove([], refused=[outbox.pending(0, 1)[0].id, 99])
    outbox.close()
    found = Outbox(path, MANY).statistics()
    assert (found.dropped_updates, found.dropped_events, found.expired, found.refused) == (1, 0, 1, 1)
    assert found.rows == 2


def test_a_flood_makes_room_in_one_transaction(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", OutboxLimits(rows=10, size=1_000_000))
    outbox.put([message("old", seq, "new") for seq in range(10)], NOW)
    before = outbox._database.execute("PRAGMA data_version").fetchone(), outbox._database.total_changes
    outbox.put([message("new", seq, "update") for seq in range(5000)] + [message("new", 5000, "end")], NOW)
    assert before[0] == outbox._database.execute("PRAGMA data_version").fetchone()
    # 5011 rows: all 5000 updates go, 11 are left, so the oldest event goes with its 10
    assert waiting(outbox) == [("new", 5000)]
    assert (outbox.statistics().dropped_updates, outbox.statistics().dropped_events) == (5000, 1)
    assert not outbox._database.in_transaction


def test_messages_of_a_clock_that_had_not_been_set_are_never_too_old(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    outbox.put([message("a", 0, expires=3 * 86_400.0)], now=60.0)  # a Jetson without battery boots in 1970
    outbox.put([message("b", 0)], NOW)  # and is set later
    assert waiting(outbox) == [("a", 0), ("b", 0)]
    assert outbox.statistics().expired == 0


def test_topics_that_are_held_back_are_left_out() -> None:
    outbox = Outbox(None, MANY)
    outbox.put(story("a") + story("b"), NOW)
    held = outbox.pending(0, 1)[0].message.topic
    assert [row.message.event_id for row in outbox.pending(0, 2, without=[held])] == ["b", "b"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["new", "update", "end"])), min_size=1, max_size=40))
def test_what_is_left_out_is_counted(steps: list[tuple[str, str]]) -> None:
    """Rows that are gone are either single updates or belong to whole events of which nothing waits."""
    outbox = Outbox(None, OutboxLimits(rows=5, size=10_000))
    outbox.put([message(event_id, seq, kind) for seq, (event_id, kind) in enumerate(steps)], NOW)
    left = set(waiting(outbox))
    gone = [(e, seq, kind) for seq, (e, kind) in enumerate(steps) if (e, seq) not in left]
    found = outbox.statistics()
    assert found.dropped_updates == sum(kind == "update" for _, _, kind in gone)
    assert found.dropped_events == len({e for e, _, kind in gone if kind != "update"})
    if found.dropped_events:  # updates go first
        assert not any(steps[seq][1] == "update" for _, seq in left)
        assert not {e for e, _, kind in gone if kind != "update"} & {e for e, _ in left}


def test_what_is_stored_is_synced_whatever_came_before(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite", MANY)
    for _ in range(3):
        outbox.put([message("a", 0)], NOW)
        outbox.remove([row.id for row in outbox.pending(0, 1)])
        assert outbox._database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
