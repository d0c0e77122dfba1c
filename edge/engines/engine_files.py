"""An engine and the record beside it on the disk: both whole or not at all. Shell; raises OSError."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge import files
from edge.engines import engine_record
from edge.engines.engine_record import EngineRecord
from edge.files import Sync


def reserve(target: Path) -> Path:
    """The file that is to become the engine, made now: what cannot be written is known before a long build."""
    partial = target.with_name(f"{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.touch()
    return partial


def write(serialized: bytes, record: EngineRecord, partial: Path, target: Path, sync: Sync = os.fsync) -> None:
    """Both in full beside their places, then into them; the record tells by its hash if a power cut came between."""
    described = engine_record.beside(partial)
    files.write_synced(partial, serialized, sync)
    files.write_synced(described, engine_record.to_json(record).encode(), sync)
    move(partial, target)


def move(engine: Path, target: Path) -> None:
    """An engine that is whole, and its record, to their places in the same folder."""
    files.move_into_place(engine, target)
    files.move_into_place(engine_record.beside(engine), engine_record.beside(target))


@contextmanager
def candidate(target: Path) -> Iterator[Path]:
    """A name beside `target` for an engine that must prove itself first; at the end it is gone, unless it moved."""
    made = target.with_name(f"{target.stem}.unchecked{target.suffix}")
    try:
        yield made
    finally:
        forget(made)


def forget(partial: Path) -> None:
    """Take away what `reserve` and a `write` that failed have left."""
    for path in (partial, engine_record.beside(partial)):
        with suppress(OSError):
            path.unlink()
