"""The whole conversion: weights → ONNX → INT8 or FP16, compared with FP32 → TensorRT engine, where TensorRT is. Shell.

Where INT8 loses too much accuracy, more convolutions are kept in floating point; then FP16 takes its place.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from convert import build, calibration, export, fp16, onnx_file, quantize, sensitivity
from convert.calibration import Input
from convert.check import CheckData, CheckError, as_text, check_files
from convert.quantize import QuantizeSettings
from convert.source_model import SourceModel
from edge.engines import engine_files, tensorrt_engine
from edge.engines.tensorrt_build_plan import BuildOptions, Precision
from edge.engines.tensorrt_builder import EngineBuildError
from edge.engines.tensorrt_errors import TensorRtError
from edge.text import Notify
from train.datasets.annotation_records import DataSet
from train.evaluation.evaluation import EvaluationRun, evaluate

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
    def videos(self) -> tuple[Path, ...]:
        """The calibration videos, which FP32 can do without. Raises CalibrationError."""
        return calibration.videos(self.calibrate) if self.calibrate or self.precision != "fp32" else ()


@dataclass(frozen=True)
class Gate:
    """Compares what was made with `exact`, the FP32 ONNX, and refuses what loses too much.

    `data` is None without calibration videos; `max_drop` is in points of frame-mAP@0.5.
    """

    exact: Path
    data: CheckData | None
    max_drop: float
    notify: Notify

    def refuses(self, made: Path, name: str) -> float | None:
        """The points that `made` loses where these are too many, else None; it is reported under `name`.

        Without a measurement of accuracy it passes, and the report says so. Raises what `check_files` raises.
        """
        if self._data_with_scores is None:
            self.notify(f"{name}: not compared with FP32; give --calibrate VIDEO")
            return None
        checked = check_files(self.exact, made, self._data_with_scores)
        self.notify(as_text(checked, (self.exact.name, name)))
        return checked.lost if checked.lost > self.max_drop else None

    @cached_property
    def _data_with_scores(self) -> CheckData | None:
        """The data with the scores of the exact model, measured once for all that is compared with it."""
        if self.data is None or self.data.data is None or self.data.run is None:
            return self.data
        return replace(self.data, exact=evaluate(self.exact, self.data.data, self.data.run))


def convert(options: ConversionOptions, notify: Notify) -> tuple[Path, ...]:
    """Run all steps; returns the files to use: the ONNX, and the engine if one was built. Raises what steps raise."""
    files = options.videos
    manifest = options.source.manifest
    frames = tuple(calibration.fitted_pairs(files, manifest, options.frames)) if files else ()
    images = tuple(calibration.network_input(pair, manifest) for pair in frames)
    if images:
        notify(f"{len(images)} frames of {len(files)} videos to calibrate and to compare with")
    exact = _fp32(options, _evenly(images, options.compared), notify)
    data = (
        CheckData(_evenly(frames, options.compared), files[:EVENT_VIDEOS], options.data, options.run)
        if images
        else None
    )
    gate = Gate(exact, data, options.max_drop, notify)
    made = exact if options.precision == "fp32" else _reduced(options, images, gate)
    engine = build_engine(made, options.file(".engine"), options.build, gate) if options.builds_engine else None
    return (made, engine) if engine else (made,)


def _evenly(images: tuple[Chosen, ...], count: int) -> tuple[Chosen, ...]:
    """`count` of the images, evenly over them, or all where there are fewer."""
    count = min(count, len(images))
    return tuple(images[i * len(images) // count] for i in range(count))


def _fp32(options: ConversionOptions, images: tuple[Input, ...], notify: Notify) -> Path:
    """The FP32 ONNX: the source itself, or what is exported from it."""
    checkpoint = options.source.checkpoint
    if checkpoint is None:
        return options.source.path
    target = options.file(".onnx")
    _, parity = export.export(checkpoint, target, images=images)
    notify(f"{target}: exported, {export.parity_as_text(parity, len(images))}")
    return target


def _reduced(options: ConversionOptions, images: tuple[Input, ...], gate: Gate) -> Path:
    """The ONNX of the requested precision, or FP16 where INT8 loses too much."""
    return (_int8(options, images, gate) if options.precision == "int8" else None) or _fp16(options, gate)


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
                onnx_file.accept(made, target)
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


def _fp16(options: ConversionOptions, gate: Gate) -> Path:
    target = options.file("-fp16.onnx")
    with onnx_file.candidate(target) as made:
        fp16.convert_file(gate.exact, made)
        if (lost := gate.refuses(made, target.name)) is not None:
            raise quantize.QuantizeError(
                f"FP16 loses {lost:.2f} points of frame-mAP@0.5, {options.max_drop:g} are allowed; "
                f"use {gate.exact}, or allow more with --max-map-drop"
            )
        onnx_file.accept(made, target)
    return target


def build_engine(onnx: Path, target: Path, options: BuildOptions, gate: Gate) -> Path | None:
    """Build `target` from `onnx` and compare it with FP32; without TensorRT None, and a hint how to build it.

    Raises CheckError where it loses too much, EngineBuildError, CudaError, and what the gate raises. In these cases
    `target` keeps its old content.
    """
    try:
        trt, cuda = tensorrt_engine.bindings()
    except TensorRtError as error:
        gate.notify(f"{target}: {_build_hint(onnx, target, options)}; not here: {error}")
        return None
    with engine_files.candidate(target) as made:

        def notify(message: str) -> None:  # under the name that the engine is to have
            gate.notify(message.replace(made.name, target.name))

        build.build(onnx, made, options, notify, trt, cuda.device())
        if (lost := gate.refuses(made, target.name)) is not None:
            raise CheckError(
                f"{target}: its engine loses {lost:.2f} points of frame-mAP@0.5, {gate.max_drop:g} are allowed; "
                f"choose another --precision, or allow more with --max-map-drop ({onnx} itself has passed)"
            )
        try:
            engine_files.move(made, target)
        except OSError as error:
            raise EngineBuildError(f"{target}: cannot be written ({error.strerror}); choose another -o") from error
    return target


def _build_hint(onnx: Path, target: Path, options: BuildOptions) -> str:
    """How the engine is built where TensorRT is."""
    batch = f" --max-batch {options.max_batch}" if options.max_batch > 1 else ""
    return (
        f"is built on the Jetson, by korsal-convert build {onnx.name} -o {target.name}{batch}, "
        f"or by the daemon at its first start with {onnx.name}"
    )
