"""Moves a damaged outbox aside, and recovers from it what is still intact. Shell."""

import contextlib
import glob
import sqlite3
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from edge.broker import outbox_file, outbox_row
from edge.broker.outbox_row import COLUMNS_AND_CHECKSUM, Row
from edge.broker.outbox_tables import LOCK_SECONDS, UNREADABLE
from edge.broker.outbox_totals import Totals

KEPT_FILES = 3  # damaged files that stay beside the outbox, the newest
MAX_ID = 2**63 - 1
MAX_BETWEEN = 100_000  # ids that are tried one by one
SUFFIXES = ("-wal", "-shm", "")


@dataclass(frozen=True)
class Recovered:
    """What could be read: messages, last steps of open events, losses, and the file's own count."""

    rows: list[Row] = field(default_factory=list)
    open_rows: list[outbox_file.OpenRow] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)
    totals: Totals | None = None


def move_aside(path: Path) -> Path:
    """Rename the file and its journal, and remove the oldest of those renamed before. Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for suffix in SUFFIXES:
        source = path.with_name(path.name + suffix)
        if source.exists() or source.is_symlink():
            source.rename(aside.with_name(aside.name + suffix))
    files = [
        file for file in path.parent.glob(f"{glob.escape(path.name)}.damaged-*") if not file.name.endswith(SUFFIXES[:2])
    ]
    for old in sorted(files, key=lambda file: file.name)[:-KEPT_FILES]:
        for suffix in SUFFIXES:
            with contextlib.suppress(OSError):
                old.with_name(old.name + suffix).unlink(missing_ok=True)
    return aside


def recover(path: Path) -> Recovered:
    """Everything in the file whose checksum is right; the file stays as it is.

    With `writable_schema` SQLite reads files that were truncated, without it some others: the better result is taken.
    """
    found = [_attempt(path, setting) for setting in ("OFF", "ON")]
    _remove_empty(path)
    return max(found, key=lambda one: (len(one.rows), one.totals is not None))


def _attempt(path: Path, writable_schema: str) -> Recovered:
    with contextlib.suppress(*UNREADABLE, OSError):  # the file is beyond reading
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", timeout=LOCK_SECONDS, uri=True)
        database.text_factory = outbox_row.decode_lossless
        with contextlib.closing(database):
            database.execute(f"PRAGMA writable_schema = {writable_schema}")
            return _read(database)
    return Recovered()


def _read(database: sqlite3.Connection) -> Recovered:
    found = Recovered(_rows(database))
    with contextlib.suppress(*UNREADABLE):
        found.open_rows.extend(outbox_file.open_events(database))
    with contextlib.suppress(*UNREADABLE):
        found.losses.update(outbox_file.losses(database))
    with contextlib.suppress(*UNREADABLE):
        return replace(found, totals=outbox_file.read_totals(database))
    return found


def _remove_empty(path: Path) -> None:
    """Remove the files that SQLite makes whenever it reads."""
    with contextlib.suppress(OSError):
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        journal = path.with_name(f"{path.name}-wal")
        if journal.exists() and not journal.stat().st_size:
            journal.unlink()


def _rows(database: sqlite3.Connection) -> list[Row]:
    """All intact rows: forwards and backwards as far as pages can be read, then those between, one by one."""
    forward = _walk(database, "id > ? ORDER BY id", -1)
    last = max(forward, default=-1)
    backward = _walk(database, "id < ? ORDER BY id DESC", MAX_ID)
    first = min(backward, default=0)
    between = {}
    for number in range(last + 1, first if first - last <= MAX_BETWEEN else 0):
        between.update(_walk(database, "id = ?", number))
    found = {**forward, **backward, **between}
    return [row for number in sorted(found) if (row := outbox_row.verified(found[number])) is not None]


def _walk(database: sqlite3.Connection, where: str, place: int) -> dict[int, tuple[object, ...]]:
    """Rows by id, one after the other from an id on, until there is none or it cannot be read."""
    found: dict[int, tuple[object, ...]] = {}
    with contextlib.suppress(*UNREADABLE):
        while place not in found:
            row = database.execute(
                f"SELECT {COLUMNS_AND_CHECKSUM} FROM messages WHERE {where} LIMIT 1", (place,)
            ).fetchone()
            if row is None:
                break
            place = int(row[0])
            found[place] = row
    return found
