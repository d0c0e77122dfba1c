"""All steps in a row: weights → ONNX → INT8 or FP16, checked against FP32; FP16 where INT8 loses too much. Shell."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from convert import calibration, export, halve, quantize, sensitivity
from convert.check import Checked, Material, as_text, check_files
from convert.quantize import QuantizeSettings
from train.annotations import DataSet
from train.evaluate import Run

Precision = Literal["int8", "fp16", "fp32"]
Tell = Callable[[str], None]
ATTEMPTS = 3  # at INT8, each with more convolutions kept
MORE_KEPT = 4  # convolutions, after each attempt that failed
SENSITIVITY_IMAGES = 8
EVENT_VIDEOS = 4  # videos that are played through both models for their events


@dataclass(frozen=True)
class Wish:
    """What to make: `<name>.onnx`, FP32, and beside it the file of another precision; `run` measures accuracy."""

    weights: Path
    name: Path
    precision: Precision
    calibrate: tuple[Path, ...] = ()
    frames: int = calibration.USUAL
    settings: QuantizeSettings = QuantizeSettings()
    data: DataSet | None = None
    run: Run | None = None
    max_drop: float = 1.0  # points of frame-mAP@0.5


def convert(wish: Wish, tell: Tell) -> Path:
    """Do all of it and return the file to use. Raises what the steps raise."""
    source = _onnx(wish, tell)
    if wish.precision == "fp32":
        return source
    files = calibration.videos(wish.calibrate)
    _, manifest = quantize.open_model(source)
    images = tuple(calibration.inputs(files, manifest, wish.frames))
    tell(f"{len(images)} frames of {len(files)} videos to calibrate and to compare with")
    material = Material(images[:: max(1, len(images) // 32)], files[:EVENT_VIDEOS], wish.data, wish.run)
    if wish.precision == "int8" and (made := _int8(wish, source, images, material, tell)):
        return made
    return _fp16(wish, source, material, tell)


def _onnx(wish: Wish, tell: Tell) -> Path:
    """The FP32 ONNX: the weights themselves, or what is exported from them."""
    if wish.weights.suffix == ".onnx":
        return wish.weights
    target = wish.name.with_suffix(".onnx")
    export.export(wish.weights, target)
    tell(f"{target}: exported, answers as torch does")
    return target


def _int8(
    wish: Wish, source: Path, images: tuple[calibration.Input, ...], material: Material, tell: Tell
) -> Path | None:
    """The INT8 file, or None where it loses too much however much is kept."""
    target = wish.name.with_name(f"{wish.name.name}-int8.onnx")
    model, manifest = quantize.open_model(source)
    ranges = quantize.calibrate(source, images, wish.settings)
    settings, losses = wish.settings, None
    for attempt in range(1, ATTEMPTS + 1):
        quantised = quantize.with_ranges(model, ranges, settings)
        quantize.write(quantised, quantize.described(manifest, settings), target)
        checked = _checked(source, target, material, tell)
        if not checked.lost > wish.max_drop:  # nan, nobody measured, is told and passes
            return target
        tell(f"{target}: loses {checked.lost:.2f} points, {wish.max_drop:g} are allowed")
        if attempt < ATTEMPTS:
            losses = losses or tuple(sensitivity.sensitivity(model, ranges, images[:SENSITIVITY_IMAGES], wish.settings))
            more = sensitivity.worst(losses, MORE_KEPT * attempt)
            settings = replace(wish.settings, keep=(*wish.settings.keep, *more))
            tell(f"again with {len(more)} more convolutions in floating point: {', '.join(more)}")
    target.unlink()
    tell("INT8 loses too much: falling back to FP16")
    return None


def _fp16(wish: Wish, source: Path, material: Material, tell: Tell) -> Path:
    target = wish.name.with_name(f"{wish.name.name}-fp16.onnx")
    halve.halve(source, target)
    checked = _checked(source, target, material, tell)
    if checked.lost > wish.max_drop:
        target.unlink()
        raise quantize.QuantizeError(
            f"FP16 loses {checked.lost:.2f} points of frame-mAP@0.5, {wish.max_drop:g} are allowed; "
            f"use {source}, or allow more by --max-map-drop"
        )
    return target


def _checked(source: Path, target: Path, material: Material, tell: Tell) -> Checked:
    checked = check_files(source, target, material)
    tell(as_text(checked, (source.name, target.name)))
    return checked
