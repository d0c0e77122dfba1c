"""Opens the memory of a model whose detector is open, in TensorRT as the detector or else in ONNX Runtime. Shell."""

import logging
from dataclasses import replace
from pathlib import Path

from edge.engines import memory_file, onnxruntime_memory
from edge.engines.engine_cache import EngineCache
from edge.engines.memory_file import memory_path
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.inference import EngineError, LoadedEngine, StreamingMemory
from edge.manifest import Manifest
from edge.memory_network import MemoryNetwork

log = logging.getLogger(__name__)


def require_memory(path: Path, manifest: Manifest | None) -> None:
    """Raise EngineError where the memory of that model is missing or another: before builds that take minutes."""
    if manifest is not None and manifest.memory is not None:
        memory_file.read(path, manifest.memory)


def with_memory(opened: LoadedEngine, path: Path, threads: int) -> LoadedEngine:
    """The same with its memory, if it has one, in ONNX Runtime: where nothing builds engines. Raises EngineError.

    `path`: of the model, or of an engine of it: the memory lies beside. Where that fails, or this is one of the two
    engines of a model that sees clips, `opened` is closed.
    """
    if opened.engine.manifest.clip is not None and opened.engine.clip is None:
        opened.close()
        raise EngineError(f"{path}: is one of two engines of a model that sees clips; name the ONNX that both are of")
    try:
        memory = onnxruntime_memory.load(path, opened.engine.manifest, threads)
    except BaseException:
        opened.close()
        raise
    return replace(opened, engine=replace(opened.engine, memory=memory))


def with_built_memory(
    opened: LoadedEngine, path: Path, cache: EngineCache, options: BuildOptions, threads: int
) -> LoadedEngine:
    """The same with its memory, if it has one, as an engine from `cache`; where none can be built, in ONNX Runtime.

    `path`: of the model. Raises EngineError where neither runs it, and what `cache.check_stop` raises; then `opened` is
    closed.
    """
    manifest = opened.engine.manifest
    if manifest.memory is None:
        return opened
    try:
        built = cache.open(path, replace(options, precision=None, preprocessing="graph", part="memory"))
    except EngineError as error:
        instead = _instead(opened, path, threads, error)
        notice = f"{error}; ONNX Runtime runs the memory in its place, on the CPU"
        log.warning("%s", notice)
        return instead.noting(notice)
    except BaseException:
        opened.close()
        raise
    memory = _in_tensorrt(built, manifest, manifest.memory, path)
    return replace(opened, engine=replace(opened.engine, memory=memory), beside=built)


def _instead(opened: LoadedEngine, path: Path, threads: int, refused: EngineError) -> LoadedEngine:
    """The memory in ONNX Runtime, where TensorRT has refused it."""
    try:
        return with_memory(opened, path, threads)
    except EngineError as error:
        raise EngineError(f"{refused}; nor does ONNX Runtime run it: {error}") from refused


def _in_tensorrt(built: LoadedEngine, manifest: Manifest, network: MemoryNetwork, path: Path) -> StreamingMemory:
    """`manifest`: of the detector at `path`."""
    engine, beside = built.engine, memory_path(path, network)
    return StreamingMemory(engine.infer, network, manifest.rate, beside, engine.runtime, engine.largest_batch)
