"""Opens the outbox's SQLite file: its tables, older versions of them, and the check that they are ours. Shell."""

import sqlite3
from pathlib import Path

from edge.broker import outbox_file, outbox_row
from edge.broker.outbox_eviction import count_losses
from edge.broker.outbox_row import COLUMNS

VERSION = 2  # of the tables, in the file's user_version; 1 had no checksums
LOCK_SECONDS = 2.0  # how long another process may hold the file
MEMORY = ":memory:"
VERSION_1 = {  # tables as version 1 has them; the others are new, or the same
    "messages": "CREATE TABLE messages ( id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "event_id TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL )",
    "open_events": "CREATE TABLE open_events ( event_id TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL )",
}
TABLES = {
    "messages": "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "event_id TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL, "
    "checksum INTEGER NOT NULL)",
    "open_events": "CREATE TABLE open_events (event_id TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL, checksum INTEGER NOT NULL)",
    "losses": "CREATE TABLE losses (kind TEXT PRIMARY KEY, count INTEGER NOT NULL)",
    "damaged": "CREATE TABLE damaged (id, topic, payload, event_id, seq, type, expires, checksum)",
    # Of one row: `edge.broker.outbox_totals`.
    "ledger": "CREATE TABLE ledger (one INTEGER PRIMARY KEY, commits INTEGER NOT NULL, stored INTEGER NOT NULL, "
    "waiting INTEGER NOT NULL, shift REAL NOT NULL, checksum INTEGER NOT NULL)",
}
INDEXES = (
    "CREATE INDEX by_event ON messages (event_id)",
    "CREATE INDEX by_type ON messages (type, id)",
    "CREATE INDEX by_expiry ON messages (expires)",
)
# The latter where SQLite's own message quotes a damaged name.
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
REFUSALS = (
    "locked",
    "busy",
    "full",
    "readonly",
    "unable to open",
    "i/o error",
    "locking",
    "permission",
    "out of memory",
)


def connect(path: Path | None, patience: float = LOCK_SECONDS) -> sqlite3.Connection:
    """An open database with our tables; in memory for None. Raises UNREADABLE.

    `is_refusal` tells whether the disk refuses, or the file is damaged or not ours. `patience`: how long another
    process may hold it, s.
    """
    database = sqlite3.connect(path or MEMORY, timeout=patience, check_same_thread=False)
    database.text_factory = outbox_row.decode_lossless
    try:
        if path is not None:
            _lock(database)
        _prepare(database)
    except UNREADABLE:
        database.close()
        raise
    return database


def is_refusal(error: Exception) -> bool:
    """Whether the disk refuses (full, read-only, locked), rather than the file being damaged."""
    if isinstance(error, OSError):
        return True
    return isinstance(error, sqlite3.OperationalError) and any(word in str(error).lower() for word in REFUSALS)


def _lock(database: sqlite3.Connection) -> None:
    """Lock the file, with a write-ahead log that is synced at every commit, and check its structure."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    verdict = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _prepare(database: sqlite3.Connection) -> None:
    """Make our tables, or check that they are as we made them: a flipped bit may have renamed one."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, 1, VERSION):
        raise sqlite3.DatabaseError(f"its tables are of version {version}, this program knows {VERSION}")
    names = ", ".join(f"'{name}'" for name in TABLES)
    query = f"SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN ({names})"
    found = {name: " ".join(sql.split()) for name, sql in database.execute(query).fetchall()}
    if found == TABLES and version != 1:
        return
    if version == VERSION or any(text not in (TABLES[name], VERSION_1.get(name)) for name, text in found.items()):
        raise sqlite3.DatabaseError("its tables are not those of an outbox")
    with database:
        database.execute("BEGIN IMMEDIATE")
        _upgrade(database, found)
        database.execute(f"PRAGMA user_version = {VERSION}")


def _upgrade(database: sqlite3.Connection, found: dict[str, str]) -> None:
    """Make the tables that are missing, and those of version 1 again with their content."""
    old = [name for name, text in found.items() if text == VERSION_1.get(name)]
    for name in TABLES.keys() - found.keys():
        database.execute(TABLES[name])
    if "messages" not in found:
        _index(database)
    if "messages" in old:
        raw = database.execute(f"SELECT {COLUMNS} FROM messages ORDER BY id").fetchall()
        malformed = [(row[0],) for row in raw if outbox_row.well_formed(row) is None]
        database.executemany(f"INSERT INTO damaged SELECT {COLUMNS}, NULL FROM messages WHERE id = ?", malformed)
        count_losses(database, {"damaged": len(malformed)})
        _recreate(database, "messages")
        _index(database)
        good = [row for found in raw if (row := outbox_row.well_formed(found)) is not None]
        database.executemany(outbox_file.INSERT, map(outbox_row.with_checksum, good))
    if "open_events" in old:
        raw = database.execute(f"SELECT 0, {outbox_file.OPEN_COLUMNS} FROM open_events ORDER BY rowid").fetchall()
        _recreate(database, "open_events")
        steps = [row for found in raw if (row := outbox_row.well_formed(found)) is not None]
        outbox_file.update_open_events(database, (row[1:] for row in steps))


def _recreate(database: sqlite3.Connection, table: str) -> None:
    database.execute(f"DROP TABLE {table}")
    database.execute(TABLES[table])


def _index(database: sqlite3.Connection) -> None:
    for text in INDEXES:
        database.execute(text)
