"""All steps in a row: weights → ONNX → INT8 or FP16, checked against FP32 → TensorRT engine, where TensorRT is. Shell.

Where INT8 loses too much, more is kept in floating point; then FP16 takes its place.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from convert import calibration, export, onnx_file, quantize, sensitivity
from convert import fp16 as halve
from convert.calibration import Input
from convert.check import CheckData
from convert.engine import engine
from convert.gate import Gate, Tell
from convert.quantize import QuantizeSettings
from edge.engines.build_plan import BuildOptions
from edge.manifest import Manifest
from train import checkpoint as checkpoints
from train.datasets.annotations import DataSet
from train.evaluation.evaluation import EvaluationRun

Precision = Literal["int8", "fp16", "fp32"]
ATTEMPTS = 3  # at INT8, each with more convolutions kept
MORE_KEPT = 4  # convolutions, after each attempt that failed
SENSITIVITY_IMAGES = 8
COMPARED_IMAGES = 32  # of those to calibrate with
EVENT_VIDEOS = 4  # videos that are played through both models for their events


@dataclass(frozen=True)
class Wish:
    """What to make: `<name>.onnx`, FP32, beside it the file of another precision, and the engine of that.

    `run` measures accuracy on `data`; `options` are those of the engine.
    """

    weights: Path
    name: Path
    precision: Precision
    calibrate: tuple[Path, ...] = ()
    frames: int = calibration.DEFAULT_FRAMES
    settings: QuantizeSettings = QuantizeSettings()
    data: DataSet | None = None
    run: EvaluationRun | None = None
    max_drop: float = 1.0  # points of frame-mAP@0.5
    options: BuildOptions = BuildOptions()

    def file(self, ending: str) -> Path:
        """One of the files, by what follows the name."""
        return self.name.with_name(f"{self.name.name}{ending}")

    @property
    def compared(self) -> int:
        """How many frames the models are compared on, of those to calibrate with."""
        return min(COMPARED_IMAGES, self.frames)

    @property
    def builds(self) -> bool:
        """False for files that are made for ONNX Runtime on CPUs."""
        return self.settings.target != "cpu"

    @property
    def videos(self) -> tuple[Path, ...]:
        """Of real frames; FP32 does without. Raises CalibrationError."""
        return calibration.videos(self.calibrate) if self.calibrate or self.precision != "fp32" else ()


def convert(wish: Wish, tell: Tell) -> tuple[Path, ...]:
    """Do all of it and return the files to use: the ONNX, and the engine if one was built. Raises what steps raise."""
    manifest = manifest_of(wish.weights)
    files = wish.videos
    images = tuple(calibration.inputs(files, manifest, wish.frames)) if files else ()
    if images:
        tell(f"{len(images)} frames of {len(files)} videos to calibrate and to compare with")
    few = _evenly(images, wish.compared)
    source = _onnx(wish, few, tell)
    material = CheckData(few, files[:EVENT_VIDEOS], wish.data, wish.run) if images else None
    gate = Gate(source, material, wish.max_drop, tell)
    made = source if wish.precision == "fp32" else _smaller(wish, images, gate)
    built = engine(made, wish.file(".engine"), wish.options, gate) if wish.builds else None
    return (made, built) if built else (made,)


def _evenly(images: tuple[Input, ...], count: int) -> tuple[Input, ...]:
    """So many of them, or all where there are fewer."""
    count = min(count, len(images))
    return tuple(images[i * len(images) // count] for i in range(count))


def manifest_of(weights: Path) -> Manifest:
    """Of an FP32 ONNX or a checkpoint. Raises QuantizeError, OnnxFileError, EngineError, CheckpointError."""
    if weights.suffix == ".onnx":
        return quantize.open_model(weights)[1]
    return checkpoints.load(weights).manifest


def _onnx(wish: Wish, images: tuple[Input, ...], tell: Tell) -> Path:
    """The FP32 ONNX: the weights themselves, or what is exported from them."""
    if wish.weights.suffix == ".onnx":
        return wish.weights
    target = wish.file(".onnx")
    _, found = export.export(wish.weights, target, images=images)
    tell(f"{target}: exported, {export.parity_as_text(found, len(images))}")
    return target


def _smaller(wish: Wish, images: tuple[Input, ...], gate: Gate) -> Path:
    """The ONNX of the wanted precision, or FP16 where INT8 loses too much."""
    return (_int8(wish, images, gate) if wish.precision == "int8" else None) or _fp16(wish, gate)


def _int8(wish: Wish, images: tuple[Input, ...], gate: Gate) -> Path | None:
    """The INT8 file, or None where it loses too much however much is kept."""
    target = wish.file("-int8.onnx")
    model, manifest = quantize.open_model(gate.exact)
    quantize.check_kept(model, wish.settings)
    ranges = quantize.calibrate(gate.exact, images, wish.settings)
    settings, losses = wish.settings, None
    with onnx_file.candidate(target) as made:
        for attempt in range(1, ATTEMPTS + 1):
            quantised = quantize.with_ranges(model, ranges, settings)
            onnx_file.write(quantised, quantize.int8_manifest(manifest, settings), made)
            if (lost := gate.refuses(made, target.name)) is None:
                onnx_file.accept(made, target)
                return target
            gate.tell(f"{target}: loses {lost:.2f} points, {wish.max_drop:g} are allowed")
            if attempt < ATTEMPTS:
                few = images[:SENSITIVITY_IMAGES]
                losses = losses or tuple(sensitivity.sensitivity(model, ranges, few, wish.settings))
                more = sensitivity.worst(losses, MORE_KEPT * attempt)
                settings = replace(wish.settings, keep=(*wish.settings.keep, *more))
                gate.tell(f"again with {len(more)} more convolutions in floating point: {', '.join(more)}")
    gate.tell("INT8 loses too much: falling back to FP16")
    return None


def _fp16(wish: Wish, gate: Gate) -> Path:
    target = wish.file("-fp16.onnx")
    with onnx_file.candidate(target) as made:
        halve.convert_file(gate.exact, made)
        if (lost := gate.refuses(made, target.name)) is not None:
            raise quantize.QuantizeError(
                f"FP16 loses {lost:.2f} points of frame-mAP@0.5, {wish.max_drop:g} are allowed; "
                f"use {gate.exact}, or allow more by --max-map-drop"
            )
        onnx_file.accept(made, target)
    return target
