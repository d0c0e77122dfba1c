"""A message as a row of the outbox's file, with the checksum that shows whether the disk has changed it. Pure.

SQLite's own check of a file covers its structure, not the content of the rows.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import cast

from edge.broker.message import CLOCK_IS_SET, Message

COLUMNS = "id, topic, payload, event_id, seq, type, expires"
COLUMNS_AND_CHECKSUM = f"{COLUMNS}, checksum"
NUMBERS = struct.Struct("<qqd4I")  # id, seq, expires, and the lengths of texts and payload
TYPES = (int, str, bytes, str, int, str, float)
STEP_TYPES = frozenset({"new", "update", "end"})

Row = tuple[int, str, bytes, str, int, str, float]  # as COLUMNS says


def decode_lossless(text: bytes) -> str:
    """For sqlite3's `text_factory`: a text that is not UTF-8 can be read too, and is found damaged by `verified`."""
    return text.decode("utf-8", "surrogateescape")


def checksum(row: Row) -> int:
    """CRC-32 over all columns. Any change of one bit changes it, of other changes all but one in 4 billion do."""
    number, topic, payload, event_id, seq, kind, expires = row
    parts = [topic.encode(), payload, event_id.encode(), kind.encode()]
    return zlib.crc32(b"".join([NUMBERS.pack(number, seq, expires, *map(len, parts)), *parts]))


def with_checksum(row: Row) -> tuple[object, ...]:
    """The row with its checksum, as COLUMNS_AND_CHECKSUM says."""
    return (*row, checksum(row))


def verified(found: Sequence[object]) -> Row | None:
    """The row as it was stored; None where it has changed. `found`: as COLUMNS_AND_CHECKSUM says."""
    row = well_formed(found[:-1])
    return row if row is not None and found[-1] == checksum(row) else None


def well_formed(found: Sequence[object]) -> Row | None:
    """A row of a file without checksums; None where it cannot be one of ours."""
    if tuple(map(type, found)) != TYPES:
        return None
    row = cast(Row, tuple(found))
    try:
        checksum(row)
    except (UnicodeEncodeError, struct.error):  # `decode_lossless` has met a text that is not UTF-8; or no 64 bits
        return None
    return row if row[5] in STEP_TYPES else None


def from_message(number: int, message: Message, shift: float) -> Row:
    """The row of a message. `shift`: s by which the wall clock has been set since the file was made."""
    event = (message.event_id, message.seq, message.type, float(message.expires))
    return expiring_later((number, message.topic, message.payload, *event), -shift)


def to_message(row: Row, shift: float) -> Message:
    """The message of a row."""
    return Message(*expiring_later(row, shift)[1:])


def expiring_later(row: Row, seconds: float) -> Row:
    """The row with an expiry that is so much later, if it has one."""
    return (*row[:6], row[6] + seconds) if seconds and row[6] > CLOCK_IS_SET else row
