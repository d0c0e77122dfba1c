"""Opens the outbox's file, whatever an earlier run, a killed one or the disk has left of it. Shell."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge.broker import outbox_audit, outbox_file, outbox_recovery, outbox_tables, write_ahead_log
from edge.broker.outbox_audit import Stock
from edge.broker.outbox_tables import UNREADABLE
from edge.broker.outbox_totals import Mark

log = logging.getLogger(__name__)

LARGEST = 64 * 1024 * 1024  # bytes of a log that is read; SQLite lets it grow to some 4 MB


def connect(path: Path, patience: float, mark: Mark | None) -> sqlite3.Connection:
    """As `outbox_tables.connect`; where by the mark something is missing, the log is read beyond its damage.

    In the log lie the last transactions of a run that was killed.
    """
    journal = path.with_name(f"{path.name}-wal")
    left = _content(journal)
    file = outbox_tables.connect(path, patience)
    if mark is None or not left or _commits(file) >= mark.ledger.commits:
        return file
    mended = write_ahead_log.resealed(left)
    if mended is None:
        return file
    file.close()
    journal.write_bytes(mended)
    log.warning("outbox %s: its write-ahead log is damaged; what follows the damage is read all the same", path)
    return outbox_tables.connect(path, patience)


def _commits(file: sqlite3.Connection) -> int:
    ledger = outbox_file.ledger_of(file)
    return 0 if ledger is None else ledger.commits


def _content(journal: Path) -> bytes:
    if journal.is_symlink() or not journal.is_file() or journal.stat().st_size > LARGEST:
        return b""
    return journal.read_bytes()


def open_file(
    path: Path, patience: float, mark: Mark | None, damage: Exception | None = None, rows: int | None = None
) -> tuple[sqlite3.Connection, Stock]:
    """The file with all that is damaged set aside, and what was found; or a fresh one with what is whole of it.

    `mark`: what was noted of the run before; `damage`: why the file cannot be gone on with, if that is known;
    `rows`: how many messages it should hold, if that is. Raises OSError and UNREADABLE where the disk refuses.
    """
    if damage is None:
        try:
            file = connect(path, patience, mark)
            with _closed_if_failed(file):
                return file, _told(path, outbox_audit.take(file, mark))
        except UNREADABLE as error:
            if outbox_tables.refuses(error):
                raise
            damage = error
    return _salvaged(path, patience, mark, damage, rows)


def _salvaged(
    path: Path, patience: float, mark: Mark | None, damage: Exception, rows: int | None
) -> tuple[sqlite3.Connection, Stock]:
    """A fresh file with what is whole of the damaged one, which is kept under another name."""
    aside = outbox_recovery.move_aside(path)
    log.error("outbox %s: damaged (%s); moved to %s", path, " ".join(str(damage).split()), aside)
    found = outbox_recovery.read(aside)
    believed = found.ledger if mark is None else mark.ledger
    expected = rows if rows is not None else None if believed is None else believed.waiting
    file = outbox_tables.connect(path, patience)
    with _closed_if_failed(file):
        return file, _told(path, outbox_audit.take_salvaged(file, found, mark, expected))


def _told(path: Path, stock: Stock) -> Stock:
    for sentence in stock.sentences:
        log.warning("outbox %s: %s", path, sentence)
    return stock


@contextlib.contextmanager
def _closed_if_failed(database: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except UNREADABLE:
        database.close()
        raise
