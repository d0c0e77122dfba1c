"""An engine and the record beside it on the disk: both whole or not at all. Shell; raises OSError."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.engines import engine_record
from edge.engines.engine_record import EngineRecord

Sync = Callable[[int], None]  # puts what was written to an open file onto the disk itself


def reserve(target: Path) -> Path:
    """The file that is to become the engine, made now: what cannot be written is known before a long build."""
    partial = target.with_name(f"{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.touch()
    return partial


def write(serialized: bytes, record: EngineRecord, partial: Path, target: Path, sync: Sync = os.fsync) -> None:
    """Both in full beside their places, then into them; the record tells by its hash if a power cut came between."""
    described = engine_record.beside(partial)
    _write_through(partial, serialized, sync)
    _write_through(described, engine_record.to_json(record).encode(), sync)
    move(partial, target)


def move(engine: Path, target: Path) -> None:
    """An engine that is whole, and its record, to their places in the same folder."""
    engine.replace(target)
    engine_record.beside(engine).replace(engine_record.beside(target))


@contextmanager
def candidate(target: Path) -> Iterator[Path]:
    """A name beside `target` for an engine that must prove itself first; at the end it is gone, unless it moved."""
    made = target.with_name(f"{target.stem}.unchecked{target.suffix}")
    try:
        yield made
    finally:
        forget(made)


def replace_file(path: Path, content: bytes, sync: Sync = os.fsync) -> None:
    """Write a file that is whole or the old one."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_through(partial, content, sync)
        partial.replace(path)
    finally:
        forget(partial)


def forget(partial: Path) -> None:
    """Take away what `reserve` and a `write` that failed have left."""
    for path in (partial, engine_record.beside(partial)):
        with suppress(OSError):
            path.unlink()


def _write_through(path: Path, content: bytes, sync: Sync) -> None:
    """Onto the disk itself, so that a power cut leaves no empty file under a good name."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())
