"""A message as a row of the outbox's file, and the checksum that tells whether the disk has changed it. Pure.

SQLite's own check of a file looks at its structure, not at what stands in the rows.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import cast

COLUMNS = "id, topic, payload, event_id, seq, type, expires"
SEALED = f"{COLUMNS}, checksum"
NUMBERS = struct.Struct("<qqd4I")  # id, seq, expires, and how long the texts and the payload are
TYPES = (int, str, bytes, str, int, str, float)
KINDS = frozenset({"new", "update", "end"})

Stored = tuple[int, str, bytes, str, int, str, float]  # as COLUMNS says


def lossless(text: bytes) -> str:
    """For sqlite3's `text_factory`: a text that is no UTF-8 is read all the same, to be found damaged by `whole`."""
    return text.decode("utf-8", "surrogateescape")


def checksum(row: Stored) -> int:
    """CRC-32 over all columns: any change of one bit, and of all others all but one in 4 billion, changes it."""
    number, topic, payload, event_id, seq, kind, expires = row
    parts = [topic.encode(), payload, event_id.encode(), kind.encode()]
    return zlib.crc32(b"".join([NUMBERS.pack(number, seq, expires, *map(len, parts)), *parts]))


def sealed(row: Stored) -> tuple[object, ...]:
    """The row with its checksum, as SEALED says."""
    return (*row, checksum(row))


def whole(found: Sequence[object]) -> Stored | None:
    """The row that was stored; None where it is another now. `found`: as SEALED says."""
    row = well_formed(found[:-1])
    return row if row is not None and found[-1] == checksum(row) else None


def well_formed(found: Sequence[object]) -> Stored | None:
    """A row of before there were checksums; None where it cannot be one of ours."""
    if tuple(map(type, found)) != TYPES:
        return None
    row = cast(Stored, tuple(found))
    try:
        checksum(row)
    except (UnicodeEncodeError, struct.error):  # `lossless` has met a text that is no UTF-8; or no 64 bits
        return None
    return row if row[5] in KINDS else None
