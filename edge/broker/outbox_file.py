"""The outbox's SQLite database, and each operation on it in one transaction. Shell.

The table `open_events` holds the last step of each event that has begun and not ended. It is written in the transaction
that stores a message, so an event is open exactly where its last stored step is no `end`, whenever the power fails.
"""

import sqlite3
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace

from edge.broker import outbox_eviction, outbox_row
from edge.broker.outbox_eviction import Evicted, count_losses, delete
from edge.broker.outbox_row import COLUMNS_AND_CHECKSUM, Row
from edge.broker.outbox_totals import Totals, from_columns, to_columns

KEPT_DAMAGED = 100  # rows that are quarantined; older ones go
LARGEST_DAMAGED = 65_536  # bytes of a payload that are kept of them
INSERT = f"INSERT INTO messages ({COLUMNS_AND_CHECKSUM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
LOSSES = frozenset({"update", "event", "expired", "refused", "damaged"})
OPEN_COLUMNS = "topic, payload, event_id, seq, type, expires"
INSERT_OPEN = f"INSERT OR REPLACE INTO open_events ({OPEN_COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)"

OpenRow = tuple[str, bytes, str, int, str, float]  # as OPEN_COLUMNS says


@dataclass(frozen=True)
class FreeSpace:
    """`rows`, `size`: messages and bytes of payload for which there is space before these come; may be negative.

    `published`: events of which a step may have reached the broker.
    """

    rows: int
    size: int
    published: Set[str] = frozenset()


@dataclass(frozen=True)
class Change:
    """What an operation removed: rows, bytes of payload, and what of it is lost, by kind; and the totals since.

    `dropped_open`: open events that were dropped; `published`: events of which a step has arrived, but not the end;
    `ended`: events whose end has left.
    """

    totals: Totals
    rows: int = 0
    size: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    dropped_open: frozenset[str] = frozenset()
    published: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()


def store(database: sqlite3.Connection, totals: Totals, rows: Sequence[Row], now: float, free: FreeSpace) -> Change:
    """Store messages and the state of their events, drop what is too old at `now`, then make space.

    `now` and the expiry of `rows` are without the totals' shift.
    """
    evicted = Evicted()
    with database:
        insert(database, rows)
        update_open_events(database, (row[1:] for row in rows))
        outbox_eviction.expire(database, now, free.published, evicted)
        excess = len(rows) - free.rows, sum(len(row[2]) for row in rows) - free.size
        outbox_eviction.evict(database, excess, free.published, evicted)
        count_losses(database, evicted.lost)
        totals = write_totals(database, totals.after(len(rows), len(evicted.sizes)))
    return Change(totals, len(evicted.sizes), sum(evicted.sizes), evicted.lost, frozenset(evicted.dropped_open))


def remove(database: sqlite3.Connection, totals: Totals, accepted: Iterable[int], refused: Iterable[int]) -> Change:
    """Delete rows, those that the broker has accepted and those that it never will.

    This is synced with the next row that is stored: when the power fails before, some are sent twice.
    """
    database.execute("PRAGMA synchronous = NORMAL")
    with database:
        left = [row for number in accepted for row in _delete_row(database, number)]
        unwanted = [row for number in refused for row in _delete_row(database, number)]
        lost = {"refused": len(unwanted)}
        count_losses(database, lost)
        sizes = [size for size, _, _ in left + unwanted]
        totals = write_totals(database, totals.after(0, len(sizes)))
    database.execute("PRAGMA synchronous = FULL")
    ended = frozenset(event_id for _, event_id, kind in left + unwanted if kind == "end")
    published = frozenset(event_id for _, event_id, _ in left) - ended
    return Change(totals, len(sizes), sum(sizes), lost, published=published, ended=ended)


def pending(
    database: sqlite3.Connection, after: int, limit: int, without: Sequence[str] = ()
) -> tuple[list[Row], list[int]]:
    """The oldest rows beyond the id `after`, without those of some topics; and the ids of damaged rows among them."""
    others = f"AND topic NOT IN ({', '.join('?' * len(without))})" if without else ""
    query = f"SELECT {COLUMNS_AND_CHECKSUM} FROM messages WHERE id > ? {others} ORDER BY id LIMIT ?"
    return _verified(database.execute(query, (after, *without, limit)))


def damaged(database: sqlite3.Connection) -> list[int]:
    """The ids of all rows that are not as they were stored."""
    return _verified(database.execute(f"SELECT {COLUMNS_AND_CHECKSUM} FROM messages"), keep=False)[1]


def quarantine(database: sqlite3.Connection, totals: Totals, ids: Sequence[int]) -> Change:
    """Move rows into the table `damaged`, which keeps the newest hundred."""
    numbers = [(number,) for number in ids]
    columns = f"id, topic, substr(payload, 1, {LARGEST_DAMAGED}), event_id, seq, type, expires, checksum"
    with database:
        database.executemany(f"INSERT INTO damaged SELECT {columns} FROM messages WHERE id = ?", numbers)
        newest = f"SELECT rowid FROM damaged ORDER BY rowid DESC LIMIT {KEPT_DAMAGED}"
        database.execute(f"DELETE FROM damaged WHERE rowid NOT IN ({newest})")
        sizes = [size for number in ids for size in delete(database, "id = ?", (number,))]
        totals = write_totals(database, totals.after(0, len(sizes)))
        lost = {"damaged": len(sizes)}
        count_losses(database, lost)
    return Change(totals, len(sizes), sum(sizes), lost)


def usage(database: sqlite3.Connection) -> tuple[int, int, int]:
    """Rows, bytes of payload, and the highest id (0 when empty)."""
    query = "SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(max(id), 0) FROM messages"
    rows, size, last = database.execute(query).fetchone()
    return rows, size, last


def losses(database: sqlite3.Connection) -> dict[str, int]:
    """The losses that this database has counted, by kind."""
    found = database.execute("SELECT kind, count FROM losses").fetchall()
    return {kind: count for kind, count in found if kind in LOSSES and isinstance(count, int) and count >= 0}


def read_totals(database: sqlite3.Connection) -> Totals | None:
    """The file's own count; None where that is damaged."""
    row = database.execute("SELECT commits, stored, waiting, shift, checksum FROM ledger").fetchone()
    return Totals() if row is None else from_columns(row)


def write_totals(database: sqlite3.Connection, totals: Totals) -> Totals:
    """Replace the file's own count, as part of a transaction."""
    database.execute("INSERT OR REPLACE INTO ledger VALUES (1, ?, ?, ?, ?, ?)", to_columns(totals))
    return totals


def commit_totals(database: sqlite3.Connection, totals: Totals, lost: dict[str, int] | None = None) -> None:
    """The same in a transaction of its own, and add to the losses."""
    with database:
        count_losses(database, lost or {})
        write_totals(database, totals)


def shift_clock(database: sqlite3.Connection, totals: Totals, seconds: float) -> Totals:
    """The wall clock has been set by so much: what waits is neither older nor younger for that."""
    totals = replace(totals.after(0, 0), shift=totals.shift + seconds)
    commit_totals(database, totals)
    return totals


def import_rows(database: sqlite3.Connection, rows: Iterable[Row], open_rows: Iterable[OpenRow]) -> None:
    """Copy messages, and the last steps of open events, from another database."""
    with database:
        insert(database, rows)
        update_open_events(database, open_rows)


def insert(database: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Store rows with their checksums, as part of a transaction."""
    database.executemany(INSERT, map(outbox_row.with_checksum, rows))


def all_rows(database: sqlite3.Connection) -> list[Row]:
    """All undamaged rows, the oldest first."""
    return _verified(database.execute(f"SELECT {COLUMNS_AND_CHECKSUM} FROM messages ORDER BY id"))[0]


def open_events(database: sqlite3.Connection) -> list[OpenRow]:
    """The last step of every open event, the oldest step first; damaged ones are left out."""
    found = database.execute(f"SELECT 0, {OPEN_COLUMNS}, checksum FROM open_events ORDER BY rowid").fetchall()
    return [row[1:] for raw in found if (row := outbox_row.verified(raw)) is not None]


def update_open_events(database: sqlite3.Connection, rows: Iterable[OpenRow]) -> None:
    """Remember the last step of every event that is open after these steps, in their order; forget ended ones."""
    last = {row[2]: row for row in rows}
    still_open = [outbox_row.with_checksum((0, *row))[1:] for row in last.values() if row[4] != "end"]
    database.executemany(INSERT_OPEN, still_open)
    delete_open_events(database, [event_id for event_id, row in last.items() if row[4] == "end"])


def delete_damaged_open_events(database: sqlite3.Connection) -> int:
    """Delete steps of open events that are not as they were stored; how many there were."""
    query = f"SELECT rowid, 0, {OPEN_COLUMNS}, checksum FROM open_events"
    numbers = [(number,) for number, *raw in database.execute(query) if outbox_row.verified(raw) is None]
    database.executemany("DELETE FROM open_events WHERE rowid = ?", numbers)
    return len(numbers)


def forget_open_events(database: sqlite3.Connection, event_ids: Sequence[str]) -> None:
    """Treat open events as ended."""
    with database:
        delete_open_events(database, event_ids)


def delete_open_events(database: sqlite3.Connection, event_ids: Iterable[str]) -> None:
    """The same, as part of a transaction."""
    database.executemany("DELETE FROM open_events WHERE event_id = ?", [(event_id,) for event_id in event_ids])


def _verified(found: Iterable[Sequence[object]], keep: bool = True) -> tuple[list[Row], list[int]]:
    """The rows whose checksum is right, unless they are not to be kept, and the ids of the others."""
    good, bad = [], []
    for raw in found:
        row = outbox_row.verified(raw)
        if row is None:
            bad.append(int(str(raw[0])))
        elif keep:
            good.append(row)
    return good, bad


def _delete_row(database: sqlite3.Connection, number: int) -> list[tuple[int, str, str]]:
    """Delete a row; its size, event and type, [] where there is none."""
    statement = "DELETE FROM messages WHERE id = ? RETURNING length(payload), event_id, type"
    return database.execute(statement, (number,)).fetchall()
