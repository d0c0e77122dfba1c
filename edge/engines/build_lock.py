"""One process at a time builds engines in a folder, by a lock that ends with its process. Shell; raises OSError."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

NAME = "lock"
WAIT_SECONDS = 0.5  # between two tries


@contextmanager
def alone(folder: Path, while_waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold the lock of a folder, which is made if need be; True where another process had it first.

    `while_waiting` is called before each wait; what it raises propagates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("a") as file:
        waited = False
        while not _locked(file, fcntl.LOCK_EX):  # flock itself would wait through every signal
            while_waiting()
            time.sleep(WAIT_SECONDS)
            waited = True
        yield waited


def held(folder: Path) -> bool:
    """Whether a process, be it this one, holds the lock of a folder; nothing is made there."""
    try:
        with (folder / NAME).open() as file:
            return not _locked(file, fcntl.LOCK_SH)
    except OSError:  # nobody has ever built there, or this user may not look
        return False


def _locked(file: IO[str], kind: int) -> bool:
    """Take the lock; False where another has it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
