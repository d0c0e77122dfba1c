"""Messages that wait for the broker, in SQLite.

A message is stored before it is sent and leaves when the broker has acknowledged it. Where the disk refuses, the
messages are kept in memory until it is writable again; where the file is damaged, it is moved aside and named.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from edge.broker import open_events, outbox_file
from edge.broker.message import Message as Message
from edge.broker.outbox_file import Change

log = logging.getLogger(__name__)

RETURN_SECONDS = 60.0  # between two tries to get back to a disk that has refused

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """A message as stored; `id` grows in the order of storing."""

    id: int
    message: Message

    @property
    def topic(self) -> str:
        """Where the message goes."""
        return self.message.topic


@dataclass(frozen=True)
class Limits:
    """The most that may wait: rows, and bytes of payload."""

    rows: int = 100_000
    size: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class OutboxStatistics:
    """What waits, and what was lost since the file was made.

    Lost are single updates, whole events, messages too old to send, and messages that the broker would not take.
    """

    rows: int = 0
    size: int = 0
    dropped_updates: int = 0
    dropped_events: int = 0
    expired: int = 0
    refused: int = 0
    in_memory: bool = False


@dataclass(frozen=True)
class _Absence:
    """The disk has refused. `shared`: ids that the file holds as well; `until`: monotonic time of the next try, s."""

    shared: frozenset[int] | None
    until: float


class Outbox:
    """A bounded queue on disk. Used by one thread at a time; other threads may read `statistics()`."""

    def __init__(self, path: Path | None, limits: Limits) -> None:
        """Open or make the file; None keeps everything in memory. Never raises for what is wrong with the disk."""
        self._path = path
        self._limits = limits
        self._absence: _Absence | None = None
        self._lost: dict[str, int] = {}
        self._next_id = 1
        self._rows = self._size = 0
        self._database = self._open()
        self._count()

    def put(self, messages: Sequence[Message], now: float) -> None:
        """Store messages in this order, drop what has expired by `now` (unix), make room: all in one transaction."""
        self._come_back()
        first = self._next_id
        self._next_id += len(messages)
        rows = [(first + i, m.topic, m.payload, m.event_id, m.seq, m.type, m.expires) for i, m in enumerate(messages)]
        change = self._run(lambda database: outbox_file.store(database, rows, now, self._room()))
        self._rows += len(messages)
        self._size += sum(len(message.payload) for message in messages)
        self._take_off(change)

    def pending(self, after: int, limit: int, without: Sequence[str] = ()) -> tuple[Row, ...]:
        """The oldest rows whose id is beyond `after`, in order of storing; those of the topics `without` left out."""
        found = self._run(lambda database: outbox_file.pending(database, after, limit, without))
        return tuple(Row(int(row[0]), Message(*row[1:])) for row in found)

    def remove(self, arrived: Iterable[int], refused: Iterable[int] = ()) -> None:
        """Forget rows that have arrived, and count those that the broker will not take; unknown ids are ignored."""
        ids, unwanted = tuple(arrived), tuple(refused)
        self._take_off(self._run(lambda database: outbox_file.remove(database, ids, unwanted)))

    def expire(self, now: float) -> None:
        """Drop and count what is too old at `now` (unix time, s)."""
        self.put((), now)

    def open_events(self) -> tuple[Message, ...]:
        """The last stored step of every event that has no end yet: after a crash, those that it left open."""
        return tuple(Message(*row) for row in self._run(open_events.read))

    def forget_open(self, event_ids: Sequence[str]) -> None:
        """Take events for ended whose end cannot be told."""
        self._run(lambda database: open_events.forget(database, event_ids))

    def statistics(self) -> OutboxStatistics:
        """How full it is and what was lost."""
        updates, events, expired, refused = (
            self._lost.get(kind, 0) for kind in ("update", "event", "expired", "refused")
        )
        return OutboxStatistics(self._rows, self._size, updates, events, expired, refused, self._in_memory)

    def close(self) -> None:
        """Leave the file to the next process."""
        with contextlib.suppress(sqlite3.Error):  # a disk that refuses has been told of
            self._database.close()

    @property
    def _in_memory(self) -> bool:
        return self._path is None or self._absence is not None

    def _room(self) -> tuple[int, int]:
        return self._limits.rows - self._rows, self._limits.size - self._size

    def _take_off(self, change: Change) -> None:
        self._rows -= change.rows
        self._size -= change.size
        self._lost = {
            kind: self._lost.get(kind, 0) + change.lost.get(kind, 0) for kind in {**self._lost, **change.lost}
        }

    def _count(self) -> None:
        rows, size, last = self._run(outbox_file.sums)
        self._rows, self._size = rows, size
        self._next_id = max(self._next_id, last + 1)
        if not self._in_memory:
            self._lost = self._run(outbox_file.losses)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do one piece of work; where the disk or the file is the trouble, once more on what takes its place."""
        try:
            return work(self._database)
        except sqlite3.DatabaseError as error:
            if self._in_memory:
                raise
            self._replace(error)
        return work(self._database)

    def _open(self) -> sqlite3.Connection:
        """The file's database; after a damaged file a fresh one; in memory where the disk refuses."""
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return outbox_file.connect(self._path)
            except (sqlite3.OperationalError, OSError) as error:
                self._leave_disk(error)
            except sqlite3.DatabaseError as error:
                if self._set_aside(error):
                    return self._open()
        return outbox_file.connect(None)

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        """Go on without the disk (OperationalError: full, read-only, locked) or without the damaged file."""
        database = self._database
        if isinstance(error, sqlite3.OperationalError):
            self._database = outbox_file.connect(None)
            self._leave_disk(error, outbox_file.copy(database, self._database))
            with contextlib.suppress(sqlite3.Error):
                database.close()
        else:
            database.close()
            self._database = self._open() if self._set_aside(error) else outbox_file.connect(None)
        self._count()

    def _leave_disk(self, error: Exception, shared: frozenset[int] | None = None) -> None:
        log.warning(
            "outbox %s: %s; events are kept in memory and sent from there: free the disk, or make the directory "
            "writable to this user ([outbox] directory)",
            self._path,
            error,
        )
        self._absence = _Absence(shared, time.monotonic() + RETURN_SECONDS)

    def _come_back(self) -> None:
        """Bring the disk up to date and go on there, if it takes everything again; look now and then."""
        absence, path = self._absence, self._path
        if absence is None or path is None or time.monotonic() < absence.until:
            return
        self._absence = replace(absence, until=time.monotonic() + RETURN_SECONDS)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = outbox_file.connect(path)
        except (sqlite3.Error, OSError):
            return
        if not _give_back(self._database, file, absence.shared):
            file.close()
            return
        self._database.close()
        self._database, self._absence = file, None
        self._count()
        log.info("outbox %s: the disk takes events again", path)

    def _set_aside(self, error: Exception) -> bool:
        """Rename the damaged file and its journal; where even that fails, leave the disk and say False."""
        path = self._path
        if path is None:
            return False
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        try:
            for suffix in ("-wal", "-shm", ""):
                source = path.with_name(path.name + suffix)
                if source.exists():
                    source.rename(aside.with_name(aside.name + suffix))
        except OSError as trouble:
            self._leave_disk(trouble)
            return False
        log.error("outbox %s: damaged (%s); moved to %s, going on with an empty one", path, error, aside)
        return True


def _give_back(memory: sqlite3.Connection, file: sqlite3.Connection, shared: frozenset[int] | None) -> bool:
    """False where the disk still refuses, or holds what must not be mixed with this."""
    try:
        return outbox_file.give_back(memory, file, shared)
    except sqlite3.Error:
        return False
