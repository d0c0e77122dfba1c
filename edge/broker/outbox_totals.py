"""What the outbox's file should hold, by its own count: to find out when something is missing without an error. Pure.

SQLite passes over whatever follows a damaged place in its write-ahead log, and says nothing.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

FIELDS = struct.Struct("<QQQd")
EXTRA = struct.Struct("<Q?")
TURN = struct.Struct("<4sQ")
MAGIC = b"KEM1"
SLOT = 64  # bytes; two of them are written in turns, so that one is whole whenever the power fails


@dataclass(frozen=True)
class Ledger:
    """`commits`: transactions so far; `stored`: messages so far; `waiting`: rows now.

    `shift`: s by which the wall clock has been set since the file was made; `expires` is stored without it.
    """

    commits: int = 0
    stored: int = 0
    waiting: int = 0
    shift: float = 0.0

    def after(self, stored: int, gone: int) -> "Ledger":
        """After one transaction more, in which so many messages came and went."""
        waiting = max(0, self.waiting + stored - gone)
        return replace(self, commits=self.commits + 1, stored=self.stored + stored, waiting=waiting)


@dataclass(frozen=True)
class Mark:
    """What is noted beside the file after each transaction. `handed_over`: the highest id that was given to the broker.

    `overtaken`: the messages are in memory, and every event that the file believes to go on has ended and been told.
    """

    ledger: Ledger
    handed_over: int = 0
    overtaken: bool = False


def seal(ledger: Ledger) -> tuple[int, int, int, float, int]:
    """The columns of the one row in the file; the last is a checksum."""
    fields = (ledger.commits, ledger.stored, ledger.waiting, ledger.shift)
    return (*fields, zlib.crc32(FIELDS.pack(*fields)))


def unseal(columns: Sequence[object]) -> Ledger | None:
    """None for what was never sealed so."""
    *fields, checksum = columns
    if tuple(map(type, fields)) != (int, int, int, float):
        return None
    try:
        intact = zlib.crc32(FIELDS.pack(*fields)) == checksum
    except struct.error:
        return None
    return Ledger(*fields) if intact else None  # type: ignore[arg-type]


def packed(mark: Mark, turn: int) -> bytes:
    """One slot of SLOT bytes; `turn`: the higher one of two slots is the newer."""
    ledger = mark.ledger
    body = TURN.pack(MAGIC, turn)
    body += FIELDS.pack(ledger.commits, ledger.stored, ledger.waiting, ledger.shift)
    body += EXTRA.pack(mark.handed_over, mark.overtaken)
    return (body + zlib.crc32(body).to_bytes(4, "little")).ljust(SLOT, b"\0")


def unpacked(slots: bytes) -> tuple[int, Mark] | None:
    """The newest whole slot's turn and mark; None where there is none."""
    found = [one for start in range(0, len(slots), SLOT) if (one := _slot(slots[start : start + SLOT])) is not None]
    return max(found, key=lambda one: one[0], default=None)


def _slot(slot: bytes) -> tuple[int, Mark] | None:
    size = TURN.size + FIELDS.size + EXTRA.size
    body, checksum = slot[:size], slot[size : size + 4]
    if len(slot) != SLOT or body[:4] != MAGIC or zlib.crc32(body).to_bytes(4, "little") != checksum:
        return None
    commits, stored, waiting, shift = FIELDS.unpack_from(body, TURN.size)
    handed_over, overtaken = EXTRA.unpack_from(body, TURN.size + FIELDS.size)
    return TURN.unpack_from(body)[1], Mark(Ledger(commits, stored, waiting, shift), handed_over, overtaken)
