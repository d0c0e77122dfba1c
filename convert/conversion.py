"""The whole conversion: weights → ONNX → INT8 or FP16, compared with FP32 → TensorRT engine, where TensorRT is. Shell.

Where INT8 loses too much accuracy, more convolutions are kept in floating point; then FP16 takes its place.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from convert import calibration, export, fp16, graft, onnx_file, quantize, sensitivity
from convert.build import OF_TWO
from convert.calibration import Input
from convert.check import CheckData
from convert.conversion_engine import build_engine
from convert.gate import Gate
from convert.graft_file import graft_file
from convert.quantize import QuantizeSettings
from convert.source_model import SourceModel
from edge.engines import memory_file
from edge.engines.tensorrt_build_plan import BuildOptions, Precision
from edge.text import Notify
from train.datasets.annotation_records import DataSet
from train.evaluation.evaluation import EvaluationRun

Chosen = TypeVar("Chosen")

ATTEMPTS = 3  # at INT8, each with more convolutions kept
MORE_KEPT = 4  # convolutions, after each attempt that failed
SENSITIVITY_IMAGES = 8
COMPARED_IMAGES = 32  # of the calibration frames
EVENT_VIDEOS = 4  # videos that both models run over for their events


@dataclass(frozen=True)
class ConversionOptions:
    """What to make: `<name>.onnx`, FP32, beside it the file of another precision, and the engine of that.

    `run` measures accuracy on `data`.
    """

    source: SourceModel
    name: Path
    precision: Precision
    calibrate: tuple[Path, ...] = ()  # videos, or folders of them
    frames: int = calibration.DEFAULT_FRAMES
    quantization: QuantizeSettings = QuantizeSettings()
    data: DataSet | None = None
    run: EvaluationRun | None = None
    max_drop: float = 1.0  # points of frame-mAP@0.5
    build: BuildOptions = BuildOptions()
    with_motion: bool = False  # preprocessing and motion map inside; so it is in any case where the source has them

    def file(self, ending: str) -> Path:
        """One of the files to write, by what follows the name."""
        return self.name.with_name(f"{self.name.name}{ending}")

    @property
    def compared(self) -> int:
        """How many of the calibration frames the models are compared on."""
        return min(COMPARED_IMAGES, self.frames)

    @property
    def builds_engine(self) -> bool:
        """False for files that are made for ONNX Runtime on CPUs."""
        return self.quantization.target != "cpu"

    @property
    def prepares(self) -> bool:
        """Whether what is made prepares frames itself: not for ONNX Runtime on CPUs, where that is slower."""
        return (self.with_motion or self.source.prepares) and self.builds_engine

    @property
    def videos(self) -> tuple[Path, ...]:
        """The calibration videos, which FP32 can do without. Raises CalibrationError."""
        return calibration.videos(self.calibrate) if self.calibrate or self.precision != "fp32" else ()


def convert(options: ConversionOptions, notify: Notify) -> tuple[Path, ...]:
    """Run all steps; returns the files to use: the ONNX, and the engine if one was built. Raises what steps raise."""
    files, manifest = options.videos, options.source.manifest
    if options.prepares:
        graft.check(manifest)
    pairs = calibration.fitted_pairs(files, manifest, options.frames, options.source.beside) if files else ()
    frames = tuple(pairs)
    images = tuple(calibration.network_input(pair, manifest) for pair in frames)
    if images:
        notify(f"{len(images)} frames of {len(files)} videos to calibrate and to compare with")
    compared = _evenly(frames, options.compared)
    exact = _fp32(options, _evenly(images, options.compared), notify)
    data = CheckData(compared, files[:EVENT_VIDEOS], options.data, options.run) if frames else None
    gate = Gate(exact, data, options.max_drop, notify)
    made = (exact,) if options.precision == "fp32" else _reduced(options, images, gate)
    if not options.builds_engine:
        return made
    if manifest.clip is not None:
        notify(f"{made[0]}: {OF_TWO}")
        return made
    engine = build_engine(made[0], options.file(".engine"), options.build, gate, made[1] if made[1:] else None)
    return (*made, engine) if engine else made


def _evenly(images: tuple[Chosen, ...], count: int) -> tuple[Chosen, ...]:
    """`count` of the images, evenly over them, or all where there are fewer."""
    count = min(count, len(images))
    return tuple(images[i * len(images) // count] for i in range(count))


def _fp32(options: ConversionOptions, images: tuple[Input, ...], notify: Notify) -> Path:
    """The FP32 ONNX: the source itself, or what is exported from it."""
    checkpoint, source = options.source.checkpoint, options.source
    target = options.file(".onnx")
    if checkpoint is not None:
        _, parity = export.export(checkpoint, target, images=images)
        notify(f"{target}: exported, {export.parity_as_text(parity, len(images))}")
    elif options.precision != "fp32" or source.prepares or not options.prepares:
        memory_file.copy_beside(source.path, target, source.manifest.memory)
        return source.path
    if options.prepares:
        _graft(target if checkpoint else source.path, target, notify)
    return target


def _graft(source: Path, target: Path, notify: Notify) -> None:
    """Put preprocessing and motion map inside."""
    _, found = graft_file(source, target)
    notify(f"{target}: {found.as_text()}")


def _reduced(options: ConversionOptions, images: tuple[Input, ...], gate: Gate) -> tuple[Path, ...]:
    """The ONNX of the requested precision, or FP16 where INT8 loses too much.

    After INT8 for TensorRT comes the same with the rest in FP16, for TensorRT 10 and later.
    """
    if options.precision != "int8" or (made := _int8(options, images, gate)) is None:
        return (_fp16(options, gate),)
    rest = _fp16_around_int8(options, made, gate) if options.builds_engine else None
    return (made, rest) if rest else (made,)


def _int8(options: ConversionOptions, images: tuple[Input, ...], gate: Gate) -> Path | None:
    """The INT8 file, or None where it loses too much in every attempt."""
    target, requested = options.file("-int8.onnx"), options.quantization
    model, manifest = quantize.open_model(gate.exact)
    quantize.check_kept(model, requested)
    ranges = quantize.calibrate(gate.exact, images, requested)
    settings, losses = requested, None
    with onnx_file.candidate(target) as made:
        for attempt in range(1, ATTEMPTS + 1):
            quantised = quantize.with_ranges(model, ranges, settings)
            onnx_file.write(quantised, quantize.int8_manifest(manifest, settings), made)
            if (lost := gate.refuses(made, target.name)) is None:
                _hand_over(made, target, options, gate)
                return target
            gate.notify(f"{target}: loses {lost:.2f} points, {options.max_drop:g} are allowed")
            if attempt < ATTEMPTS:
                few = images[:SENSITIVITY_IMAGES]
                losses = losses or tuple(sensitivity.sensitivity(model, ranges, few, requested))
                more = sensitivity.worst(losses, MORE_KEPT * attempt)
                settings = replace(requested, keep=(*requested.keep, *more))
                gate.notify(f"again with {len(more)} more convolutions in floating point: {', '.join(more)}")
    gate.notify("INT8 loses too much: falling back to FP16")
    return None


def _fp16_around_int8(options: ConversionOptions, int8: Path, gate: Gate) -> Path | None:
    """The INT8 file with the rest in FP16, or None where that loses too much."""
    target = options.file("-int8-fp16.onnx")
    with onnx_file.candidate(target) as made:
        fp16.convert_file(int8, made)
        if (lost := gate.refuses(made, target.name)) is not None:
            gate.notify(
                f"{target}: loses {lost:.2f} points, {options.max_drop:g} are allowed; TensorRT 10 and later take "
                f"{int8.name} too, and compute in FP32 what that does not quantise"
            )
            return None
        _hand_over(made, target, options, gate)
    return target


def _fp16(options: ConversionOptions, gate: Gate) -> Path:
    target = options.file("-fp16.onnx")
    with onnx_file.candidate(target) as made:
        fp16.convert_file(gate.exact, made)
        if (lost := gate.refuses(made, target.name)) is not None:
            raise quantize.QuantizeError(
                f"FP16 loses {lost:.2f} points of frame-mAP@0.5, {options.max_drop:g} are allowed; "
                f"use {gate.exact}, or allow more with --max-map-drop"
            )
        _hand_over(made, target, options, gate)
    return target


def _hand_over(made: Path, target: Path, options: ConversionOptions, gate: Gate) -> None:
    """Put what has passed into its place, with its preprocessing inside if it is to have that."""
    if options.prepares:
        _graft(made, target, gate.notify)
    else:
        onnx_file.accept(made, target)
