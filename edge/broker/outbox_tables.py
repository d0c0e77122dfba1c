"""Opens the outbox's SQLite file: its tables, files of earlier versions, and what makes a file none of ours. Shell."""

import sqlite3
from pathlib import Path

from edge.broker import open_events, stored_row
from edge.broker.outbox_room import count_losses
from edge.broker.stored_row import COLUMNS, SEALED

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
    """An open database with our tables, None: in memory. Raises sqlite3.DatabaseError.

    `refuses` tells whether that is for the disk, or for a file that is damaged or none of ours. `patience`: how long
    another process may hold it, s.
    """
    database = sqlite3.connect(path or MEMORY, timeout=patience, check_same_thread=False)
    database.text_factory = stored_row.lossless
    try:
        if path is not None:
            _take(database)
        _prepare(database)
    except sqlite3.Error:
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
    """Make the tables anew that are missing or of version 1, with what stands in those."""
    before = [name for name, text in found.items() if text == BEFORE.get(name)]
    columns = {"messages": COLUMNS, "open_events": f"0, {open_events.COLUMNS}"}
    rows = {name: database.execute(f"SELECT {columns[name]} FROM {name} ORDER BY rowid").fetchall() for name in before}
    for name in before:
        database.execute(f"DROP TABLE {name}")
    for name in TABLES.keys() - (found.keys() - set(before)):
        database.execute(TABLES[name])
    if "messages" not in found or "messages" in before:
        for text in INDEXES:
            database.execute(text)
    good = [row for raw in rows.get("messages", ()) if (row := stored_row.well_formed(raw)) is not None]
    marks = ", ".join("?" * 8)
    database.executemany(f"INSERT INTO messages ({SEALED}) VALUES ({marks})", map(stored_row.sealed, good))
    odd = [raw for raw in rows.get("messages", ()) if stored_row.well_formed(raw) is None]
    database.executemany(f"INSERT INTO damaged ({SEALED}) VALUES ({marks})", [(*raw, None) for raw in odd])
    count_losses(database, {"damaged": len(odd)})
    steps = [row for raw in rows.get("open_events", ()) if (row := stored_row.well_formed(raw)) is not None]
    open_events.follow(database, (row[1:] for row in steps))
