"""`korsal-convert build --backend torch2trt`: checkpoint → engine through NVIDIA's torch2trt. Shell over torch.

torch2trt leaves it to TensorRT what to compute in which type and how to find the ranges of INT8, which TensorRT 11
does no more. It is asked to go by ONNX inside, so that the network is the one that `export` writes.
"""

import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convert import build as tensorrt_build
from convert.calibration import Input
from convert.export import opset
from convert.quantize import QuantizeSettings, int8_manifest
from edge.engines import engine_build
from edge.engines.engine_record import EngineRecord
from edge.engines.tensorrt_build_plan import BuildOptions, Platform, Precision, as_precision
from edge.engines.tensorrt_builder import EngineBuildError
from edge.files import sha256_of
from edge.manifest import INPUT, OUTPUTS, Manifest, input_shape
from edge.text import first_line
from train import checkpoint as checkpoints
from train.networks.yowo import clip_networks

NetworkImage = NDArray[np.float32]  # (B, C, h, w), the network's input

REMEDY = "use --backend tensorrt, which builds an ONNX of korsal-convert"

# what torch2trt lets through: of torch and its exporter, of packages that it needs, of TensorRT's bindings
ERRORS = (RuntimeError, ImportError, AttributeError, TypeError, ValueError, AssertionError)


class Torch2TrtError(EngineBuildError):
    """An engine that torch2trt did not build."""


@dataclass(frozen=True, eq=False)
class Torch2TrtBackend:
    """What builds: the modules torch2trt and tensorrt, and the GPU as torch calls it."""

    torch2trt: Any
    trt: Any
    gpu: str = "cuda"


def installed(trt: Any) -> Torch2TrtBackend:
    """torch2trt as it is here, for the bindings `trt`. Raises Torch2TrtError where it is missing or does not fit."""
    if not hasattr(trt, "CalibrationAlgoType"):  # which torch2trt reads as it is imported
        raise Torch2TrtError(f"torch2trt ends with TensorRT 10, and this is {trt.__version__}; {REMEDY}")
    try:
        import torch2trt
    except (ImportError, OSError) as error:
        raise Torch2TrtError(
            f"torch2trt cannot be loaded ({error}); install it from its sources, or {REMEDY}"
        ) from error
    if "onnx_opset" not in inspect.signature(torch2trt.torch2trt).parameters:
        raise Torch2TrtError(f"this torch2trt is older than 0.5; reinstall it from its sources, or {REMEDY}")
    if not torch.cuda.is_available():
        raise Torch2TrtError(f"torch {torch.__version__} finds no GPU; install NVIDIA's for this JetPack, or {REMEDY}")
    return Torch2TrtBackend(torch2trt, trt)


def build(
    weights: Path,
    output: Path,
    options: BuildOptions,
    calibrate: Callable[[Manifest], Iterable[Input]],
    backend: Torch2TrtBackend,
    platform: Platform,
    report: Callable[[str], None],
) -> EngineRecord:
    """Build the checkpoint `weights` into the engine `output`; its hash is recorded in the place of an ONNX's.

    `calibrate` gives network inputs and is called for INT8 only. Raises Torch2TrtError, EngineBuildError,
    CheckpointError and what `calibrate` raises.
    """
    checkpoint = checkpoints.load(weights)
    if checkpoint.manifest.memory is not None:
        raise Torch2TrtError(f"{weights}: takes a memory's maps, which torch2trt does not feed; export it and {REMEDY}")
    if checkpoint.manifest.clip is not None:
        raise Torch2TrtError(f"{weights}: sees clips, which torch2trt does not feed; export it and {REMEDY}")
    precision = options.precision or as_precision(checkpoint.manifest.precision)
    options = replace(options, precision=precision)
    network = AllFloat(clip_networks.decoder(checkpoints.detector(checkpoint), checkpoint.manifest))
    images = [one[INPUT] for one in calibrate(checkpoint.manifest)] if precision == "int8" else []
    report(f"{weights}: building with torch2trt and TensorRT {platform.tensorrt}; on a Jetson this takes minutes")

    def make() -> tuple[bytes, EngineRecord]:
        serialized = _serialized(network, checkpoint.manifest, options, images, backend)
        sha256 = hashlib.sha256(serialized).hexdigest()
        manifest = _described(checkpoint.manifest, precision)
        return serialized, EngineRecord(manifest, precision, platform, options, sha256_of(weights), sha256)

    record = engine_build.store(output, make)
    report(tensorrt_build.summary(output, record))
    return record


class AllFloat(nn.Module):
    """A decoder whose labels are float32: torch2trt leaves outputs of integers away, without a word."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `Decoder`, the labels as float32."""
        boxes, scores, labels, class_scores = self.decoder(image)
        return boxes, scores, labels.float(), class_scores


def batches(images: Sequence[NetworkImage], size: int) -> list[NetworkImage]:
    """Calibration data (size, C, h, w): TensorRT reads as many images at once as the engine is tuned for.

    The last batch is filled up with the first images.
    """
    count = -(-len(images) // size)
    filled = [images[i % len(images)] for i in range(count * size)]
    return [np.concatenate(filled[i : i + size]) for i in range(0, len(filled), size)]


def _described(manifest: Manifest, precision: Precision) -> Manifest:
    """The manifest of the engine: how it was made is noted."""
    made = int8_manifest(manifest, QuantizeSettings("entropy")) if precision == "int8" else manifest
    return replace(made, precision=precision, training={**made.training, "backend": "torch2trt"})


def _serialized(
    network: nn.Module,
    manifest: Manifest,
    options: BuildOptions,
    images: Sequence[NetworkImage],
    backend: Torch2TrtBackend,
) -> bytes:
    """The network as a plain plan, as TensorRT's own builder gives it."""
    example = torch.zeros(input_shape(manifest, options.max_batch), device=backend.gpu)
    try:
        with tracing_exporter():
            built = backend.torch2trt.torch2trt(
                network.to(backend.gpu),
                [example],
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                max_batch_size=options.max_batch,
                max_workspace_size=options.workspace_bytes,
                fp16_mode=options.precision != "fp32",
                int8_mode=options.precision == "int8",
                int8_calib_dataset=_data(images, options.max_batch, backend.gpu),
                # its own choice hangs on "10.3" >= "5.1", which is false
                int8_calib_algorithm=backend.trt.CalibrationAlgoType.ENTROPY_CALIBRATION_2,
                use_onnx=True,
                onnx_opset=opset(network),
                keep_network=False,
            )
        plan = None if built.engine is None else built.engine.serialize()
    except ERRORS as error:
        reason = first_line(f"{type(error).__name__}: {error}".strip(": "))
        raise Torch2TrtError(f"torch2trt does not convert it ({reason}); {REMEDY}") from error
    if plan is None:
        raise Torch2TrtError(f"TensorRT {backend.trt.__version__} did not build it, its message is above; {REMEDY}")
    _check(built.engine)
    return bytes(plan)


def _data(images: Sequence[NetworkImage], batch: int, gpu: str) -> list[list[Tensor]] | None:
    """On the GPU, for the calibrator passes addresses; None where nothing is calibrated."""
    return [[torch.from_numpy(made).to(gpu)] for made in batches(images, batch)] if images else None


def _check(engine: Any) -> None:
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    if absent := [name for name in (INPUT, *OUTPUTS) if name not in names]:
        raise Torch2TrtError(f"torch2trt left {absent[0]} out; {REMEDY}")


@contextmanager
def tracing_exporter() -> Iterator[None]:
    """Makes torch2trt use torch's older exporter: the newer one, the default since torch 2.9, needs onnxscript."""
    usual = torch.onnx.export
    if "dynamo" in inspect.signature(usual).parameters:
        torch.onnx.export = partial(usual, dynamo=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the exporter that needs no further package
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # as in export
            yield
    finally:
        torch.onnx.export = usual
