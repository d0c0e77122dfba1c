"""Which file of a model this machine will open, in which runtime, and why, without opening one. Shell.

It follows `edge.open_model`: TensorRT where it is installed and takes a file, else ONNX Runtime, unless `[model]
runtime` rules that out.
"""

from dataclasses import dataclass
from pathlib import Path

from edge.chosen_model import choice_of, first_engine, manifest_of, onnxruntime_device
from edge.config.schema import ModelConfig
from edge.engines.cuda_runtime import CudaError
from edge.engines.engine_cache import EngineCache
from edge.engines.memory_file import MemoryFileError
from edge.engines.tensorrt_engine import bindings
from edge.engines.tensorrt_errors import TensorRtError
from edge.inference import EngineError
from edge.memory_opening import require_memory
from edge.open_model import ENGINE_CACHE, in_place_of_tensorrt


@dataclass(frozen=True)
class ExpectedModel:
    """The file that runs and its precision, None and "" where none does; `reason` says why, and in which runtime."""

    file: Path | None
    precision: str
    reason: str


def expected_model(path: Path, model: ModelConfig, state: Path) -> ExpectedModel:
    """What opening the model at `path` would run. `state`: the directory that keeps engines.

    What TensorRT has not been tried on yet counts as running. Without its memory a model that has one runs nowhere.
    """
    try:
        require_memory(path, manifest_of(model))
    except MemoryFileError as error:
        return ExpectedModel(None, "", str(error))
    if model.runtime == "onnxruntime":
        return _in_onnxruntime(path, model, "ONNX Runtime, as model.runtime says")
    try:
        trt, cuda = bindings()
    except TensorRtError as error:
        if model.runtime == "tensorrt":
            return ExpectedModel(None, "", f"model.runtime is tensorrt, but {error}")
        return _in_onnxruntime(path, model, f"ONNX Runtime, without TensorRT ({error})")
    try:
        found = first_engine(EngineCache(state / ENGINE_CACHE, trt, cuda), path, model)
        capability = ".".join(map(str, cuda.device().compute_capability))
    except (EngineError, CudaError) as error:
        if model.runtime == "tensorrt":
            return ExpectedModel(None, "", f"model.runtime is tensorrt, but {error}")
        return _in_onnxruntime(path, model, in_place_of_tensorrt(str(error)))
    runs = f"TensorRT {trt.__version__}, GPU of compute capability {capability}"
    return ExpectedModel(found.file, found.precision, found.notice or _asked(runs, model))


def _in_onnxruntime(path: Path, model: ModelConfig, runs: str) -> ExpectedModel:
    choice = choice_of(path, model, onnxruntime_device(model))
    if choice is None:
        return ExpectedModel(path, "", runs)
    first = choice.candidates[0]
    reason = f"{choice.notice}; {runs}" if choice.notice else _asked(runs, model)
    return ExpectedModel(first.file.path, first.result, reason)


def _asked(runs: str, model: ModelConfig) -> str:
    return f"{runs}; model.precision is {model.precision}"
