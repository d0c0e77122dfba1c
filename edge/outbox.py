"""Messages that wait for the broker, in SQLite.

A message is stored before it is sent and leaves when the broker has acknowledged it. Where the disk refuses, the
messages are kept in memory; where the file is damaged, it is moved aside and named.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge import open_events

log = logging.getLogger(__name__)

VERSION = 1  # of the table, in the file's user_version
LOCK_SECONDS = 2.0  # how long another process may hold the file
MEMORY = ":memory:"
TABLE = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, event_id TEXT NOT NULL, seq INTEGER NOT NULL,
    type TEXT NOT NULL, expires REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS by_event ON messages (event_id);
CREATE INDEX IF NOT EXISTS by_type ON messages (type, id);
CREATE INDEX IF NOT EXISTS by_expiry ON messages (expires);
"""
INSERT = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)"

Result = TypeVar("Result")
StoredRow = tuple[int, str, bytes, str, int, str, float]  # id, then as Message has it


@dataclass(frozen=True)
class Message:
    """One step of an event on its way. `type`: new, update or end. `expires`: unix time, s."""

    topic: str
    payload: bytes
    event_id: str
    seq: int
    type: str
    expires: float


@dataclass(frozen=True)
class Row:
    """A message as stored; `id` grows in the order of storing."""

    id: int
    message: Message


@dataclass(frozen=True)
class Limits:
    """The most that may wait: rows, and bytes of payload."""

    rows: int = 100_000
    size: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class OutboxStatistics:
    """What waits, and what was lost since the start: updates, whole events, and messages too old to send."""

    rows: int = 0
    size: int = 0
    dropped_updates: int = 0
    dropped_events: int = 0
    expired: int = 0
    in_memory: bool = False


class Outbox:
    """A bounded queue on disk. Used by one thread at a time; other threads may read `statistics()`."""

    def __init__(self, path: Path | None, limits: Limits) -> None:
        """Open or make the file; None keeps everything in memory. Never raises for what is wrong with the disk."""
        self._path = path
        self._limits = limits
        self._lost = {"update": 0, "event": 0, "expired": 0}
        self._next_id = 1
        self._rows = self._size = 0
        self._database = self._open()
        self._count()

    def put(self, messages: Sequence[Message], now: float) -> None:
        """Store messages in this order in one transaction, then make room and drop what has expired by `now` (unix)."""
        first = self._next_id
        self._next_id += len(messages)
        rows = [(first + i, m.topic, m.payload, m.event_id, m.seq, m.type, m.expires) for i, m in enumerate(messages)]
        self._run(lambda database: _store(database, rows))
        self._rows += len(messages)
        self._size += sum(len(message.payload) for message in messages)
        self.expire(now)
        while self._rows > self._limits.rows or self._size > self._limits.size:
            self._evict()

    def pending(self, after: int, limit: int) -> tuple[Row, ...]:
        """The oldest rows whose id is beyond `after`, in order of storing."""
        found = self._run(lambda database: _pending(database, after, limit))
        return tuple(Row(int(row[0]), Message(*row[1:])) for row in found)

    def remove(self, ids: Iterable[int]) -> None:
        """Forget rows that have arrived; unknown ids are none of our business."""
        conditions = [("id = ?", (number,)) for number in ids]
        self._delete(conditions)

    def expire(self, now: float) -> None:
        """Drop and count what is too old at `now` (unix time, s)."""
        self._lost["expired"] += self._delete([("expires <= ?", (now,))])

    def open_events(self) -> tuple[Message, ...]:
        """The last stored step of every event that has no end yet: after a crash, those that it left open."""
        return tuple(Message(*row) for row in self._run(open_events.read))

    def forget_open(self, event_ids: Sequence[str]) -> None:
        """Take events for ended whose end cannot be told."""
        self._run(lambda database: open_events.forget(database, event_ids))

    def statistics(self) -> OutboxStatistics:
        """How full it is and what was lost."""
        lost = self._lost
        return OutboxStatistics(
            self._rows, self._size, lost["update"], lost["event"], lost["expired"], self._path is None
        )

    def close(self) -> None:
        """Leave the file to the next process."""
        self._database.close()

    def _evict(self) -> None:
        """Drop the oldest update; where there is none, all of the oldest event."""
        oldest_update = "id = (SELECT min(id) FROM messages WHERE type = 'update')"
        oldest_event = "event_id = (SELECT event_id FROM messages ORDER BY id LIMIT 1)"
        if self._delete([(oldest_update, ())]):
            self._lost["update"] += 1
        else:
            self._delete([(oldest_event, ())])
            self._lost["event"] += 1

    def _delete(self, conditions: Sequence[tuple[str, tuple[float, ...]]]) -> int:
        """Delete what meets any of the conditions, in one transaction, and say how many rows that were."""
        sizes = self._run(lambda database: _delete(database, conditions))
        self._rows -= len(sizes)
        self._size -= sum(sizes)
        return len(sizes)

    def _count(self) -> None:
        rows, size, last = self._run(_sums)
        self._rows, self._size = rows, size
        self._next_id = max(self._next_id, last + 1)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do one piece of work; where the disk or the file is the trouble, once more on what takes its place."""
        try:
            return work(self._database)
        except sqlite3.DatabaseError as error:
            if self._path is None:
                raise
            self._replace(error)
        return work(self._database)

    def _open(self) -> sqlite3.Connection:
        """The file's database; after a damaged file a fresh one; in memory where the disk refuses."""
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return _connect(self._path)
            except (sqlite3.OperationalError, OSError) as error:
                self._leave_disk(error)
            except sqlite3.DatabaseError as error:
                self._set_aside(error)
                return self._open()
        return _connect(None)

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        """Go on without the disk (OperationalError: full, read-only, locked) or without the damaged file."""
        database = self._database
        if isinstance(error, sqlite3.OperationalError):
            self._leave_disk(error)
            self._database = _connect(None)
            _copy(database, self._database)
            database.close()
        else:
            database.close()
            self._set_aside(error)
            self._database = self._open()
        self._count()

    def _leave_disk(self, error: Exception) -> None:
        log.warning(
            "outbox %s: %s; events are kept in memory until the next start: free the disk, or make the directory "
            "writable to this user ([outbox] directory)",
            self._path,
            error,
        )
        self._path = None

    def _set_aside(self, error: Exception) -> None:
        """Rename the damaged file and its journal; where even that fails, leave the disk."""
        path = self._path
        if path is None:
            return
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        try:
            for suffix in ("-wal", "-shm", ""):
                source = path.with_name(path.name + suffix)
                if source.exists():
                    source.rename(aside.with_name(aside.name + suffix))
        except OSError as trouble:
            self._leave_disk(trouble)
            return
        log.error("outbox %s: damaged (%s); moved to %s, going on with an empty one", path, error, aside)


def _connect(path: Path | None) -> sqlite3.Connection:
    """An open database with our table; raises sqlite3.DatabaseError for a file that is none of ours."""
    database = sqlite3.connect(path or MEMORY, timeout=LOCK_SECONDS, check_same_thread=False)
    try:
        if path is not None:
            _check(database)
        database.executescript(TABLE + open_events.TABLE)
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.commit()
    except sqlite3.Error:
        database.close()
        raise
    return database


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


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Take along what can still be read; the file keeps it too, so that it may be sent twice but is not lost."""
    try:
        source.rollback()
        rows = source.execute("SELECT id, topic, payload, event_id, seq, type, expires FROM messages").fetchall()
        unended = open_events.read(source)
    except sqlite3.DatabaseError:
        return
    with target:
        target.executemany(INSERT, rows)
        open_events.follow(target, unended)


def _store(database: sqlite3.Connection, rows: Sequence[StoredRow]) -> None:
    """Store messages, and what they say of the events they belong to, in one transaction."""
    with database:
        database.executemany(INSERT, rows)
        open_events.follow(database, (row[1:] for row in rows))


def _pending(
    database: sqlite3.Connection, after: int, limit: int
) -> list[tuple[int, str, bytes, str, int, str, float]]:
    columns = "id, topic, payload, event_id, seq, type, expires"
    return database.execute(
        f"SELECT {columns} FROM messages WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    ).fetchall()


def _delete(database: sqlite3.Connection, conditions: Sequence[tuple[str, tuple[float, ...]]]) -> list[int]:
    """The sizes of the payloads that were deleted."""
    sizes = []
    with database:
        for condition, values in conditions:
            statement = f"DELETE FROM messages WHERE {condition} RETURNING length(payload)"
            sizes += [int(row[0]) for row in database.execute(statement, values).fetchall()]
    return sizes


def _sums(database: sqlite3.Connection) -> tuple[int, int, int]:
    """Rows, bytes of payload, and the highest id (0 when empty)."""
    row = database.execute("SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(max(id), 0) FROM messages")
    rows, size, last = row.fetchone()
    return rows, size, last
