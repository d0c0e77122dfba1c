"""The outbox's SQLite database: tables, and each piece of work in one transaction. Shell."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.broker import open_events

VERSION = 1  # of the tables, in the file's user_version; a table more is no new version
LOCK_SECONDS = 2.0  # how long another process may hold the file
MEMORY = ":memory:"
TABLES = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, event_id TEXT NOT NULL, seq INTEGER NOT NULL,
    type TEXT NOT NULL, expires REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_event ON messages (event_id);
CREATE INDEX IF NOT EXISTS by_type ON messages (type, id);
CREATE INDEX IF NOT EXISTS by_expiry ON messages (expires);
CREATE TABLE IF NOT EXISTS losses (kind TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""
COLUMNS = "id, topic, payload, event_id, seq, type, expires"
INSERT = f"INSERT INTO messages ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
OLDEST_UPDATE = "id = (SELECT min(id) FROM messages WHERE type = 'update')"
OLDEST_EVENT = "event_id = (SELECT event_id FROM messages ORDER BY id LIMIT 1)"
KINDS = {"topic": "text", "payload": "blob", "event_id": "text", "seq": "integer", "type": "text", "expires": "real"}
STRANGE = " OR ".join(f"typeof({column}) <> '{kind}'" for column, kind in KINDS.items())
CLOCK_IS_SET = 1_700_000_000.0  # unix time; what expires before was stamped by a clock that had not been set

Stored = tuple[int, str, bytes, str, int, str, float]  # as COLUMNS says


@dataclass(frozen=True)
class Change:
    """What a piece of work took away: rows, bytes of payload, and what of it is lost, by kind."""

    rows: int
    size: int
    lost: Mapping[str, int]


def connect(path: Path | None) -> sqlite3.Connection:
    """An open database with our tables; raises sqlite3.DatabaseError for a file that is none of ours."""
    database = sqlite3.connect(path or MEMORY, timeout=LOCK_SECONDS, check_same_thread=False)
    try:
        if path is not None:
            _check(database)
        database.executescript(TABLES + open_events.TABLE)
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.commit()
        _drop_strange(database)
    except sqlite3.Error:
        database.close()
        raise
    return database


def store(database: sqlite3.Connection, rows: Sequence[Stored], now: float, room: tuple[int, int]) -> Change:
    """Store messages and what they say of their events, drop what is too old at `now`, then make room.

    `room`: how many rows and bytes of payload there is room for before these come; negative where there are too many.
    """
    with database:
        database.executemany(INSERT, rows)
        open_events.follow(database, (row[1:] for row in rows))
        expired = _delete(database, "expires <= ? AND expires > ?", (now, CLOCK_IS_SET))
        rows_over = len(rows) - room[0] - len(expired)
        size_over = sum(len(row[2]) for row in rows) - room[1] - sum(expired)
        evicted, lost = _evict(database, rows_over, size_over)
        lost = {"expired": len(expired), **lost}
        _count_losses(database, lost)
    return Change(len(expired) + len(evicted), sum(expired) + sum(evicted), lost)


def remove(database: sqlite3.Connection, arrived: Iterable[int], refused: Iterable[int]) -> Change:
    """Forget rows, those that arrived and those that nobody will take.

    This is not synced, but with the next that is stored: when the power fails before, some are sent twice.
    """
    database.execute("PRAGMA synchronous = NORMAL")
    with database:
        sizes = [size for number in arrived for size in _delete(database, "id = ?", (number,))]
        unwanted = [size for number in refused for size in _delete(database, "id = ?", (number,))]
        lost = {"refused": len(unwanted)}
        _count_losses(database, lost)
    database.execute("PRAGMA synchronous = FULL")
    return Change(len(sizes) + len(unwanted), sum(sizes) + sum(unwanted), lost)


def pending(database: sqlite3.Connection, after: int, limit: int, without: Sequence[str] = ()) -> list[Stored]:
    """The oldest rows beyond the id `after`, those of some topics left out."""
    others = f"AND topic NOT IN ({', '.join('?' * len(without))})" if without else ""
    query = f"SELECT {COLUMNS} FROM messages WHERE id > ? {others} ORDER BY id LIMIT ?"
    return database.execute(query, (after, *without, limit)).fetchall()


def sums(database: sqlite3.Connection) -> tuple[int, int, int]:
    """Rows, bytes of payload, and the highest id (0 when empty)."""
    query = "SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(max(id), 0) FROM messages"
    rows, size, last = database.execute(query).fetchone()
    return rows, size, last


def losses(database: sqlite3.Connection) -> dict[str, int]:
    """What this database has counted as lost, by kind."""
    return dict(database.execute("SELECT kind, count FROM losses").fetchall())


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> frozenset[int] | None:
    """Take along what can still be read, and say which ids; None where nothing can be.

    The source keeps it too, so that it may be sent twice but is not lost.
    """
    try:
        source.rollback()
        rows = source.execute(f"SELECT {COLUMNS} FROM messages").fetchall()
        unended = open_events.read(source)
    except sqlite3.DatabaseError:
        return None
    with target:
        target.executemany(INSERT, rows)
        open_events.follow(target, unended)
    return frozenset(row[0] for row in rows)


def give_back(memory: sqlite3.Connection, file: sqlite3.Connection, shared: frozenset[int] | None) -> bool:
    """Bring the file up to what has happened in memory; False, and nothing done, where ids would meet.

    `shared`: the ids that had been copied from the file, None where it could not be read.
    """
    rows = memory.execute(f"SELECT {COLUMNS} FROM messages ORDER BY id").fetchall()
    new = [row for row in rows if row[0] not in (shared or ())]
    if new and new[0][0] <= sums(file)[2]:
        return False
    gone = (shared or frozenset()).difference(row[0] for row in rows)
    with file:
        file.executemany("DELETE FROM messages WHERE id = ?", [(number,) for number in gone])
        file.executemany(INSERT, new)
        if shared is not None:
            file.execute("DELETE FROM open_events")
        open_events.follow(file, open_events.read(memory))
        _count_losses(file, losses(memory))
    return True


def _check(database: sqlite3.Connection) -> None:
    """Take the file for ourselves, written ahead and synced at every commit, and see that it is whole."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        raise sqlite3.DatabaseError(f"its tables are of version {version}, this program knows {VERSION}")
    verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _drop_strange(database: sqlite3.Connection) -> None:
    """Refuse rows that we never wrote: one that a broken disk has made of ours would stand in the way of all others.

    SQLite lets any column hold any kind of value, and its check of a file finds nothing wrong with that.
    """
    with database:
        database.execute(f"DELETE FROM open_events WHERE {STRANGE}")
        _count_losses(database, {"refused": len(_delete(database, STRANGE))})


def _evict(database: sqlite3.Connection, rows_over: int, size_over: int) -> tuple[list[int], dict[str, int]]:
    """Drop the oldest updates; where there is none left, the oldest events whole. Sizes of what went; losses."""
    evicted: list[int] = []
    lost = {"update": 0, "event": 0}
    while rows_over > 0 or size_over > 0:
        sizes, kind = _delete(database, OLDEST_UPDATE), "update"
        if not sizes:
            sizes, kind = _delete(database, OLDEST_EVENT), "event"
        if not sizes:
            break
        evicted += sizes
        rows_over -= len(sizes)
        size_over -= sum(sizes)
        lost[kind] += 1
    return evicted, lost


def _delete(database: sqlite3.Connection, condition: str, values: Sequence[float] = ()) -> list[int]:
    """The sizes of the payloads that were deleted."""
    statement = f"DELETE FROM messages WHERE {condition} RETURNING length(payload)"
    return [int(row[0]) for row in database.execute(statement, values).fetchall()]


def _count_losses(database: sqlite3.Connection, lost: Mapping[str, int]) -> None:
    add = "INSERT INTO losses VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET count = count + excluded.count"
    database.executemany(add, [(kind, count) for kind, count in lost.items() if count])
