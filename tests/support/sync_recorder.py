"""What lies in a folder whenever something is forced onto the disk: before that a power cut may lose it."""

import os
from pathlib import Path


class SyncRecorder:
    """Its `sync` stands for `os.fsync` and notes in `seen` what is forced, and the folder's files by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seen: list[tuple[str, dict[str, bytes]]] = []

    def sync(self, descriptor: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        self.seen.append((name, {path.name: path.read_bytes() for path in self._folder.iterdir()}))
        os.fsync(descriptor)
