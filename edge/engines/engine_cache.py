"""Builds the TensorRT engine of an ONNX model at the first start, and keeps it for later ones. Shell.

An engine is kept in `<directory>/<name of the model>/<key>.engine`. The key covers the model and everything that an
engine depends on, so that a new model, JetPack or option leads to another file. An engine that the same options made
of an older model of that name, or for another TensorRT or GPU, is removed only when the new one has answered; until
then it is used where the new one cannot be built. Engines of other options stay: a daemon and a replay side by side
may need two batches or precisions, and would otherwise keep rebuilding each other's. So there is one for each set of
options in use. What cannot be built is remembered: `failed_builds`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.engines import build_lock, cached_engines, engine_build, failed_builds
from edge.engines.build_progress import BuildProgress, percent_messages
from edge.engines.cached_engines import LOG_SUFFIX, SUFFIX
from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.tensorrt_build_plan import BuildOptions, PlanError, Platform, Precision, as_precision, engine_key
from edge.engines.tensorrt_builder import EngineBuildError
from edge.engines.tensorrt_engine import load
from edge.engines.tensorrt_errors import TensorRtError
from edge.files import sha256_of
from edge.inference import EngineError, LoadedEngine
from edge.text import Notify

log = logging.getLogger(__name__)

TIMINGS = "timing.cache"
KEY_DIGITS = 16  # of the key in the file's name


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
        """The engine of that model, built if need be, once it has answered. Raises EngineCacheError.

        `options.part` says of which part; those of a memory and of clips are kept beside the detector's.
        """
        target = self.place(onnx, options)
        try:
            if (loaded := self._known(onnx, target, options)) is not None:
                return loaded
            with build_lock.alone(target.parent, self._wait) as waited:
                changed = waited or failed_builds.refusal(target, alone=True)  # a build may have ended meanwhile
                found = self._known(onnx, target, options, alone=True) if changed else None
                return self._built(onnx, target, options) if found is None else found
        except OSError as error:
            raise EngineCacheError(
                f"{self.directory}: cannot be used ({error.strerror}); free space, or name a directory "
                "that this user may write to ([outbox] directory)"
            ) from error

    def expected(self, onnx: Path, options: BuildOptions) -> tuple[Path, str]:
        """Where the engine lies that `open` would give, built or not, and what it would note of it.

        Nothing is loaded: what records and notes say counts. Raises EngineCacheError.
        """
        target = self.place(onnx, options)
        if not (refusal := failed_builds.refusal(target)):
            return target, ""
        fitting = (sha256_of(onnx), self._platform())
        for previous in self._alike(onnx, target, options):
            record = cached_engines.record_of(previous)
            if record and (record.onnx_sha256, record.platform) == fitting:
                return previous, _in_place(refusal, previous)
        raise EngineCacheError(refusal)

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

    def _known(self, onnx: Path, target: Path, options: BuildOptions, alone: bool = False) -> LoadedEngine | None:
        """The engine in the cache; a previous one where building it has failed before; None where it is to be built.

        `alone`: the lock of the folder is held.
        """
        refusal = failed_builds.refusal(target, alone)
        if target.is_file():
            try:
                loaded = load(target, self.trt, self.cuda, options.part)
            except TensorRtError as error:
                log.warning("%s%s", error, "" if refusal else "; rebuilding it")
            else:
                if refusal:
                    failed_builds.forget(target)
                return loaded
        return self._previous(onnx, target, options, refusal) if refusal else None

    def _built(self, onnx: Path, target: Path, options: BuildOptions) -> LoadedEngine:
        """Build the engine, let it answer, remove what it replaces; where that fails, use a previous one."""
        part = _part(onnx, options)
        log.info("building the TensorRT engine of %s, once: this takes minutes", part)
        try:
            basis = engine_key(sha256_of(onnx), self._platform(), BuildOptions())
            with failed_builds.noted(part, target, basis):
                self._build(onnx, target, options)
                loaded = load(target, self.trt, self.cuda, options.part)
        except (EngineBuildError, TensorRtError, CudaError) as error:
            return self._previous(onnx, target, options, failed_builds.refusal(target, alone=True) or str(error))
        cached_engines.remove_outdated(target, basis)
        return loaded

    def _build(self, onnx: Path, target: Path, options: BuildOptions) -> None:
        what, timings = f"Building the TensorRT engine of {_part(onnx.name, options)}", target.parent / TIMINGS
        build_log = target.with_suffix(LOG_SUFFIX)
        self.announce(what)
        try:
            progress = self._progress(what)
            engine_build.build(self.trt, onnx, target, options, self._platform(), timings, progress, build_log)
        finally:
            self.announce("")
        self.check_stop()

    def _previous(self, onnx: Path, target: Path, requested: BuildOptions, reason: str) -> LoadedEngine:
        """The best other engine of the same model, precision and preprocessing that still runs here."""
        model = sha256_of(onnx)
        for previous in self._alike(onnx, target, requested):
            try:
                loaded = load(previous, self.trt, self.cuda, requested.part)
            except TensorRtError as fault:
                log.info("%s", fault)
                continue
            if loaded.engine.sha256 == model:
                notice = _in_place(reason, previous)
                log.error("%s", notice)
                return loaded.noting(notice)
            loaded.close()
        raise EngineCacheError(reason)

    def _alike(self, onnx: Path, target: Path, requested: BuildOptions) -> list[Path]:
        return cached_engines.alike(target, replace(requested, precision=_precision(onnx, requested)))

    def _platform(self) -> Platform:
        return engine_build.platform_of(self.trt, self.cuda.device())

    def _progress(self, what: str) -> BuildProgress:
        """Announce each phase and each tenth of it; check at every step whether to stop."""
        announce_percent = percent_messages(lambda text: self.announce(f"{what}: {text}"))

        def progress(phase: str, step: int, steps: int) -> None:
            self.check_stop()
            announce_percent(phase, step, steps)

        return progress

    def _wait(self) -> None:
        self.announce("Waiting for another korsal-edge that builds the same engine")
        self.check_stop()


def _in_place(reason: str, previous: Path) -> str:
    return f"{reason}; using the previous engine {previous}"


def _part(model: str | Path, options: BuildOptions) -> str:
    """What is built, in words: the model, or a part of it."""
    return {"memory": f"the memory of {model}", "clip": f"the clips' network of {model}"}.get(options.part, str(model))


def _precision(onnx: Path, options: BuildOptions) -> Precision | None:
    """The precision to build: as requested, else that of the file; None where that cannot be read."""
    if options.part == "memory":
        return "fp32"
    try:
        return options.precision or as_precision(engine_build.read_model(onnx)[1].precision)
    except (EngineBuildError, PlanError):
        return None
