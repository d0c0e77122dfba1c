"""Builds the TensorRT engine of an ONNX model at the first start, and keeps it for later ones. Shell.

An engine is kept in `<directory>/<name of the model>/<key>.engine`. The key covers the model and everything that an
engine depends on, so that a new model, JetPack or option leads to another file. An engine that the same options made
of an older model of that name, or for another TensorRT or GPU, is removed only when the new one has answered; until
then it is used where the new one cannot be built. Engines of other options stay: a daemon and a replay side by side
may need two batches or precisions, and would otherwise keep rebuilding each other's. So there is one for each set of
options in use. What cannot be built is remembered: `failed_builds`.
"""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from edge.engines import engine_build, engine_record, failed_builds
from edge.engines.build_progress import BuildProgress, percent_messages
from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.tensorrt_build_plan import BuildOptions, PlanError, Platform, Precision, as_precision, engine_key
from edge.engines.tensorrt_builder import EngineBuildError
from edge.engines.tensorrt_engine import load
from edge.engines.tensorrt_errors import TensorRtError
from edge.files import sha256_of
from edge.inference import EngineError, LoadedEngine
from edge.text import Notify

log = logging.getLogger(__name__)

SUFFIX = ".engine"
TIMINGS = "timing.cache"
LOG_SUFFIX = ".log"  # of what TensorRT reported of an engine's build, whether it succeeded or not
KEY_DIGITS = 16  # of the key in the file's name
WAIT_SECONDS = 0.5  # between two checks whether another process has built it


class EngineCacheError(EngineError):
    """An engine that is not in the cache and cannot be built."""


def _no_announcement(text: str) -> None:
    pass


def _never_stop() -> None:
    pass


@dataclass(frozen=True, eq=False)
class EngineCache:
    """Engines in `directory`, for the GPU behind the bindings `trt` and `cuda`.

    `announce` is called with what takes long, and with "" once that is over. `check_stop` is called at every step of a
    build and while waiting for one; what it raises ends that and propagates.
    """

    directory: Path
    trt: Any
    cuda: Cuda
    announce: Notify = _no_announcement
    check_stop: Callable[[], None] = _never_stop

    def open(self, onnx: Path, options: BuildOptions) -> LoadedEngine:
        """The engine of that model, built if need be, once it has answered. Raises EngineCacheError."""
        target = self.place(onnx, options)
        try:
            if (loaded := self._known(onnx, target, options)) is not None:
                return loaded
            with self._alone(target.parent) as waited:
                found = self._known(onnx, target, options) if waited else None
                return self._built(onnx, target, options) if found is None else found
        except OSError as error:
            raise EngineCacheError(
                f"{self.directory}: cannot be used ({error.strerror}); free space, or name a directory "
                "that this user may write to ([outbox] directory)"
            ) from error

    def place(self, onnx: Path, options: BuildOptions) -> Path:
        """The path of that model's engine, built or not. Raises EngineCacheError."""
        try:
            key = engine_key(sha256_of(onnx), self._platform(), options)
        except OSError as error:
            raise EngineCacheError(
                f"{onnx}: cannot be read ({error.strerror}); give an ONNX file that korsal-convert wrote"
            ) from error
        except CudaError as error:
            raise EngineCacheError(f"{onnx}: {error}") from error
        return self.directory / onnx.stem / f"{key[:KEY_DIGITS]}{SUFFIX}"

    def _known(self, onnx: Path, target: Path, options: BuildOptions) -> LoadedEngine | None:
        """The engine in the cache; a previous one where building it has failed before; None where it is to be built."""
        refusal = failed_builds.refusal(target)
        if target.is_file():
            try:
                return load(target, self.trt, self.cuda)
            except TensorRtError as error:
                log.warning("%s%s", error, "" if refusal else "; rebuilding it")
        return self._previous(onnx, target, options, refusal) if refusal else None

    def _built(self, onnx: Path, target: Path, options: BuildOptions) -> LoadedEngine:
        """Build the engine, let it answer, remove those that it replaces; where that fails, use a previous one."""
        log.info("building the TensorRT engine of %s, once: this takes minutes", onnx)
        try:
            with failed_builds.noted(onnx, target):
                self._build(onnx, target, options)
                loaded = load(target, self.trt, self.cuda)
        except (EngineBuildError, TensorRtError, CudaError) as error:
            return self._previous(onnx, target, options, failed_builds.refusal(target) or str(error))
        made = _options(target)
        for previous in _others(target):
            if _options(previous) in (made, None):
                _remove(previous)
        return loaded

    def _build(self, onnx: Path, target: Path, options: BuildOptions) -> None:
        what, timings = f"Building the TensorRT engine of {onnx.name}", target.parent / TIMINGS
        build_log = target.with_suffix(LOG_SUFFIX)
        self.announce(what)
        try:
            progress = self._progress(what)
            engine_build.build(self.trt, onnx, target, options, self._platform(), timings, progress, build_log)
        finally:
            self.announce("")
        self.check_stop()

    def _previous(self, onnx: Path, target: Path, requested: BuildOptions, reason: str) -> LoadedEngine:
        """The newest other engine of the same model, precision and preprocessing that still runs here.

        Engines that take as many images at once as requested come first.
        """
        model, largest = sha256_of(onnx), requested.max_batch
        alike = _alike(target, replace(requested, precision=_precision(onnx, requested)))
        for previous in sorted(alike, key=lambda path: (_largest(path) < largest, _age(path))):
            try:
                loaded = load(previous, self.trt, self.cuda)
            except TensorRtError as fault:
                log.info("%s", fault)
                continue
            if loaded.engine.sha256 == model:
                notice = f"{reason}; using the previous engine {previous}"
                log.error("%s", notice)
                return loaded.noting(notice)
            loaded.close()
        raise EngineCacheError(reason)

    def _platform(self) -> Platform:
        return engine_build.platform_of(self.trt, self.cuda.device())

    def _progress(self, what: str) -> BuildProgress:
        """Announce each phase and each tenth of it; check at every step whether to stop."""
        announce_percent = percent_messages(lambda text: self.announce(f"{what}: {text}"))

        def progress(phase: str, step: int, steps: int) -> None:
            self.check_stop()
            announce_percent(phase, step, steps)

        return progress

    @contextmanager
    def _alone(self, folder: Path) -> Iterator[bool]:
        """Hold the lock of a folder, so that one process builds; True where another had it first."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as file:
            waited = False
            while not _locked(file):  # flock itself would wait through every signal
                self.announce("Waiting for another korsal-edge that builds the same engine")
                self.check_stop()
                time.sleep(WAIT_SECONDS)
                waited = True
            yield waited


def _locked(file: IO[str]) -> bool:
    """Take the lock; False where another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _others(target: Path) -> list[Path]:
    """The other engines of models of that name."""
    return [path for path in target.parent.glob(f"*{SUFFIX}") if path != target]


def _alike(target: Path, wanted: BuildOptions) -> list[Path]:
    """The other engines of that precision, with the preprocessing inside as wanted."""
    made = {path: _options(path) for path in _others(target)}
    return [
        path
        for path, options in made.items()
        if options and (options.precision, options.preprocessing) == (wanted.precision, wanted.preprocessing)
    ]


def _precision(onnx: Path, options: BuildOptions) -> Precision | None:
    """The precision to build: as requested, else that of the file; None where that cannot be read."""
    try:
        return options.precision or as_precision(engine_build.read_model(onnx)[1].precision)
    except (EngineBuildError, PlanError):
        return None


def _options(engine: Path) -> BuildOptions | None:
    """The options of an engine; None where its record cannot be read, so that nothing can load it."""
    try:
        return engine_record.from_json(engine_record.beside(engine).read_text(encoding="utf-8")).options
    except (OSError, ValueError):
        return None


def _largest(engine: Path) -> int:
    """The largest batch of an engine, 0 where it is unknown."""
    options = _options(engine)
    return options.max_batch if options else 0


def _age(path: Path) -> float:
    """A sort key: the newest file comes first."""
    return -path.stat().st_mtime


def _remove(engine: Path) -> None:
    try:
        for path in (engine, engine_record.beside(engine), engine.with_suffix(LOG_SUFFIX)):
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: is no longer needed, but cannot be removed (%s)", engine, error.strerror)
