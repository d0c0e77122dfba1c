"""What the outbox's file should hold, by its own count, to find out when something is missing without an error. Pure.

SQLite skips whatever follows a damaged place in its write-ahead log, silently.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

FIELDS = struct.Struct("<QQQd")


@dataclass(frozen=True)
class Totals:
    """`commits`: transactions so far; `stored`: messages so far; `waiting`: rows now.

    `shift`: s by which the wall clock has been set since the file was made; `expires` is stored without it.
    """

    commits: int = 0
    stored: int = 0
    waiting: int = 0
    shift: float = 0.0

    def after(self, added: int, removed: int) -> "Totals":
        """After one more transaction that added and removed so many messages."""
        waiting = max(0, self.waiting + added - removed)
        return replace(self, commits=self.commits + 1, stored=self.stored + added, waiting=waiting)


def to_columns(totals: Totals) -> tuple[int, int, int, float, int]:
    """The columns of the one row in the file; the last is a checksum."""
    fields = (totals.commits, totals.stored, totals.waiting, totals.shift)
    return (*fields, zlib.crc32(FIELDS.pack(*fields)))


def from_columns(columns: Sequence[object]) -> Totals | None:
    """The totals in these columns; None where the checksum is wrong."""
    *fields, checksum = columns
    if tuple(map(type, fields)) != (int, int, int, float):
        return None
    try:
        intact = zlib.crc32(FIELDS.pack(*fields)) == checksum
    except struct.error:
        return None
    return Totals(*fields) if intact else None  # type: ignore[arg-type]
