"""Opens an engine file of TensorRT and the record beside it as an `Engine`. Shell.

An engine file is machine code that TensorRT trusts. It is handed over only if its hash is that in its record, so that a
damaged or foreign file ends in an error message and not in a crash.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines import cuda_runtime, engine_record, engine_tensors
from edge.engines.cuda_runtime import Cuda, CudaDevice, CudaError
from edge.engines.engine_record import HEADER_BYTES, REBUILD, RTX_TAG, TAG, EngineRecord, version_fault
from edge.engines.inference_graph import GpuGraphInference
from edge.engines.tensorrt_build_plan import ModelPart, parse_version
from edge.engines.tensorrt_errors import TensorRtError, errors_name
from edge.engines.tensorrt_runner import Runner
from edge.engines.tensorrt_tensors import RunnerError
from edge.graph_inference import ANY_SIZE, zeros
from edge.inference import Engine, Infer, LoadedEngine


def bindings() -> tuple[Any, Cuda]:
    """The module tensorrt and CUDA. Raises TensorRtError where one of them, the driver or the GPU is missing."""
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise TensorRtError(
            f"TensorRT's Python bindings cannot be loaded ({error}); install python3-libnvinfer, as JetPack has it"
        ) from error
    try:
        return tensorrt, cuda_runtime.installed()
    except CudaError as error:
        raise TensorRtError(str(error)) from error


def is_engine_file(path: Path) -> bool:
    """Whether TensorRT built the file, of whatever version; False for an ONNX model, or where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(len(TAG)) in (TAG, RTX_TAG)
    except OSError:
        return False


def load(path: Path, trt: Any, cuda: Cuda, part: ModelPart = "detector") -> LoadedEngine:
    """Open the engine at `path`, whose record lies beside it. Raises TensorRtError.

    `trt` and `cuda` are what `bindings` returns. The engine runs once, on zeros, before this returns. `part`: what it
    must be of; of a memory, whose manifest is its detector's, `infer` is as `edge.memory_network` says.
    """
    serialized = _read(path)
    if fault := version_fault(serialized[:HEADER_BYTES], parse_version(str(trt.__version__))):
        raise TensorRtError(f"{path}: {fault}")
    record = _record(path, serialized)
    if record.options.part != part:
        raise TensorRtError(f"{path}: is the engine of a {record.options.part}, not of a {part}; name the other one")
    with errors_name(path):
        _check_device(record, cuda.device())
        runner = Runner(trt, cuda, serialized)
    try:
        infer = _infer(path, runner)
        _check_interface(path, runner, record)
        infer(_zeros(record))
    except BaseException:
        runner.close()
        raise
    name = f"tensorrt {trt.__version__} {record.precision}"
    engine = Engine(infer, record.manifest, record.onnx_sha256, name, runner.batches[1])
    if record.options.part == "detector" and record.manifest.preprocessing == "graph":
        run_frames = GpuGraphInference(runner, record.manifest, path)
        engine = replace(engine, run_frames=run_frames, preprocessor="graph")
    return LoadedEngine(engine, runner, path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TensorRtError(f"{path}: cannot be read ({error.strerror}); {REBUILD}") from error


def _record(path: Path, serialized: bytes) -> EngineRecord:
    """The record beside the engine file, whose hash it must hold."""
    beside = engine_record.beside(path)
    try:
        record = engine_record.from_json(beside.read_text(encoding="utf-8"))
    except OSError as error:
        raise TensorRtError(f"{path}: its record {beside.name} cannot be read ({error.strerror}); {REBUILD}") from error
    except ValueError as error:  # EngineRecordError, or no text
        raise TensorRtError(f"{beside}: {error}") from error
    if hashlib.sha256(serialized).hexdigest() != record.plan_sha256:
        raise TensorRtError(f"{path}: is damaged, or not the engine that {beside.name} is about; {REBUILD}")
    return record


def _check_device(record: EngineRecord, device: CudaDevice) -> None:
    """An engine is for one kind of GPU; TensorRT itself would only report that it refuses it."""
    built_for, here = record.platform.compute_capability, ".".join(map(str, device.compute_capability))
    if built_for not in ("", here):
        gpu = record.platform.gpu or "a GPU"
        raise RunnerError(f"was built for {gpu} ({built_for}), this device has {device.name} ({here}); {REBUILD}")


def _zeros(record: EngineRecord) -> Mapping[str, NDArray[Any]]:
    """What the engine takes, to try it with."""
    manifest, part = record.manifest, record.options.part
    if part == "detector":
        return zeros(manifest)
    shapes = engine_tensors.inputs(manifest, part, 1, ANY_SIZE)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def _check_interface(path: Path, runner: Runner, record: EngineRecord) -> None:
    """The network must match its manifest."""
    manifest, part = record.manifest, record.options.part
    inputs, shapes = engine_tensors.inputs(manifest, part, 1, ANY_SIZE), runner.shapes()
    if set(runner.inputs) != set(inputs):
        given, wanted = ", ".join(runner.inputs), ", ".join(inputs)
        raise TensorRtError(f"{path}: its inputs are {given}, but its manifest says {wanted}; {REBUILD}")
    expected = {**inputs, **engine_tensors.outputs(manifest, part, 1)}
    wrong = [name for name in expected if shapes.get(name) != expected[name]]
    if wrong:
        found = shapes.get(wrong[0], "absent")
        raise TensorRtError(f"{path}: its {wrong[0]} is {found}, but its manifest says {expected[wrong[0]]}; {REBUILD}")


def _infer(path: Path, runner: Runner) -> Infer:
    def infer(inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        with errors_name(path):
            return runner.infer(inputs)

    return infer
