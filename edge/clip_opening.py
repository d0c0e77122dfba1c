"""Opens both networks of a model that sees clips in TensorRT, each an engine of its own of the one file. Shell."""

from dataclasses import replace
from pathlib import Path

from edge import model_files
from edge.clip_branch import ClipBranch
from edge.clip_inference import seeing_clips
from edge.engines.engine_cache import EngineCache
from edge.engines.tensorrt_build_plan import BuildOptions
from edge.inference import LoadedEngine


def open_built(cache: EngineCache, onnx: Path, options: BuildOptions) -> LoadedEngine:
    """The engine of the model at `onnx`, of one that sees clips both, with the same options.

    Raises what `cache.open` raises; where one of the two cannot be built, neither is left open.
    """
    opened = cache.open(onnx, options)
    if opened.engine.manifest.clip is None:
        return opened
    try:
        branch = cache.open(onnx, replace(options, part="clip"))
    except BaseException:
        opened.close()
        raise
    made = ClipBranch(branch.engine.infer, branch.engine.largest_batch)
    both = replace(opened, engine=seeing_clips(opened.engine, made), beside=branch)
    return both.noting(branch.engine.fallback)


def expected(cache: EngineCache, onnx: Path, options: BuildOptions) -> tuple[Path, str]:
    """As `cache.expected`, of a model that sees clips for both engines: where the detector's lies."""
    file = model_files.read(onnx)
    place, notice = cache.expected(onnx, options)
    if file is not None and file.manifest.clip is not None:
        further = cache.expected(onnx, replace(options, part="clip"))[1]
        notice = "; ".join(filter(None, (notice, further)))
    return place, notice
