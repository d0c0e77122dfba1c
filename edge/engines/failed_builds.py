"""Remembers engine builds that failed, so that no later start spends minutes on them again. Shell.

A note lies beside the place of the engine and has its key: another model, TensorRT, driver, GPU or option has another
note, and another release of korsal-edge heeds none. A build is noted when it begins: one that takes its process with
it, as running out of memory does, leaves that note. While it goes on it holds the lock of its folder (`build_lock`).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge import __version__, files
from edge.engines import build_lock
from edge.engines.cuda_runtime import CudaError
from edge.engines.tensorrt_builder import RefusedError, ShortOfMemoryError
from edge.engines.tensorrt_errors import TensorRtError

log = logging.getLogger(__name__)

SUFFIX = ".failed"
ATTEMPTS = 3  # of a build that is killed, or may go better another time
MAY_PASS = (ShortOfMemoryError, TensorRtError, CudaError)  # too little memory; an engine that does not answer
UNTIL = "it is not tried again until the model, TensorRT or the driver changes, or {note} is deleted"


@dataclass(frozen=True)
class _Note:
    """`attempts` that failed; `refused`: whether one is enough. `release` of korsal-edge.

    `begun`: the last of them was not over when this was written. `basis`: a hash of the model and the machine.
    """

    attempts: int = 0
    reason: str = ""
    refused: bool = False
    release: str = __version__
    begun: bool = False
    basis: str = ""


class _Content(BaseModel):
    """A note as JSON."""

    model_config = ConfigDict(strict=True, defer_build=True)
    attempts: int
    reason: str
    refused: bool
    release: str
    begun: bool = False
    basis: str = ""


def path_of(target: Path) -> Path:
    """The note about the engine at `target`."""
    return target.with_suffix(SUFFIX)


def refusal(target: Path, alone: bool = False) -> str:
    """Why the engine at `target` is not to be built, and what changes that; "" where it may be, or just is.

    `alone`: the caller holds the lock of the folder, so that no other process builds in it.
    """
    note = _read(path_of(target))
    if note.begun and not alone and build_lock.held(target.parent):
        return ""
    given_up = note.refused or note.attempts >= ATTEMPTS
    return f"{note.reason}; {UNTIL.format(note=path_of(target))}" if given_up else ""


def is_of(note: Path, basis: str) -> bool:
    """Whether a note is of that model and machine, and of this release."""
    return _read(note).basis == basis


def forget(target: Path) -> None:
    """Remove the note about an engine, for it has answered."""
    _write(target, _Note())


@contextmanager
def noted(model: str, target: Path, basis: str) -> Iterator[None]:
    """Keep a note of the build in the block unless it succeeds, or fails for what is no fault of its own.

    The caller holds the lock of the folder. `model`: in words; `basis`: a hash of it and the machine, not "".
    """
    before = _read(path_of(target))
    reason = f"{model}: building its TensorRT engine was cut short"
    begun = replace(before, attempts=before.attempts + 1, reason=reason, begun=True, basis=basis)
    _write(target, begun)
    try:
        yield
    except RefusedError as error:
        _write(target, replace(begun, reason=str(error), refused=True, begun=False))
        raise
    except MAY_PASS as error:
        _write(target, replace(begun, reason=str(error), begun=False))
        raise
    except BaseException:
        _write(target, before)
        raise
    _write(target, _Note())


def _read(path: Path) -> _Note:
    """The note at `path`; an empty one where there is none, or none that this release wrote."""
    try:
        content = _Content.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return _Note()
    return _Note(**content.model_dump()) if content.release == __version__ else _Note()


def _write(target: Path, note: _Note) -> None:
    """Keep the note, an empty one as no file; a disk that refuses costs this alone."""
    path = path_of(target)
    try:
        if note.attempts:
            files.write_atomically(path, _Content(**asdict(note)).model_dump_json(indent=1).encode())
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: cannot be written (%s); a build that fails will be tried again", path, error.strerror)
