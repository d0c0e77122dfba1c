"""Opens the outbox's SQLite file: its tables, files of earlier versions, and what makes a file none of ours. Shell."""

import sqlite3
from pathlib import Path

from edge.broker import open_events, outbox_row
from edge.broker.outbox_eviction import count_losses
from edge.broker.outbox_row import COLUMNS, SEALED

VERSION = 2  # of the tables, in the file's user_version; 1 had no checksums
LOCK_SECONDS = 2.0  # how long another process may hold the file
MEMORY = ":memory:"
BEFORE = {  # tables as version 1 has them; the others are new, or the same
    "messages": "CREATE TABLE messages ( id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "event_id TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL )",
    "open_events": "CREATE TABLE open_events ( event_id TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL )",
}
TABLES = {
    "messages": "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
    "event_id TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL, expires REAL NOT NULL, "
    "checksum INTEGER NOT NULL)",
    "open_events": open_events.TABLE,
    "losses": "CREATE TABLE losses (kind TEXT PRIMARY KEY, count INTEGER NOT NULL)",
    "damaged": "CREATE TABLE damaged (id, topic, payload, event_id, seq, type, expires, checksum)",
    "ledger": "CREATE TABLE ledger (one INTEGER PRIMARY KEY, commits INTEGER NOT NULL, stored INTEGER NOT NULL, "
    "waiting INTEGER NOT NULL, shift REAL NOT NULL, checksum INTEGER NOT NULL)",
}
INDEXES = (
    "CREATE INDEX by_event ON messages (event_id)",
    "CREATE INDEX by_type ON messages (type, id)",
    "CREATE INDEX by_expiry ON messages (expires)",
)
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)  # the latter where SQLite's own sentence quotes a damaged name
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
    """An open database with our tables, None: in memory. Raises UNREADABLE.

    `refuses` tells whether that is for the disk, or for a file that is damaged or none of ours. `patience`: how long
    another process may hold it, s.
    """
    database = sqlite3.connect(path or MEMORY, timeout=patience, check_same_thread=False)
    database.text_factory = outbox_row.lossless
    try:
        if path is not None:
            _take(database)
        _prepare(database)
    except UNREADABLE:
        database.close()
        raise
    return database


def refuses(error: Exception) -> bool:
    """Whether it is the disk that refuses (full, read-only, locked), and not the file that is damaged."""
    if isinstance(error, OSError):
        return True
    return isinstance(error, sqlite3.OperationalError) and any(word in str(error).lower() for word in REFUSALS)


def _take(database: sqlite3.Connection) -> None:
    """Take the file for ourselves, written ahead and synced at every commit, and see that its structure is whole."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    verdict = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _prepare(database: sqlite3.Connection) -> None:
    """Make our tables, or see that they are as we made them: a flipped bit may have renamed one."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, 1, VERSION):
        raise sqlite3.DatabaseError(f"its tables are of version {version}, this program knows {VERSION}")
    names = ", ".join(f"'{name}'" for name in TABLES)
    query = f"SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN ({names})"
    found = {name: " ".join(sql.split()) for name, sql in database.execute(query).fetchall()}
    if found == TABLES and version != 1:
        return
    if version == VERSION or any(text not in (TABLES[name], BEFORE.get(name)) for name, text in found.items()):
        raise sqlite3.DatabaseError("its tables are none of ours")
    with database:
        database.execute("BEGIN IMMEDIATE")
        _renew(database, found)
        database.execute(f"PRAGMA user_version = {VERSION}")


def _renew(database: sqlite3.Connection, found: dict[str, str]) -> None:
    """Make the tables that are missing, and those of version 1 anew with what stands in them."""
    before = [name for name, text in found.items() if text == BEFORE.get(name)]
    for name in TABLES.keys() - found.keys():
        database.execute(TABLES[name])
    if "messages" not in found:
        _index(database)
    if "messages" in before:
        raw = database.execute(f"SELECT {COLUMNS} FROM messages ORDER BY id").fetchall()
        odd = [(row[0],) for row in raw if outbox_row.well_formed(row) is None]
        database.executemany(f"INSERT INTO damaged SELECT {COLUMNS}, NULL FROM messages WHERE id = ?", odd)
        count_losses(database, {"damaged": len(odd)})
        _again(database, "messages")
        _index(database)
        good = [row for found in raw if (row := outbox_row.well_formed(found)) is not None]
        marks = ", ".join("?" * 8)
        database.executemany(f"INSERT INTO messages ({SEALED}) VALUES ({marks})", map(outbox_row.sealed, good))
    if "open_events" in before:
        raw = database.execute(f"SELECT 0, {open_events.COLUMNS} FROM open_events ORDER BY rowid").fetchall()
        _again(database, "open_events")
        steps = [row for found in raw if (row := outbox_row.well_formed(found)) is not None]
        open_events.follow(database, (row[1:] for row in steps))


def _again(database: sqlite3.Connection, table: str) -> None:
    database.execute(f"DROP TABLE {table}")
    database.execute(TABLES[table])


def _index(database: sqlite3.Connection) -> None:
    for text in INDEXES:
        database.execute(text)
