import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.broker import outbox_tables
from edge.broker.outbox import Message, Outbox, OutboxLimits

NOW = 1_800_000_000.0
MANY = OutboxLimits(rows=1000, size=1_000_000)
VERSION_1 = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, event_id TEXT NOT NULL, seq INTEGER NOT NULL,
    type TEXT NOT NULL, expires REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_event ON messages (event_id);
CREATE INDEX IF NOT EXISTS by_type ON messages (type, id);
CREATE INDEX IF NOT EXISTS by_expiry ON messages (expires);
CREATE TABLE IF NOT EXISTS losses (kind TEXT PRIMARY KEY, count INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS open_events (
    event_id TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL,
    expires REAL NOT NULL
);
"""
ROW = "INSERT INTO messages (id, topic, payload, event_id, seq, type, expires) VALUES (?, ?, ?, ?, ?, ?, ?)"


def file_of_version_1(path: Path) -> None:
    """As a release without checksums has left it: three messages wait, one of them damaged, and an event goes on."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(VERSION_1)
        database.execute("PRAGMA user_version = 1")
        for number in (5, 6, 7):
            database.execute(ROW, (number, "topic", b"{}", "a", number - 5, "update", NOW + 60))
        database.execute("UPDATE messages SET topic = CAST(x'ff' AS TEXT) WHERE id = 6")
        database.execute("INSERT INTO open_events VALUES ('a', 'topic', x'7b7d', 2, 'update', ?)", (NOW + 60,))
        database.execute("INSERT INTO losses VALUES ('update', 15)")
        database.commit()


def test_what_a_version_without_checksums_has_left_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    file_of_version_1(path)
    for _ in range(2):
        with closing(Outbox(path, MANY)) as outbox:
            assert [row.message.seq for row in outbox.pending(0, 10)] == [0, 2]
            assert outbox.pending(0, 10)[0].message == Message("topic", b"{}", "a", 0, "update", NOW + 60)
            assert [(step.event_id, step.seq) for step in outbox.open_events()] == [("a", 2)]
            found = outbox.statistics()
            assert (found.rows, found.dropped_updates, found.damaged, found.in_memory) == (2, 15, 1, False)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_a_file_without_open_events_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    file_of_version_1(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE open_events")
    with closing(Outbox(path, MANY)) as outbox:
        assert not outbox.statistics().in_memory
        assert len(outbox.pending(0, 10)) == 2
        assert outbox.open_events() == ()


@pytest.mark.parametrize("change", ["RENAME TO messagds", "RENAME seq TO sdq"])
def test_a_table_or_column_that_a_flipped_bit_has_renamed_is_no_empty_outbox(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "roof.outbox.sqlite"
    with closing(Outbox(path, MANY)) as outbox:
        outbox.put([Message("t", b"", "a", 0, "new", NOW + 60)], NOW)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"ALTER TABLE messages {change}")
    with closing(Outbox(path, MANY)) as outbox:
        assert outbox.statistics().damaged == 1
        assert not outbox.statistics().in_memory
    assert "damaged (its tables are not those of an outbox); moved to" in caplog.text
    assert "0 waiting messages were recovered from it, up to 1 are lost" in caplog.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (sqlite3.OperationalError("attempt to write a readonly database"), True),
        (sqlite3.OperationalError("unable to open database file"), True),
        (sqlite3.OperationalError("disk I/O error"), True),
        (OSError(30, "Read-only file system"), True),
        (sqlite3.OperationalError("no such column: seq"), False),
        (sqlite3.OperationalError("Could not decode to UTF-8 column 'topic' with text 'k\ufffd'"), False),
        (sqlite3.DatabaseError("database disk image is malformed"), False),
        (sqlite3.IntegrityError("UNIQUE constraint failed: messages.id"), False),
    ],
)
def test_the_disk_refuses_or_the_file_is_damaged(error: Exception, expected: bool) -> None:
    assert outbox_tables.is_refusal(error) is expected
