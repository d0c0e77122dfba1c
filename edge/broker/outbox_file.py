"""The outbox's SQLite database, and each piece of work in one transaction. Shell."""

import sqlite3
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace

from edge.broker import open_events, outbox_eviction, outbox_row
from edge.broker.message import CLOCK_IS_SET
from edge.broker.outbox_eviction import Gone, count_losses, delete
from edge.broker.outbox_row import SEALED, Stored
from edge.broker.outbox_totals import Ledger, seal, unseal

KEPT_DAMAGED = 100  # rows that are set aside; older ones go
LARGEST_DAMAGED = 65_536  # bytes of a payload that are kept of them
INSERT = f"INSERT INTO messages ({SEALED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
LOSSES = frozenset({"update", "event", "expired", "refused", "damaged"})


@dataclass(frozen=True)
class Room:
    """`rows`, `size`: how many messages and bytes of payload there is room for before these come, may be negative.

    `begun`: events of which a step may have reached the broker.
    """

    rows: int
    size: int
    begun: Set[str] = frozenset()


@dataclass(frozen=True)
class Change:
    """What a piece of work took away: rows, bytes of payload, and what of it is lost, by kind; and the ledger since.

    `cut_off`: events that went whole and go on; `heard_of`: events of which a step has arrived, but not the end;
    `ended`: events whose end has left.
    """

    ledger: Ledger
    rows: int = 0
    size: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    cut_off: frozenset[str] = frozenset()
    heard_of: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()


def store(database: sqlite3.Connection, ledger: Ledger, rows: Sequence[Stored], now: float, room: Room) -> Change:
    """Store messages and what they say of their events, drop what is too old at `now`, then make room.

    `now` and what `rows` say of their expiry are without the ledger's shift.
    """
    gone = Gone()
    with database:
        insert(database, rows)
        open_events.follow(database, (row[1:] for row in rows))
        outbox_eviction.expire(database, now, room.begun, gone)
        over = len(rows) - room.rows, sum(len(row[2]) for row in rows) - room.size
        outbox_eviction.evict(database, over, room.begun, gone)
        count_losses(database, gone.lost)
        ledger = write(database, ledger.after(len(rows), len(gone.sizes)))
    return Change(ledger, len(gone.sizes), sum(gone.sizes), gone.lost, frozenset(gone.cut_off))


def remove(database: sqlite3.Connection, ledger: Ledger, arrived: Iterable[int], refused: Iterable[int]) -> Change:
    """Forget rows, those that arrived and those that nobody will take.

    This is not synced, but with the next that is stored: when the power fails before, some are sent twice.
    """
    database.execute("PRAGMA synchronous = NORMAL")
    with database:
        left = [row for number in arrived for row in _taken(database, number)]
        unwanted = [row for number in refused for row in _taken(database, number)]
        lost = {"refused": len(unwanted)}
        count_losses(database, lost)
        sizes = [size for size, _, _ in left + unwanted]
        ledger = write(database, ledger.after(0, len(sizes)))
    database.execute("PRAGMA synchronous = FULL")
    ended = frozenset(event_id for _, event_id, kind in left + unwanted if kind == "end")
    heard_of = frozenset(event_id for _, event_id, _ in left) - ended
    return Change(ledger, len(sizes), sum(sizes), lost, heard_of=heard_of, ended=ended)


def pending(
    database: sqlite3.Connection, after: int, limit: int, without: Sequence[str] = ()
) -> tuple[list[Stored], list[int]]:
    """The oldest rows beyond the id `after`, those of some topics left out; and the ids of damaged rows among them."""
    others = f"AND topic NOT IN ({', '.join('?' * len(without))})" if without else ""
    query = f"SELECT {SEALED} FROM messages WHERE id > ? {others} ORDER BY id LIMIT ?"
    return _sorted_out(database.execute(query, (after, *without, limit)))


def damaged(database: sqlite3.Connection) -> list[int]:
    """The ids of all rows that are not what was stored."""
    return _sorted_out(database.execute(f"SELECT {SEALED} FROM messages"), keep=False)[1]


def set_aside(database: sqlite3.Connection, ledger: Ledger, ids: Sequence[int]) -> Change:
    """Move rows into the table `damaged`, which keeps the newest hundred."""
    numbers = [(number,) for number in ids]
    columns = f"id, topic, substr(payload, 1, {LARGEST_DAMAGED}), event_id, seq, type, expires, checksum"
    with database:
        database.executemany(f"INSERT INTO damaged SELECT {columns} FROM messages WHERE id = ?", numbers)
        newest = f"SELECT rowid FROM damaged ORDER BY rowid DESC LIMIT {KEPT_DAMAGED}"
        database.execute(f"DELETE FROM damaged WHERE rowid NOT IN ({newest})")
        sizes = [size for number in ids for size in delete(database, "id = ?", (number,))]
        ledger = write(database, ledger.after(0, len(sizes)))
        lost = {"damaged": len(sizes)}
        count_losses(database, lost)
    return Change(ledger, len(sizes), sum(sizes), lost)


def sums(database: sqlite3.Connection) -> tuple[int, int, int]:
    """Rows, bytes of payload, and the highest id (0 when empty)."""
    query = "SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(max(id), 0) FROM messages"
    rows, size, last = database.execute(query).fetchone()
    return rows, size, last


def losses(database: sqlite3.Connection) -> dict[str, int]:
    """What this database has counted as lost, by kind."""
    found = database.execute("SELECT kind, count FROM losses").fetchall()
    return {kind: count for kind, count in found if kind in LOSSES and isinstance(count, int) and count >= 0}


def ledger_of(database: sqlite3.Connection) -> Ledger | None:
    """Its own count; None where that is damaged."""
    row = database.execute("SELECT commits, stored, waiting, shift, checksum FROM ledger").fetchone()
    return Ledger() if row is None else unseal(row)


def write(database: sqlite3.Connection, ledger: Ledger) -> Ledger:
    """Take this for the count from now on, as part of a transaction."""
    database.execute("INSERT OR REPLACE INTO ledger VALUES (1, ?, ?, ?, ?, ?)", seal(ledger))
    return ledger


def write_ledger(database: sqlite3.Connection, ledger: Ledger, lost: dict[str, int] | None = None) -> None:
    """The same in a transaction of its own, and add to what is remembered as lost."""
    with database:
        count_losses(database, lost or {})
        write(database, ledger)


def moved(database: sqlite3.Connection, ledger: Ledger, seconds: float) -> Ledger:
    """The wall clock has been set by so much: what waits is neither older nor younger by that."""
    ledger = replace(ledger.after(0, 0), shift=ledger.shift + seconds)
    write_ledger(database, ledger)
    return ledger


def add(database: sqlite3.Connection, rows: Iterable[Stored], unended: Iterable[open_events.Row]) -> None:
    """Take over messages, and the last steps of events that go on, from another database."""
    with database:
        insert(database, rows)
        open_events.follow(database, unended)


def insert(database: sqlite3.Connection, rows: Iterable[Stored]) -> None:
    """Store rows with their checksums, as part of a transaction."""
    database.executemany(INSERT, map(outbox_row.sealed, rows))


def rows_of(database: sqlite3.Connection) -> list[Stored]:
    """All rows that are whole, the oldest first."""
    return _sorted_out(database.execute(f"SELECT {SEALED} FROM messages ORDER BY id"))[0]


def shifted(row: Stored, seconds: float) -> Stored:
    """With an expiry that is so much later, if it has one."""
    return (*row[:6], row[6] + seconds) if seconds and row[6] > CLOCK_IS_SET else row


def _sorted_out(found: Iterable[Sequence[object]], keep: bool = True) -> tuple[list[Stored], list[int]]:
    good, bad = [], []
    for raw in found:
        row = outbox_row.whole(raw)
        if row is None:
            bad.append(int(str(raw[0])))
        elif keep:
            good.append(row)
    return good, bad


def _taken(database: sqlite3.Connection, number: int) -> list[tuple[int, str, str]]:
    """What was deleted: size, event, type; [] where there was no such row."""
    statement = "DELETE FROM messages WHERE id = ? RETURNING length(payload), event_id, type"
    return database.execute(statement, (number,)).fetchall()
