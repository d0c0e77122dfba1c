"""Writes an engine and the record beside it, both whole or not at all. Shell; raises OSError."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge import files
from edge.engines import engine_record
from edge.engines.engine_record import EngineRecord
from edge.files import Sync


def reserve(target: Path) -> Path:
    """Create the file that will become the engine, so that a read-only folder shows before a long build."""
    partial = target.with_name(f"{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.touch()
    return partial


def write(serialized: bytes, record: EngineRecord, partial: Path, target: Path, sync: Sync = os.fsync) -> None:
    """Write both beside their places, then move them there; the record's hash shows a power cut in between."""
    described = engine_record.beside(partial)
    files.write_synced(partial, serialized, sync)
    files.write_synced(described, engine_record.to_json(record).encode(), sync)
    move(partial, target)


def move(engine: Path, target: Path) -> None:
    """Move a complete engine and its record to their places in the same folder."""
    files.move_into_place(engine, target)
    files.move_into_place(engine_record.beside(engine), engine_record.beside(target))


@contextmanager
def candidate(target: Path) -> Iterator[Path]:
    """A path beside `target` for an engine yet to be checked; removed at the end, unless it was moved."""
    made = target.with_name(f"{target.stem}.unchecked{target.suffix}")
    try:
        yield made
    finally:
        discard(made)


def discard(partial: Path) -> None:
    """Remove what `reserve` and a failed `write` have left."""
    for path in (partial, engine_record.beside(partial)):
        with suppress(OSError):
            path.unlink()
