"""How many messages wait in an outbox."""

import contextlib
import shutil
import sqlite3

from tests.support.real_daemon import Daemon


def waiting(daemon: Daemon) -> int:
    return int(asked(daemon, "SELECT count(*), 0 FROM messages")[0][0])


def asked(daemon: Daemon, query: str) -> list[tuple[str, int]]:
    """What a copy of the outbox says: the daemon lets nobody else read it."""
    copy = daemon.folder / "copy.sqlite"
    try:
        for suffix in ("", "-wal"):
            shutil.copy(f"{daemon.outbox}{suffix}", f"{copy}{suffix}")
        with contextlib.closing(sqlite3.connect(copy)) as database:
            return database.execute(query).fetchall()
    except (OSError, sqlite3.Error):  # not there yet, or copied while it was written
        return [("0", 0)]
