"""Opens the event store's SQLite file: its tables, and the check that they are of this version. Shell.

Unlike the outbox it is read while it is written, by `korsal-edge events`, and a power cut may cost its last seconds.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from edge.broker.outbox_tables import UNREADABLE as UNREADABLE
from edge.broker.outbox_tables import is_refusal as is_refusal

VERSION = 2  # of the tables, in the file's user_version; 1 had no judgements
LOCK_SECONDS = 5.0  # how long another process may hold the file
# What somebody has said of an event (`edge.history.judgements`); `right_action`: "" for none.
JUDGEMENTS = (
    "TABLE judgements (event_id TEXT PRIMARY KEY, verdict TEXT NOT NULL, right_action TEXT NOT NULL, "
    "judged REAL NOT NULL)"
)
TABLES = (
    # `kept`: when the event's first step was stored, `told`: its last; `video`: the file that it was found in, NULL for
    # a camera's; `payload`: the last step, as in docs/event.schema.json; sizes in bytes, 0 where there is none;
    # `data_bytes`: of payload and tube.
    "CREATE TABLE events (number INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, camera TEXT NOT NULL, "
    "action TEXT NOT NULL, score REAL NOT NULL, kept REAL NOT NULL, told REAL NOT NULL, ended INTEGER NOT NULL, "
    "video TEXT, payload TEXT NOT NULL, data_bytes INTEGER NOT NULL, picture_bytes INTEGER NOT NULL DEFAULT 0, "
    "clip_bytes INTEGER NOT NULL DEFAULT 0, clip_start REAL)",
    "CREATE TABLE tubes (number INTEGER NOT NULL, part INTEGER NOT NULL, points BLOB NOT NULL, "
    "PRIMARY KEY (number, part)) WITHOUT ROWID",
    # How far a video has been looked through, and with what (`edge.history.indexed_videos`).
    "CREATE TABLE videos (path TEXT PRIMARY KEY, identity TEXT NOT NULL, found_with TEXT NOT NULL, "
    "frames INTEGER NOT NULL, done INTEGER NOT NULL)",
    f"CREATE {JUDGEMENTS}",
    "CREATE INDEX by_told ON events (told)",
    "CREATE INDEX by_video ON events (video)",
    "CREATE INDEX by_size ON events (data_bytes, picture_bytes, clip_bytes)",  # so that sums read nothing else
    "CREATE INDEX by_media ON events (number) WHERE picture_bytes + clip_bytes > 0",
)


class StoreError(Exception):
    """An event store that cannot be used; the message names it and the remedy."""


def connect(path: Path, look_through: bool = True) -> sqlite3.Connection:
    """The file, made where there is none, readable by this user alone. `look_through`: check that it is not damaged.

    Raises StoreError for another version, UNREADABLE and OSError for a damaged file and a refusing disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    database = sqlite3.connect(path, timeout=LOCK_SECONDS, check_same_thread=False)
    try:
        check_version(database, path)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0] if look_through else "ok"
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if database.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            _create(database)
    except (*UNREADABLE, StoreError):
        database.close()
        raise
    return database


def connect_to_read(path: Path) -> sqlite3.Connection:
    """The file, to look things up in. Raises StoreError."""
    try:
        path.stat()
    except FileNotFoundError:
        remedy = "set enabled = true in [history], or fill it with korsal-edge index"
        raise StoreError(f"{path}: no such event store: {remedy}") from None
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", timeout=LOCK_SECONDS, uri=True)
        try:
            check_version(database, path)
            begun = database.execute("PRAGMA user_version").fetchone()[0]
        except (*UNREADABLE, StoreError):
            database.close()
            raise
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if begun:
        if begun < VERSION:
            database.execute(f"CREATE TEMP {JUDGEMENTS}")  # the file stays as it is
        return database
    database.close()
    return _empty()  # its tables are about to be made


def unreadable(path: Path, error: Exception) -> StoreError:
    """What is said of a file that SQLite cannot read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
    if is_refusal(error):
        return StoreError(f"{path}: cannot be read ({reason}): run this as the service's user: sudo -u korsal-edge")
    return StoreError(f"{path}: is damaged or no event store ({reason}): move it away, the daemon makes a new one")


def check_version(database: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError where the tables are not ours, or of a newer version; the file stays as it is."""
    both = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"  # at one moment
    version, tables = database.execute(both).fetchone()
    if (not version and tables) or version < 0:
        raise StoreError(f"{path}: is no event store: move it away, and a new one is made")
    if version > VERSION:
        raise StoreError(
            f"{path}: is of version {version} and this program knows {VERSION}: "
            "install the newer korsal-edge again, or move the file away"
        )


def _empty() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    _create(database)
    return database


def _create(database: sqlite3.Connection) -> None:
    """Make the tables, or those that an older version lacks."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:
            return  # another process was quicker
        for text in (f"CREATE {JUDGEMENTS}",) if version else TABLES:
            database.execute(text)
        database.execute(f"PRAGMA user_version = {VERSION}")
