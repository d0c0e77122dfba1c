"""Opens the outbox's file after a run that was killed, whose last transactions lie in the write-ahead log. Shell."""

import logging
import sqlite3
from pathlib import Path

from edge.broker import outbox_file, outbox_tables, write_ahead_log
from edge.broker.ledger import Mark

log = logging.getLogger(__name__)

LARGEST = 64 * 1024 * 1024  # bytes of a log that is read; SQLite lets it grow to some 4 MB


def connect(path: Path, patience: float, mark: Mark | None) -> sqlite3.Connection:
    """As `outbox_tables.connect`; where by the mark something is missing, the log is read beyond its damage."""
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
