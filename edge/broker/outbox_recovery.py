"""Moves a damaged outbox out of the way, and reads out of it what is still whole. Shell."""

import contextlib
import glob
import sqlite3
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from edge.broker import open_events, outbox_file, outbox_row
from edge.broker.outbox_row import SEALED, Stored
from edge.broker.outbox_tables import LOCK_SECONDS, UNREADABLE
from edge.broker.outbox_totals import Ledger

KEPT = 3  # damaged files that stay beside the outbox, the newest
LARGEST = 2**63 - 1
MOST_BETWEEN = 100_000  # ids that are tried one by one
SUFFIXES = ("-wal", "-shm", "")


@dataclass(frozen=True)
class Salvaged:
    """What could be read: messages by id, last steps of events that go on, counts of losses, the file's own count."""

    rows: list[Stored] = field(default_factory=list)
    unended: list[open_events.Row] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)
    ledger: Ledger | None = None


def move_aside(path: Path) -> Path:
    """Rename the file and its journal, and remove the oldest of those that were moved before. Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for suffix in SUFFIXES:
        source = path.with_name(path.name + suffix)
        if source.exists() or source.is_symlink():
            source.rename(aside.with_name(aside.name + suffix))
    files = [
        file for file in path.parent.glob(f"{glob.escape(path.name)}.damaged-*") if not file.name.endswith(SUFFIXES[:2])
    ]
    for old in sorted(files, key=lambda file: file.name)[:-KEPT]:
        for suffix in SUFFIXES:
            with contextlib.suppress(OSError):
                old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside


def read(path: Path) -> Salvaged:
    """Everything in the file that is whole by its checksum. The file stays as it is.

    With `writable_schema` SQLite reads files that were cut short, without it some others: whatever finds more counts.
    """
    found = [_attempt(path, setting) for setting in ("OFF", "ON")]
    _remove_empty(path)
    return max(found, key=lambda one: (len(one.rows), one.ledger is not None))


def _attempt(path: Path, writable_schema: str) -> Salvaged:
    with contextlib.suppress(*UNREADABLE, OSError):  # so far is the file gone
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", timeout=LOCK_SECONDS, uri=True)
        database.text_factory = outbox_row.lossless
        with contextlib.closing(database):
            database.execute(f"PRAGMA writable_schema = {writable_schema}")
            return _everything(database)
    return Salvaged()


def _everything(database: sqlite3.Connection) -> Salvaged:
    found = Salvaged(_rows(database))
    with contextlib.suppress(*UNREADABLE):
        found.unended.extend(open_events.read(database))
    with contextlib.suppress(*UNREADABLE):
        found.losses.update(outbox_file.losses(database))
    with contextlib.suppress(*UNREADABLE):
        return replace(found, ledger=outbox_file.ledger_of(database))
    return found


def _remove_empty(path: Path) -> None:
    """What SQLite makes anew whenever it reads."""
    with contextlib.suppress(OSError):
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        journal = path.with_name(f"{path.name}-wal")
        if journal.exists() and not journal.stat().st_size:
            journal.unlink()


def _rows(database: sqlite3.Connection) -> list[Stored]:
    """From the first on and from the last back, as far as pages can be read; then what lies between, one by one."""
    forward = _walk(database, "id > ? ORDER BY id", -1)
    last = max(forward, default=-1)
    backward = _walk(database, "id < ? ORDER BY id DESC", LARGEST)
    first = min(backward, default=0)
    between = {}
    for number in range(last + 1, first if first - last <= MOST_BETWEEN else 0):
        between.update(_walk(database, "id = ?", number))
    found = {**forward, **backward, **between}
    return [row for number in sorted(found) if (row := outbox_row.whole(found[number])) is not None]


def _walk(database: sqlite3.Connection, where: str, place: int) -> dict[int, tuple[object, ...]]:
    """Row after row from a place on, until there is none, or it cannot be read. By id."""
    found: dict[int, tuple[object, ...]] = {}
    with contextlib.suppress(*UNREADABLE):
        while place not in found:
            row = database.execute(f"SELECT {SEALED} FROM messages WHERE {where} LIMIT 1", (place,)).fetchone()
            if row is None:
                break
            place = int(row[0])
            found[place] = row
    return found
