"""The time in which the disk refuses: what goes along into memory, and how it comes back into the file. Shell."""

import os
import shutil
import sqlite3
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from edge.broker import open_events, outbox_file, outbox_tables
from edge.broker.outbox_eviction import count_losses
from edge.broker.outbox_totals import Ledger

ENOUGH = 65_536  # bytes that must be free before a try is worth it


@dataclass(frozen=True)
class Absence:
    """The disk has refused. `until`: monotonic time of the next try, s.

    `shared`: ids that the file holds as well, up to `last`; `unended`: events that go on by the file. None: it could
    not be read.
    """

    until: float
    shared: frozenset[int] | None = None
    unended: frozenset[str] | None = None
    last: int = 0


def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> Absence:
    """Take along what can still be read.

    The source keeps it too, so that it may be sent twice but is not lost.
    """
    try:
        source.rollback()
        rows = outbox_file.rows_of(source)
        unended = open_events.read(source)
    except outbox_tables.UNREADABLE:
        return Absence(0.0)
    outbox_file.add(target, rows, unended)
    shared, going_on = frozenset(row[0] for row in rows), frozenset(row[2] for row in unended)
    return Absence(0.0, shared, going_on, max(shared, default=0))


def unsaved(memory: sqlite3.Connection, absence: Absence) -> int:
    """How many messages would be lost with this process."""
    found = memory.execute("SELECT count(*) FROM messages WHERE id > ?", (absence.last,)).fetchone()
    return int(found[0])


def overtaken(memory: sqlite3.Connection, absence: Absence, going_on: Set[str]) -> bool:
    """Whether every event that goes on by the file has ended since, and all its steps have left."""
    if absence.unended is None or absence.unended & going_on:
        return False
    query = "SELECT 1 FROM messages WHERE event_id = ?"
    return not any(memory.execute(query, (event_id,)).fetchone() for event_id in absence.unended)


def give_back(
    memory: sqlite3.Connection,
    file: sqlite3.Connection,
    absence: Absence,
    ledger: Ledger,
    here: tuple[Set[str], Set[str]],
) -> tuple[Ledger, list[open_events.Row]]:
    """Bring the file up to what has happened in memory, in one transaction. The ledger, and what another run left open.

    `here`: events of this run that go on, and that have ended during the absence. Raises sqlite3.Error.
    """
    going_on, ended = here
    own = outbox_file.ledger_of(file) or ledger
    rows = outbox_file.rows_of(memory)
    there = {number for (number,) in file.execute("SELECT id FROM messages")}
    new = [outbox_file.shifted(row, ledger.shift - own.shift) for row in rows if row[0] not in there]
    gone = [(number,) for number in (absence.shared or frozenset()).difference(row[0] for row in rows)]
    left_open = [row for row in open_events.read(file) if row[2] not in going_on and row[2] not in ended]
    with file:
        file.executemany("DELETE FROM messages WHERE id = ?", gone)
        outbox_file.insert(file, new)
        open_events.delete(file, (row[2] for row in left_open) if absence.shared is not None else ())
        open_events.delete(file, ended)
        open_events.follow(file, open_events.read(memory))
        count_losses(file, outbox_file.losses(memory))
        commits, stored = max(own.commits, ledger.commits) + 1, max(own.stored, ledger.stored)
        ledger = outbox_file.write(file, Ledger(commits, stored, outbox_file.sums(file)[0], own.shift))
    return ledger, left_open if absence.shared is None else []


def worth_trying(path: Path) -> bool:
    """False where it can be seen without writing that the disk still refuses."""
    try:
        place = next(folder for folder in path.parents if folder.exists())
        return os.access(place, os.W_OK) and shutil.disk_usage(place).free >= ENOUGH
    except OSError:
        return True
