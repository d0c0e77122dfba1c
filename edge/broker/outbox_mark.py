"""The small file beside the outbox that says how far the outbox had come. Shell.

It is written after each transaction and not synced: it outlives this process, killed or not, and may be some seconds
behind after a power failure. It is never ahead of the outbox, so that it never tells of losses that there were not.
"""

import contextlib
import fcntl
import os
import stat
import weakref
from pathlib import Path

from edge.broker.outbox_totals import SLOT, Mark, packed, unpacked


class MarkFile:
    """Held by one process at a time; where it cannot be had, nothing is noted. `found`: what it said when opened."""

    def __init__(self, path: Path | None) -> None:
        """Nothing is touched before `open`."""
        self._path = path
        self._file: int | None = None
        self._turn = 0
        self.found: Mark | None = None

    def open(self) -> None:
        """Take hold of the file, unless that has been done."""
        if self._path is None or self._file is not None:
            return
        with contextlib.suppress(OSError):
            self._file = _held(self._path)
            self._release = weakref.finalize(self, os.close, self._file)
            found = unpacked(os.pread(self._file, 2 * SLOT, 0))
            if found is not None:
                self._turn, self.found = found

    def note(self, mark: Mark) -> None:
        """Write it down in the place of the older of the two slots."""
        if self._file is None:
            return
        self._turn += 1
        with contextlib.suppress(OSError):
            os.pwrite(self._file, packed(mark, self._turn), self._turn % 2 * SLOT)

    def close(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._release()
            self._file = None


def _held(path: Path) -> int:
    """A descriptor of the regular file, which nobody else has. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{path} is no file")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
