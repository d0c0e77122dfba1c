"""`korsal-convert quantize --quantizer modelopt`: INT8 by NVIDIA's Model Optimizer. Shell over a separate process.

It decides itself where to put Q/DQ: as our own quantiser around convolutions, and where TensorRT fuses additions and
resizing with them. The first and last convolutions, the decoding and `keep` stay as they are here too.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from convert import onnx_file
from convert import quantize as ours
from convert.calibration import Input
from convert.modelopt_process import ABSENT, IMAGES, MODEL, OUTPUT
from convert.quantize import Method, QuantizeError, QuantizeSettings
from edge import packages
from edge.engines import memory_file
from edge.manifest import Manifest
from edge.terminal.progress import Progress

DEFAULT_METHOD: Method = "minmax"
METHODS = {"entropy": "entropy", "minmax": "max"}


def quantize(source: Path, output: Path, images: Iterable[Input], settings: QuantizeSettings) -> Manifest:
    """As `convert.quantize.quantize`, by modelopt. Raises QuantizeError, OnnxFileError, and what `images` raises."""
    check_settings(settings)
    model, manifest = ours.open_model(source)
    ours.check_kept(model, settings)
    kept = sorted({*settings.keep, *ours.always_kept(model)})
    frames = _together(list(ours.checked_shapes(images, manifest)))
    with Progress("quantising with modelopt", ""):
        quantised = _quantised(source, model, frames, METHODS[settings.method], kept)
    _check_kept(source, quantised, kept)
    changed = int8_manifest(manifest, settings)
    memory_file.copy_beside(source, output, changed.memory)
    onnx_file.write(quantised, changed, output)
    return changed


def check_settings(settings: QuantizeSettings) -> None:
    """Before the long part: QuantizeError where modelopt is missing, or does not support the settings."""
    if settings.method not in METHODS:
        raise QuantizeError(f"--method {settings.method}: modelopt has {' and '.join(METHODS)}; choose one of them")
    if settings.target != "tensorrt":
        raise QuantizeError(f"--target {settings.target}: modelopt quantises for TensorRT; use --quantizer onnxruntime")
    if find_spec("modelopt") is None:
        raise QuantizeError(f"--quantizer modelopt: it is not installed; {packages.MODELOPT}")


def int8_manifest(manifest: Manifest, settings: QuantizeSettings) -> Manifest:
    """The manifest of the INT8 file, which names the quantiser too."""
    changed = ours.int8_manifest(manifest, settings)
    noted = {**changed.training["quantisation"], "quantizer": "modelopt"}
    return replace(changed, training={**changed.training, "quantisation": noted})


def _together(frames: Sequence[Input]) -> Input:
    """The inputs of several frames as one batch."""
    return {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]} if frames else {}


def _quantised(source: Path, model: onnx.ModelProto, frames: Input, method: str, kept: list[str]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            onnx.save(model, folder / MODEL)
            np.savez(folder / IMAGES, **frames)  # type: ignore[arg-type]  # no name is one of its options
        except OSError as error:
            raise QuantizeError(f"{folder}: cannot be written ({error.strerror}); free space or set TMPDIR") from error
        _run(source, folder, method, kept)
        return onnx.load(folder / OUTPUT)


def _run(source: Path, folder: Path, method: str, kept: list[str]) -> None:
    """modelopt on what lies in `folder`. Raises QuantizeError."""
    root = Path(__file__).parent.parent  # where `convert` lies
    paths = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "convert.modelopt_process", str(folder), method, *kept],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if done.returncode == ABSENT:
        raise QuantizeError(f"--quantizer modelopt: it is not installed whole ({reason}); {packages.MODELOPT}")
    if done.returncode or not (folder / OUTPUT).is_file():
        raise QuantizeError(f"{source}: modelopt does not quantise it ({reason}); use --quantizer onnxruntime")


def _check_kept(source: Path, quantised: onnx.ModelProto, kept: list[str]) -> None:
    """Of what was to stay, nothing may read INT8. Raises QuantizeError."""
    rounded = {name for node in quantised.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    for node in quantised.graph.node:
        if node.name in kept and rounded.intersection(node.input):
            raise QuantizeError(f"{source}: modelopt quantised {node.name} against --keep; use --quantizer onnxruntime")
