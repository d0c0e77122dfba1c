"""Opens the outbox's file, whatever a killed run or the disk has left of it. Shell."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from edge.broker import outbox_audit, outbox_file, outbox_recovery, outbox_tables, write_ahead_log
from edge.broker.outbox_audit import Audit
from edge.broker.outbox_mark import HighWaterMark
from edge.broker.outbox_tables import UNREADABLE

log = logging.getLogger(__name__)

MAX_LOG_BYTES = 64 * 1024 * 1024  # of a log that is read; SQLite lets it grow to some 4 MB


def connect(path: Path, patience: float, mark: HighWaterMark | None) -> sqlite3.Connection:
    """As `outbox_tables.connect`; where the mark shows that something is missing, the log is read beyond its damage.

    The log holds the last transactions of a run that was killed.
    """
    journal = path.with_name(f"{path.name}-wal")
    left = _content(journal)
    file = outbox_tables.connect(path, patience)
    if mark is None or not left or _commits(file) >= mark.totals.commits:
        return file
    repaired = write_ahead_log.repaired(left)
    if repaired is None:
        return file
    file.close()
    journal.write_bytes(repaired)
    log.warning("outbox %s: its write-ahead log is damaged; what follows the damage is read too", path)
    return outbox_tables.connect(path, patience)


def _commits(file: sqlite3.Connection) -> int:
    totals = outbox_file.read_totals(file)
    return 0 if totals is None else totals.commits


def _content(journal: Path) -> bytes:
    if journal.is_symlink() or not journal.is_file() or journal.stat().st_size > MAX_LOG_BYTES:
        return b""
    return journal.read_bytes()


def open_file(
    path: Path, patience: float, mark: HighWaterMark | None, damage: Exception | None = None, rows: int | None = None
) -> tuple[sqlite3.Connection, Audit]:
    """The audited file; or a new one with what could be recovered from it.

    `mark`: of the previous run; `damage`: why the file cannot be used, if that is known; `rows`: how many messages it
    should hold, if that is. Raises OSError and UNREADABLE where the disk refuses.
    """
    if damage is None:
        try:
            file = connect(path, patience, mark)
            with _closed_if_failed(file):
                return file, _logged(path, outbox_audit.audit(file, mark))
        except UNREADABLE as error:
            if outbox_tables.is_refusal(error):
                raise
            damage = error
    return _recovered(path, patience, mark, damage, rows)


def _recovered(
    path: Path, patience: float, mark: HighWaterMark | None, damage: Exception, rows: int | None
) -> tuple[sqlite3.Connection, Audit]:
    """A new file with what could be recovered from the damaged one, which is kept under another name."""
    aside = outbox_recovery.move_aside(path)
    log.error("outbox %s: damaged (%s); moved to %s", path, " ".join(str(damage).split()), aside)
    found = outbox_recovery.recover(aside)
    believed = found.totals if mark is None else mark.totals
    expected = rows if rows is not None else None if believed is None else believed.waiting
    file = outbox_tables.connect(path, patience)
    with _closed_if_failed(file):
        return file, _logged(path, outbox_audit.audit_recovered(file, found, mark, expected))


def _logged(path: Path, audit: Audit) -> Audit:
    for sentence in audit.findings:
        log.warning("outbox %s: %s", path, sentence)
    return audit


@contextlib.contextmanager
def _closed_if_failed(database: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except UNREADABLE:
        database.close()
        raise
