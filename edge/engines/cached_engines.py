"""The engines of one folder of the cache with their records, logs and notes: what there is, and what may go. Shell."""

import logging
from collections.abc import Callable
from pathlib import Path

from edge.engines import engine_record, failed_builds
from edge.engines.engine_record import EngineRecord
from edge.engines.tensorrt_build_plan import BuildOptions

log = logging.getLogger(__name__)

SUFFIX = ".engine"
LOG_SUFFIX = ".log"  # of what TensorRT reported of an engine's build, whether it succeeded or not


def alike(target: Path, wanted: BuildOptions) -> list[Path]:
    """The other engines of that part in that precision, with the preprocessing inside as wanted, the best first.

    Those that take as many images at once come first, and of these the newest.
    """

    def order(path: Path) -> tuple[bool, float]:
        return _largest(path) < wanted.max_batch, -path.stat().st_mtime

    made = {path: _options(path) for path in _others(target)}
    same = [path for path, options in made.items() if options and _kind(options) == _kind(wanted)]
    return sorted(same, key=order)


def _kind(options: BuildOptions) -> tuple[str, ...]:
    return options.part, options.precision or "", options.preprocessing


def record_of(engine: Path) -> EngineRecord | None:
    """What an engine was built of and for; None where its record cannot be read, so that nothing can load it."""
    try:
        return engine_record.from_json(engine_record.beside(engine).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def remove_outdated(target: Path, basis: str) -> None:
    """Remove what the new engine at `target` replaces, and what no engine of that model needs on this machine.

    That is: engines of the same options, and those that nothing can load; notes of another `basis` or release; logs of
    neither an engine nor a note.
    """
    made = _options(target)
    for previous in _others(target):
        if _options(previous) in (made, None):
            _remove(previous, engine_record.beside(previous), previous.with_suffix(LOG_SUFFIX))
    folder = target.parent
    _remove(*_unless(folder, failed_builds.SUFFIX, lambda path: failed_builds.is_of(path, basis)))
    needed = {path.stem for suffix in (SUFFIX, failed_builds.SUFFIX) for path in folder.glob(f"*{suffix}")}
    _remove(*_unless(folder, LOG_SUFFIX, lambda path: path.stem in needed))


def _unless(folder: Path, suffix: str, needed: Callable[[Path], bool]) -> list[Path]:
    return [path for path in folder.glob(f"*{suffix}") if not needed(path)]


def _others(target: Path) -> list[Path]:
    """The other engines of models of that name."""
    return [path for path in target.parent.glob(f"*{SUFFIX}") if path != target]


def _options(engine: Path) -> BuildOptions | None:
    record = record_of(engine)
    return record.options if record else None


def _largest(engine: Path) -> int:
    """The largest batch of an engine, 0 where it is unknown."""
    options = _options(engine)
    return options.max_batch if options else 0


def _remove(*paths: Path) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: is no longer needed, but cannot be removed (%s)", path, error.strerror)
