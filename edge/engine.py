"""ONNX Runtime: a model file becomes `infer`, the seam that every runtime shares. Shell."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import manifest as manifests
from edge.inference import OUTPUTS, Engine, Infer
from edge.manifest import Manifest, ManifestError


class EngineError(Exception):
    """A model that cannot be run."""


def load(path: Path, threads: int = 0, providers: Sequence[str] = ()) -> Engine:
    """Open the ONNX model at `path`. Raises EngineError.

    `threads` for one operator, 0 for as many as there are cores; `providers` are ONNX Runtime's
    execution providers in order of preference, the CPU's always last. The model answers once, on
    zeros, before this returns.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError("onnxruntime is not installed: pip install 'korsal-edge[cpu]'") from error
    if not path.is_file():
        raise EngineError(f"{path}: no such model; give an ONNX file that korsal-convert wrote")
    session = _session(onnxruntime, path, threads, providers)
    manifest = _manifest(session, path)
    _check_interface(session, manifest, path)
    infer = _runner(session, _failures(), path)
    loaded = Engine(infer, manifest, sha256_of(path), f"onnxruntime {onnxruntime.__version__}")
    _answer_once(loaded, path)
    return loaded


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _session(onnxruntime: Any, path: Path, threads: int, providers: Sequence[str]) -> Any:
    missing = [name for name in providers if name not in onnxruntime.get_available_providers()]
    if missing:
        available = ", ".join(onnxruntime.get_available_providers())
        raise EngineError(f"model.providers: this onnxruntime has no {missing[0]}; it has {available}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    chosen = [*providers, "CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(dict.fromkeys(chosen)))
    except _failures() as error:
        raise EngineError(
            f"{path}: onnxruntime cannot load it ({_first_line(error)}); export or copy it anew"
        ) from error


def _failures() -> tuple[type[Exception], ...]:
    """What onnxruntime raises of its own: a class for each status, without a common base, more with each release."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, RuntimeError, ValueError)


def _manifest(session: Any, path: Path) -> Manifest:
    text = session.get_modelmeta().custom_metadata_map.get(manifests.METADATA_KEY)
    if text is None:
        raise EngineError(f"{path}: has no korsal-edge manifest; export it with korsal-convert export")
    try:
        return manifests.from_json(text)
    except ManifestError as error:
        raise EngineError(f"{path}: {error}") from error


def _check_interface(session: Any, manifest: Manifest, path: Path) -> None:
    """The network must be what its manifest says: one input of that shape, the four outputs."""
    wanted = (manifest.channels, manifest.height, manifest.width)
    inputs = {i.name: tuple(i.shape[1:]) for i in session.get_inputs()}
    if inputs != {"image": wanted}:
        raise EngineError(
            f"{path}: its input is {inputs}, but its manifest says image {wanted} "
            "(channels, height, width); export it again"
        )
    absent = [name for name in OUTPUTS if name not in {o.name for o in session.get_outputs()}]
    if absent:
        raise EngineError(f"{path}: has no output {absent[0]}; export it with korsal-convert export")


def _runner(session: Any, failures: tuple[type[Exception], ...], path: Path) -> Infer:
    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        try:
            return dict(zip(OUTPUTS, session.run(OUTPUTS, dict(inputs)), strict=True))
        except failures as error:
            raise EngineError(f"{path}: does not run ({_first_line(error)}); export it again") from error

    return infer


def _answer_once(engine: Engine, path: Path) -> None:
    manifest = engine.manifest
    zeros = np.zeros((1, manifest.channels, manifest.height, manifest.width), np.float32)
    shapes = {name: value.shape for name, value in engine.infer({"image": zeros}).items()}
    peaks, classes = manifest.top_k, len(manifest.labels)
    wanted = {
        "boxes": (1, peaks, 4),
        "scores": (1, peaks),
        "labels": (1, peaks),
        "class_scores": (1, peaks, classes),
    }
    wrong = [name for name in OUTPUTS if shapes[name] != wanted[name]]
    if wrong:
        raise EngineError(
            f"{path}: its output {wrong[0]} is {shapes[wrong[0]]}, but its manifest says {wanted[wrong[0]]} "
            f"({peaks} peaks, {classes} actions); export it again"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
