"""Which events have begun and not ended, in the outbox's own database. Shell.

Written in the transaction that stores a message, so that an event is open exactly where its last stored step is no
`end`, whatever moment the power fails at.
"""

import sqlite3
from collections.abc import Iterable, Sequence

TABLE = """
CREATE TABLE IF NOT EXISTS open_events (
    event_id TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL,
    expires REAL NOT NULL
);
"""
COLUMNS = "topic, payload, event_id, seq, type, expires"

Row = tuple[str, bytes, str, int, str, float]  # as COLUMNS says


def follow(database: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Remember the last step of every event that goes on after these steps, in their order; forget what has ended."""
    last = {row[2]: row for row in rows}
    goes_on = [row for row in last.values() if row[4] != "end"]
    ended = [(event_id,) for event_id, row in last.items() if row[4] == "end"]
    database.executemany(f"INSERT OR REPLACE INTO open_events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", goes_on)
    database.executemany("DELETE FROM open_events WHERE event_id = ?", ended)


def read(database: sqlite3.Connection) -> list[Row]:
    """The last step of every open event, the oldest step first."""
    return database.execute(f"SELECT {COLUMNS} FROM open_events ORDER BY rowid").fetchall()


def forget(database: sqlite3.Connection, event_ids: Sequence[str]) -> None:
    """Let go of events as if they had ended."""
    with database:
        database.executemany("DELETE FROM open_events WHERE event_id = ?", [(event_id,) for event_id in event_ids])
