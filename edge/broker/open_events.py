"""Which events have begun and not ended, in the outbox's own database. Shell.

Written in the transaction that stores a message, so that an event is open exactly where its last stored step is no
`end`, whatever moment the power fails at.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from edge.broker import outbox_row
from edge.broker.outbox_row import Stored

TABLE = (
    "CREATE TABLE open_events (event_id TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL, checksum INTEGER NOT NULL)"
)
COLUMNS = "topic, payload, event_id, seq, type, expires"
INSERT = f"INSERT OR REPLACE INTO open_events ({COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)"

Row = tuple[str, bytes, str, int, str, float]  # as COLUMNS says


def follow(database: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Remember the last step of every event that goes on after these steps, in their order; forget what has ended."""
    last = {row[2]: row for row in rows}
    goes_on = [outbox_row.sealed((0, *row))[1:] for row in last.values() if row[4] != "end"]
    ended = [event_id for event_id, row in last.items() if row[4] == "end"]
    database.executemany(INSERT, goes_on)
    delete(database, ended)


def read(database: sqlite3.Connection) -> list[Row]:
    """The last step of every open event, the oldest step first; damaged ones are left out."""
    found = database.execute(f"SELECT 0, {COLUMNS}, checksum FROM open_events ORDER BY rowid").fetchall()
    return [_row(row) for raw in found if (row := outbox_row.whole(raw)) is not None]


def drop_damaged(database: sqlite3.Connection) -> int:
    """Drop what is not what was stored; how many there were."""
    query = f"SELECT rowid, 0, {COLUMNS}, checksum FROM open_events"
    damaged = [(number,) for number, *raw in database.execute(query) if outbox_row.whole(raw) is None]
    database.executemany("DELETE FROM open_events WHERE rowid = ?", damaged)
    return len(damaged)


def forget(database: sqlite3.Connection, event_ids: Sequence[str]) -> None:
    """Let go of events as if they had ended."""
    with database:
        delete(database, event_ids)


def delete(database: sqlite3.Connection, event_ids: Iterable[str]) -> None:
    """The same, as part of a transaction."""
    database.executemany("DELETE FROM open_events WHERE event_id = ?", [(event_id,) for event_id in event_ids])


def _row(row: Stored) -> Row:
    return row[1:]
