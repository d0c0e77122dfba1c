"""The model's files and the engines that TensorRT has made of them, for a report. Shell."""

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from edge import model_files
from edge.config.config_file import model_path, state_directory
from edge.config.schema import Config
from edge.engines import engine_record, failed_builds
from edge.engines.cached_engines import LOG_SUFFIX, SUFFIX
from edge.files import sha256_of
from edge.model_listing import listed
from edge.shipped_files import AssetError

LOGS, LOG_LINES = 6, 400  # build logs, the newest, and lines of each


def model(config: Config | None) -> Iterator[str]:
    """The files beside the configured one, which of them runs here and why, and their hashes."""
    if config is None:
        yield "unknown, as the configuration cannot be read"
        return
    settings = config.model
    yield f"runtime {settings.runtime}, precision {settings.precision}, preprocessing {settings.preprocessing}"
    try:
        path = model_path(settings)
        named = model_files.read(path)
    except AssetError as error:
        yield str(error)
        return
    if named is not None:
        yield from listed(named, settings, state_directory(config.outbox))
    for file in sorted({path, *path.parent.glob("*.onnx")}):
        yield _hash(file)


def engines(folder: Path) -> Iterator[str]:
    """The engines below `folder`, each with what its record says, then the newest logs of builds."""
    found = sorted(folder.glob(f"*/*{SUFFIX}"), key=_time, reverse=True)
    for path in found:
        yield f"{path.parent.name}/{path.name}, {path.stat().st_size / 1e6:.1f} MB, {_when(path)}: {_record(path)}"
    if not found:
        yield "no engine is in the cache"
    yield from build_logs(folder)


def build_logs(folder: Path) -> Iterator[str]:
    """The newest logs of engine builds below `folder`, and the notes about builds that failed."""
    found = sorted(folder.glob(f"*/*{LOG_SUFFIX}"), key=_time, reverse=True)
    if not found:
        yield "no build log: TensorRT has built no engine here since this version"
    for path in found[:LOGS]:
        yield f"-- {path.parent.name}/{path.name}, {_when(path)}"
        yield from path.read_text(encoding="utf-8", errors="replace").splitlines()[:LOG_LINES]
    for note in sorted(folder.glob(f"*/*{failed_builds.SUFFIX}")):
        yield f"-- {note.parent.name}, a build that failed, as it is remembered in {note.name}"
        yield from note.read_text(encoding="utf-8", errors="replace").splitlines()


def _hash(file: Path) -> str:
    try:
        return f"sha256 {sha256_of(file)} {file}"
    except OSError as error:
        return f"{file}: cannot be read ({error.strerror})"


def _record(engine: Path) -> str:
    try:
        record = engine_record.from_json(engine_record.beside(engine).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"no record ({' '.join(str(error).split())})"
    return f"{record.precision}, {record.options}, {record.platform}, of ONNX {record.onnx_sha256[:12]}"


def _time(path: Path) -> float:
    return path.stat().st_mtime


def _when(path: Path) -> str:
    return f"{datetime.fromtimestamp(_time(path), timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
