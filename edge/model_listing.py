"""A model's files, what is in each, and which of them runs on which device, in lines for a reader. Shell."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge import model_files
from edge.clip_branch import clip_summary
from edge.config.schema import ModelConfig
from edge.engines import memory_file
from edge.engines.memory_file import MemoryFileError, memory_path
from edge.engines.tensorrt_build_plan import known_members
from edge.expected_model import ExpectedModel, expected_model
from edge.inference import memory_summary
from edge.manifest import Manifest
from edge.model_choice import Device, ModelFile, OnnxRuntimeDevice, TensorRtDevice, choose, file_kind
from edge.text import sanitized

KINDS = {
    "fp32": "FP32",
    "fp16": "FP16 between the first and last convolutions",
    "int8": "INT8 for TensorRT, the rest in FP32",
    "int8-fp16": "INT8 for TensorRT, the rest in FP16",
    "int8-cpu": "INT8 for ONNX Runtime on CPUs",
}
EXAMPLES: Sequence[tuple[str, Device]] = (  # by the rule itself, not from memory: see _elsewhere
    ("CPUs", OnnxRuntimeDevice()),
    ("Jetson Orin with JetPack 6.0", TensorRtDevice((8, 6), known_members((8, 6)), (8, 7))),
    ("Jetson Orin with JetPack 6.1, 6.2, 7.2", TensorRtDevice((10, 3), known_members((10, 3)), (8, 7))),
    ("Jetson Thor", TensorRtDevice((10, 13), known_members((10, 13)), (11, 0))),
    ("GPUs without fast INT8", TensorRtDevice((10, 3), known_members((10, 3)), (6, 0))),
)


def listed(named: ModelFile, settings: ModelConfig, state: Path) -> Iterator[str]:
    """The lines about the file at [model] path and those beside it. `state`: the directory that keeps engines."""
    found = list(model_files.beside(named))
    files = [named, *(file for file, reason in found if not reason)]
    manifest = named.manifest
    motion = "no motion map" if manifest.motion.kind == "none" else f"motion map {manifest.motion.kind}"
    yield f"{manifest.name}, {manifest.width}x{manifest.height}, {motion}: {', '.join(manifest.labels)}"
    yield from _memory(named)
    if manifest.clip is not None:
        yield clip_summary(manifest)
    expected = expected_model(named.path, settings, state)
    for file in files:
        yield ""
        yield f"{'*' if expected.file == file.path else ' '} {file.path}"
        yield f"    {file.size / 1e6:.1f} MB, {KINDS[file_kind(file.manifest)]}{_scores(file.manifest)}"
        if places := list(_elsewhere(file, named, files)):
            yield f"    chosen on: {'; '.join(places)}"
    yield ""
    yield _here(expected)
    for file, reason in found:
        if reason:
            yield f"not a file of this model: {file.path} {reason}"


def _memory(named: ModelFile) -> Iterator[str]:
    """The memory that all files share: where it lies and its price, or what is wrong with it."""
    if (network := named.manifest.memory) is None:
        return
    try:
        size = len(memory_file.read(named.path, network))
    except MemoryFileError as error:
        yield f"memory: {error}"
        return
    where, told = memory_path(named.path, network), memory_summary(network, named.manifest.rate)
    yield f"memory {where}, {size / 1e6:.1f} MB: {told}"


def _here(expected: ExpectedModel) -> str:
    """What this machine runs, and why, as a sentence."""
    if expected.file is None:
        return f"* no file runs here: {expected.reason}"
    return f"* runs here, in {expected.precision.upper()}: {expected.reason}"


def _elsewhere(file: ModelFile, named: ModelFile, files: Sequence[ModelFile]) -> Iterator[str]:
    """On which devices `auto` takes this file."""
    for place, device in EXAMPLES:
        candidates = choose(named, files[1:], "auto", device).candidates
        if candidates and candidates[0].file.path == file.path:
            yield place
    on_cpus = choose(named, files[1:], "int8", OnnxRuntimeDevice()).candidates[0]
    if file_kind(file.manifest) == "int8-cpu" and on_cpus.file.path == file.path:
        yield 'CPUs with model.precision = "int8"'


def _scores(manifest: Manifest) -> str:
    """`, frame-mAP@0.5 68.05`, where the manifest knows it; of several data sets with their names."""
    scores: Any = manifest.training.get("scores")
    several = isinstance(scores, list)
    found = [_frame_map(one, several) for one in (scores if several else [scores])]
    return f", frame-mAP@0.5 {', '.join(known)}" if (known := [one for one in found if one]) else ""


def _frame_map(scores: Any, named: bool) -> str:
    """Of one report in a manifest, which anybody may have written; empty where there is none."""
    frame_map = scores.get("frame_map") if isinstance(scores, dict) else None
    score = frame_map.get("0.5") if isinstance(frame_map, dict) else None
    if not isinstance(score, int | float):
        return ""
    protocol = scores.get("protocol")
    data = protocol.get("data") if isinstance(protocol, dict) else None
    return f"{score:.2f} ({sanitized(str(data))})" if named else f"{score:.2f}"
