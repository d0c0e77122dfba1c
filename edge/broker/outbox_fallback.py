"""The outbox in memory while the disk refuses: what is copied there, and how it gets back into the file. Shell."""

import os
import shutil
import sqlite3
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from edge.broker import outbox_file, outbox_tables
from edge.broker.outbox_eviction import count_losses
from edge.broker.outbox_file import OpenRow
from edge.broker.outbox_row import expiring_later
from edge.broker.outbox_totals import Totals

ENOUGH_BYTES = 65_536  # that must be free before a try is worthwhile


@dataclass(frozen=True)
class MemoryFallback:
    """The disk has refused. `retry_at`: monotonic time of the next try, s.

    `stored_ids`: of messages that the file holds as well, up to `last_id`; `open_ids`: events that are open by the
    file. None: it could not be read.
    """

    retry_at: float
    stored_ids: frozenset[int] | None = None
    open_ids: frozenset[str] | None = None
    last_id: int = 0


def copy_to_memory(source: sqlite3.Connection, memory: sqlite3.Connection) -> MemoryFallback:
    """Copy what can still be read.

    The source keeps it too, so that it may be sent twice but is not lost.
    """
    try:
        source.rollback()
        rows = outbox_file.all_rows(source)
        open_rows = outbox_file.open_events(source)
    except outbox_tables.UNREADABLE:
        return MemoryFallback(0.0)
    outbox_file.import_rows(memory, rows, open_rows)
    stored_ids, open_ids = frozenset(row[0] for row in rows), frozenset(row[2] for row in open_rows)
    return MemoryFallback(0.0, stored_ids, open_ids, max(stored_ids, default=0))


def unsaved(memory: sqlite3.Connection, fallback: MemoryFallback) -> int:
    """How many messages would be lost with this process."""
    found = memory.execute("SELECT count(*) FROM messages WHERE id > ?", (fallback.last_id,)).fetchone()
    return int(found[0])


def stored_events_ended(memory: sqlite3.Connection, fallback: MemoryFallback, open_ids: Set[str]) -> bool:
    """Whether every event that is open by the file has ended since, and all its steps have left."""
    if fallback.open_ids is None or fallback.open_ids & open_ids:
        return False
    query = "SELECT 1 FROM messages WHERE event_id = ?"
    return not any(memory.execute(query, (event_id,)).fetchone() for event_id in fallback.open_ids)


def write_back(
    memory: sqlite3.Connection,
    file: sqlite3.Connection,
    fallback: MemoryFallback,
    totals: Totals,
    events: tuple[Set[str], Set[str]],
) -> tuple[Totals, list[OpenRow]]:
    """Bring the file up to date with memory, in one transaction. The totals, and what another run left open.

    `events`: of this run, those that are open, and those that have ended in memory. Raises sqlite3.Error.
    """
    open_ids, ended = events
    own = outbox_file.read_totals(file) or totals
    rows = outbox_file.all_rows(memory)
    there = {number for (number,) in file.execute("SELECT id FROM messages")}
    new = [expiring_later(row, totals.shift - own.shift) for row in rows if row[0] not in there]
    gone = [(number,) for number in (fallback.stored_ids or frozenset()).difference(row[0] for row in rows)]
    left_open = [row for row in outbox_file.open_events(file) if row[2] not in open_ids and row[2] not in ended]
    with file:
        file.executemany("DELETE FROM messages WHERE id = ?", gone)
        outbox_file.insert(file, new)
        if fallback.stored_ids is not None:
            outbox_file.delete_open_events(file, (row[2] for row in left_open))
        outbox_file.delete_open_events(file, ended)
        outbox_file.update_open_events(file, outbox_file.open_events(memory))
        count_losses(file, outbox_file.losses(memory))
        commits, stored = max(own.commits, totals.commits) + 1, max(own.stored, totals.stored)
        totals = outbox_file.write_totals(file, Totals(commits, stored, outbox_file.usage(file)[0], own.shift))
    return totals, left_open if fallback.stored_ids is None else []


def may_be_writable(path: Path) -> bool:
    """False where it can be seen without writing that the disk still refuses."""
    try:
        place = next(folder for folder in path.parents if folder.exists())
        return os.access(place, os.W_OK) and shutil.disk_usage(place).free >= ENOUGH_BYTES
    except OSError:
        return True
