"""What leaves the outbox unsent, because it is too old or there is no space. Shell: SQL, within a transaction.

Single updates may go, which leaves a gap in `seq`. Otherwise whole events go, never parts: an event of which a step may
have reached the broker keeps its end, whatever the limits say, for subscribers that have received its beginning.
"""

import sqlite3
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from edge.broker.message import CLOCK_IS_SET

OLDEST_UPDATE = "id = (SELECT min(id) FROM messages WHERE type = 'update')"
TOO_OLD = f"expires <= ? AND expires > {CLOCK_IS_SET}"


@dataclass(frozen=True)
class OutboxLimits:
    """The most that may wait: rows, and bytes of payload."""

    rows: int = 100_000
    size: int = 64 * 1024 * 1024


@dataclass
class Evicted:
    """What has left so far. `sizes`: bytes of payload of each message; `dropped_open`: dropped events that are open."""

    sizes: list[int] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    dropped_open: set[str] = field(default_factory=set)

    def add(self, kind: str, sizes: Sequence[int], count: int) -> None:
        """Count messages as lost; `count`: as how many of their kind."""
        self.sizes += sizes
        self.lost[kind] = self.lost.get(kind, 0) + count


def expire(database: sqlite3.Connection, now: float, published: Set[str], evicted: Evicted) -> None:
    """Drop updates that are too old at `now`, and events whose newest step is.

    `published`: events of which a step may have reached the broker.
    """
    updates = delete(database, f"type = 'update' AND {TOO_OLD}", (now,))
    evicted.add("expired", updates, len(updates))
    found = database.execute(f"SELECT DISTINCT event_id FROM messages WHERE {TOO_OLD}", (now,)).fetchall()
    for (event_id,) in found:
        if event_id not in published and not _is_fresh(database, event_id, now):
            sizes = _drop_event(database, event_id, evicted)
            evicted.add("expired", sizes, len(sizes))


def evict(database: sqlite3.Connection, excess: tuple[int, int], published: Set[str], evicted: Evicted) -> None:
    """Drop the oldest updates; where there is none left, the oldest events that have not been published.

    `excess`: how many messages and bytes are too many.
    """
    rows, size = excess[0] - len(evicted.sizes), excess[1] - sum(evicted.sizes)
    while rows > 0 or size > 0:
        kind, sizes = "update", delete(database, OLDEST_UPDATE)
        if not sizes:
            event_id = _oldest_unpublished(database, published)
            if event_id is None:
                return
            kind, sizes = "event", _drop_event(database, event_id, evicted)
        evicted.add(kind, sizes, 1)
        rows, size = rows - len(sizes), size - sum(sizes)


def published_before(database: sqlite3.Connection, handed_over: int) -> set[str]:
    """Events of which an earlier run may have sent a step: no `new` with an id beyond `handed_over` waits."""
    waiting = "SELECT event_id FROM messages UNION SELECT event_id FROM open_events"
    unsent = "SELECT event_id FROM messages WHERE type = 'new' AND id > ?"
    return {row[0] for row in database.execute(f"{waiting} EXCEPT {unsent}", (handed_over,)).fetchall()}


def delete(database: sqlite3.Connection, condition: str, values: Sequence[object] = ()) -> list[int]:
    """Delete messages; the sizes of their payloads."""
    statement = f"DELETE FROM messages WHERE {condition} RETURNING length(payload)"
    return [int(row[0]) for row in database.execute(statement, values).fetchall()]


def count_losses(database: sqlite3.Connection, lost: Mapping[str, int]) -> None:
    """Add to the losses that the file records, by kind."""
    add = "INSERT INTO losses VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET count = count + excluded.count"
    database.executemany(add, [(kind, count) for kind, count in lost.items() if count])


def _is_fresh(database: sqlite3.Connection, event_id: str, now: float) -> bool:
    """Whether a step of the event is not too old, be it one that has been sent."""
    steps = "SELECT event_id, expires FROM messages UNION ALL SELECT event_id, expires FROM open_events"
    query = f"SELECT 1 FROM ({steps}) WHERE event_id = ? AND NOT ({TOO_OLD}) LIMIT 1"
    return database.execute(query, (event_id, now)).fetchone() is not None


def _drop_event(database: sqlite3.Connection, event_id: str, evicted: Evicted) -> list[int]:
    """Delete an event's waiting steps; their sizes. Of an open event neither later steps nor the end are published."""
    sizes = delete(database, "event_id = ?", (event_id,))
    if database.execute("DELETE FROM open_events WHERE event_id = ?", (event_id,)).rowcount:
        evicted.dropped_open.add(event_id)
    return sizes


def _oldest_unpublished(database: sqlite3.Connection, published: Set[str]) -> str | None:
    cursor = database.execute("SELECT event_id FROM messages ORDER BY id")
    try:
        return next((str(row[0]) for row in cursor if row[0] not in published), None)
    finally:
        cursor.close()
