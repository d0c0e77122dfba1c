"""ONNX and real frames → INT8 with Q/DQ; a file that carries its precision itself. Shell over onnx.

What is quantised are the inputs and weights of convolutions, symmetrically, weights per output channel, biases not:
TensorRT's parser takes no int32 biases, and fuses what lies between two convolutions by itself. The first
convolutions, the heads' last ones and the decoding stay as they are. For CPUs, `target = "cpu"`: unsigned,
asymmetric activations, weights in seven bits, for processors that lack VNNI add up pairs of products in 16 bits, and
additions and resizing quantised too, for ONNX Runtime fuses less.
"""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import shape_inference

from convert import onnx_file, onnx_graph
from convert.calibration import Input
from edge.clip import CLIP
from edge.engines import memory_file, onnxruntime_engine
from edge.manifest import WEIGHTS_KEY, Manifest, clip_shapes, input_shapes, quantisation
from edge.terminal.progress import Progress

Method = Literal["entropy", "percentile", "minmax"]
QuantizeTarget = Literal["tensorrt", "cpu"]
CHUNK = 8  # calibration frames, those of clips counted, whose activations are held in memory together
BINS = 1024  # of the histograms; twice as many take four times as long
LEVELS = 128  # of a symmetric int8 range, one side of it
PERCENTILE = 99.99
QUANTISED_OPERATORS = {"tensorrt": ("Conv", "ConvTranspose"), "cpu": ("Conv", "Add", "Resize")}


class QuantizeError(Exception):
    """A model that was not quantised."""


@dataclass(frozen=True)
class QuantizeSettings:
    """How to quantise. `keep` names further nodes that stay in floating point."""

    method: Method = "percentile"
    target: QuantizeTarget = "tensorrt"
    keep: tuple[str, ...] = ()


def quantize(source: Path, output: Path, images: Iterable[Input], settings: QuantizeSettings) -> Manifest:
    """Write the FP32 model `source` as INT8 to `output`; `images` are network inputs.

    Raises QuantizeError, OnnxFileError, and what `images` raises; `output` appears only when all went well.
    """
    model, manifest = open_model(source)
    check_kept(model, settings)
    ranges = calibrate(source, checked_shapes(images, manifest), settings)
    quantised = with_ranges(model, ranges, settings)
    changed = int8_manifest(manifest, settings)
    memory_file.copy_beside(source, output, changed.memory)
    onnx_file.write(quantised, changed, output)
    return changed


def int8_manifest(manifest: Manifest, settings: QuantizeSettings) -> Manifest:
    """The manifest of the INT8 file: with how it was made, without the scores of the FP32 model."""
    noted = {"method": settings.method, "target": settings.target, "keep": list(settings.keep)}
    return replace(manifest, precision="int8", training={**without_scores(manifest), "quantisation": noted})


def half_around_int8(manifest: Manifest, source: Path) -> Manifest:
    """The manifest of an INT8 file whose other arithmetic is FP16. QuantizeError where `source` is not for that."""
    noted = quantisation(manifest)
    if noted.get("target") == "cpu":
        raise QuantizeError(f"{source}: is quantised for CPUs, which compute the rest in FP32; quantise for TensorRT")
    if "rest" in noted:
        raise QuantizeError(f"{source}: computes in {noted['rest']} already what is not quantised")
    return replace(manifest, training={**without_scores(manifest), "quantisation": {**noted, "rest": "fp16"}})


def without_scores(manifest: Manifest) -> dict[str, Any]:
    """What a manifest says of the training, without scores: they are of the model before it was converted."""
    return {key: value for key, value in manifest.training.items() if key != "scores"}


def open_model(path: Path, precisions: Collection[str] = ("fp32",)) -> tuple[onnx.ModelProto, Manifest]:
    """The network of a file of these precisions that runs, without preprocessing inside, and its manifest.

    Raises QuantizeError, OnnxFileError, EngineError.
    """
    model, manifest = onnx_file.read_network(path)
    if manifest.precision not in precisions:
        raise QuantizeError(f"{path}: is {manifest.precision} already; give the FP32 model it was made from")
    if not onnx_graph.convolutions(model):
        raise QuantizeError(f"{path}: has no convolution; give the network that korsal-convert export wrote")
    onnxruntime_engine.load(path, threads=1)
    known = manifest.training
    if manifest.precision == "fp32" and WEIGHTS_KEY not in known:  # a file that was exported before they had it
        manifest = replace(manifest, training={**known, WEIGHTS_KEY: onnx_graph.weights_digest(model)})
    return shape_inference.infer_shapes(model), manifest


def calibrate(source: Path, images: Iterable[Input], settings: QuantizeSettings) -> Any:
    """The range of every tensor to be quantised, as onnxruntime's TensorsData. Raises QuantizeError."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(folder) / "model.onnx"
            onnx.save(onnx_file.read_network(source)[0], copied)  # onnxruntime writes beside what it is given
            with Progress("calibrating", "frame", len(images) if isinstance(images, Sequence) else None) as seen:
                return _ranges(copied, seen.track(images), settings)
    except (OSError, DecodeError) as error:  # onnx writes half a file without a word, then cannot read it
        reason = error.strerror if isinstance(error, OSError) else "what is written there is not whole"
        raise QuantizeError(
            f"{source}: calibration cannot write to {tempfile.gettempdir()} ({reason}); "
            "free space there, or name another folder in the variable TMPDIR"
        ) from error


def _ranges(source: Path, images: Iterable[Input], settings: QuantizeSettings) -> Any:
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    methods = {"entropy": "Entropy", "percentile": "Percentile", "minmax": "MinMax"}
    options = {"symmetric": settings.target == "tensorrt", "percentile": PERCENTILE, "num_bins": BINS}
    calibrator = create_calibrator(
        source,
        QUANTISED_OPERATORS[settings.target],
        augmented_model_path=str(source.with_name("augmented.onnx")),
        calibrate_method=CalibrationMethod[methods[settings.method]],
        extra_options={**options, "num_quantized_bins": LEVELS},
    )
    with redirect_stdout(StringIO()):  # the calibrators chat
        for reader in _readers(images):
            calibrator.collect_data(reader)
        return calibrator.compute_data()


def checked_shapes(images: Iterable[Input], manifest: Manifest) -> Iterator[Input]:
    """The same inputs, their shapes checked. Raises QuantizeError."""
    wanted = {**input_shapes(manifest, 1, manifest.input_size), **clip_shapes(manifest, 1)}
    for image in images:
        given = {name: value.shape for name, value in image.items()}
        if given != wanted:
            name = next(name for name in {**wanted, **given} if given.get(name) != wanted.get(name))
            raise QuantizeError(
                f"calibration with an input {name} of shape {given.get(name)}, but the model takes {wanted.get(name)}; "
                "encode frames for this very model"
            )
        yield image


class _CalibrationReader:
    """One chunk of inputs in the shape that onnxruntime's calibrators ask for."""

    def __init__(self, images: Sequence[Input]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, None at the end."""
        image = next(self._images, None)
        return None if image is None else dict(image)


def _readers(images: Iterable[Input]) -> Iterator[_CalibrationReader]:
    """Chunk by chunk: histograms are merged, activations are not kept."""
    left = iter(images)
    for first in left:
        frames = first[CLIP].shape[2] if CLIP in first else 1
        yield _CalibrationReader([first, *islice(left, max(CHUNK // frames, 1) - 1)])


def check_kept(model: onnx.ModelProto, settings: QuantizeSettings) -> None:
    """Before the long part: QuantizeError where `keep` names what is not there."""
    known = {node.name for node in model.graph.node}
    if unknown := [name for name in settings.keep if name not in known]:
        raise QuantizeError(f"--keep {unknown[0]}: the model has no such node; take names from --sensitivity")


def with_ranges(model: onnx.ModelProto, ranges: Any, settings: QuantizeSettings) -> onnx.ModelProto:
    """The model with Q/DQ pairs for these ranges. Raises QuantizeError as `check_kept` does."""
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    check_kept(model, settings)
    for_tensorrt = settings.target == "tensorrt"
    copied = onnx.ModelProto()
    copied.CopyFrom(model)  # the quantiser changes what it is given
    quantizer = QDQQuantizer(
        copied,
        per_channel=True,
        reduce_range=not for_tensorrt,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if for_tensorrt else QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=sorted({*settings.keep, *always_kept(model)}),
        op_types_to_quantize=list(QUANTISED_OPERATORS[settings.target]),
        extra_options={
            "ActivationSymmetric": for_tensorrt,
            "WeightSymmetric": True,
            "QuantizeBias": not for_tensorrt,
            "OpTypesToExcludeOutputQuantization": list(QUANTISED_OPERATORS["tensorrt"]) if for_tensorrt else [],
        },
    )
    quantizer.quantize_model()
    quantised: onnx.ModelProto = quantizer.model.model
    onnx_graph.bypass_quantization(quantised, onnx_graph.deformable_convolutions(model))
    return quantised


def always_kept(model: onnx.ModelProto) -> frozenset[str]:
    """What always stays in floating point: the first and last convolutions, and the decoding.

    Deformable convolutions too, which TensorRT runs only so, those that compute their offsets, and transposed ones
    with a filter per channel, of which there is little to gain.
    """
    ends = onnx_graph.first_convolutions(model) | onnx_graph.last_convolutions(model) | onnx_graph.decoding(model)
    return ends | onnx_graph.deformable_convolutions(model) | onnx_graph.grouped_transposed_convolutions(model)
