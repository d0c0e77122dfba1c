"""Keeps the end of what libraries write to stdout and stderr. Shell over file descriptors."""

import os

from edge import threads

KEPT_BYTES = 16_384
READ_SECONDS = 1.0  # for the rest to be read


class WrittenLines:
    """What this process's libraries have written lately. Takes over the descriptors 1 and 2. Raises ThreadError."""

    def __init__(self) -> None:
        self._kept = b""
        reading, writing = os.pipe()
        for descriptor in (1, 2):
            os.dup2(writing, descriptor)
        os.close(writing)
        self._reader = threads.start("written lines", self._read, reading)

    def text(self) -> str:
        """The last KEPT_BYTES of it; nothing is kept of what is written later."""
        with open(os.devnull, "wb") as nowhere:
            for descriptor in (1, 2):
                os.dup2(nowhere.fileno(), descriptor)
        self._reader.join(READ_SECONDS)  # it ends where the pipe does, which nothing holds any more
        return self._kept.decode(errors="replace")

    def _read(self, pipe: int) -> None:
        while content := os.read(pipe, KEPT_BYTES):
            self._kept = (self._kept + content)[-KEPT_BYTES:]
