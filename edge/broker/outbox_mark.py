"""The high-water mark: a small file beside the outbox that records how far the outbox had come. Shell.

It is written after each transaction and not synced: it survives this process, killed or not, and may be some seconds
behind after a power failure. It is never ahead of the outbox, so it never reports losses that did not happen.
"""

import contextlib
import fcntl
import os
import stat
import struct
import weakref
import zlib
from dataclasses import dataclass
from pathlib import Path

from edge.broker.outbox_totals import FIELDS, Totals

HEAD = struct.Struct("<4sQ")
TAIL = struct.Struct("<Q?")
MAGIC = b"KEM1"
SLOT = 64  # bytes; two slots are written in turns, so that one is whole whenever the power fails


@dataclass(frozen=True)
class HighWaterMark:
    """What is recorded after each transaction. `handed_over`: the highest id that was sent to the broker.

    `events_ended`: the messages are in memory, and every event that is open by the file has ended and was published.
    """

    totals: Totals
    handed_over: int = 0
    events_ended: bool = False


class MarkFile:
    """Locked by one process; where it cannot be had, nothing is recorded. `found`: the mark when it was opened."""

    def __init__(self, path: Path | None) -> None:
        """Nothing is touched before `open`."""
        self._path = path
        self._file: int | None = None
        self._serial = 0
        self.found: HighWaterMark | None = None

    def open(self) -> None:
        """Open and lock the file, unless it is open."""
        if self._path is None or self._file is not None:
            return
        with contextlib.suppress(OSError):
            self._file = _locked(self._path)
            self._release = weakref.finalize(self, os.close, self._file)
            found = decoded(os.pread(self._file, 2 * SLOT, 0))
            if found is not None:
                self._serial, self.found = found

    def write(self, mark: HighWaterMark) -> None:
        """Write the mark into the older of the two slots."""
        if self._file is None:
            return
        self._serial += 1
        with contextlib.suppress(OSError):
            os.pwrite(self._file, encoded(mark, self._serial), self._serial % 2 * SLOT)

    def close(self) -> None:
        """Unlock and close the file."""
        if self._file is not None:
            self._release()
            self._file = None


def encoded(mark: HighWaterMark, serial: int) -> bytes:
    """One slot of SLOT bytes; `serial`: of two slots, the one with the higher is the newer."""
    totals = mark.totals
    body = HEAD.pack(MAGIC, serial)
    body += FIELDS.pack(totals.commits, totals.stored, totals.waiting, totals.shift)
    body += TAIL.pack(mark.handed_over, mark.events_ended)
    return (body + zlib.crc32(body).to_bytes(4, "little")).ljust(SLOT, b"\0")


def decoded(slots: bytes) -> tuple[int, HighWaterMark] | None:
    """Serial and mark of the newest whole slot; None where there is none."""
    found = [one for start in range(0, len(slots), SLOT) if (one := _slot(slots[start : start + SLOT])) is not None]
    return max(found, key=lambda one: one[0], default=None)


def _slot(slot: bytes) -> tuple[int, HighWaterMark] | None:
    size = HEAD.size + FIELDS.size + TAIL.size
    body, checksum = slot[:size], slot[size : size + 4]
    if len(slot) != SLOT or body[:4] != MAGIC or zlib.crc32(body).to_bytes(4, "little") != checksum:
        return None
    totals = Totals(*FIELDS.unpack_from(body, HEAD.size))
    return HEAD.unpack_from(body)[1], HighWaterMark(totals, *TAIL.unpack_from(body, HEAD.size + FIELDS.size))


def _locked(path: Path) -> int:
    """A descriptor of the regular file, which no other process has locked. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{path} is no regular file")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
