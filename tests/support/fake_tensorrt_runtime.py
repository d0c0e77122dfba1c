"""The runtime's side of the fake TensorRT: deserialise, context, one execution over memory of this process."""

import ctypes
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.fake_tensorrt_builder import HEADER, dtype_of, must_be_ready, version_bytes

NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "BOOL": bool,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
}


def nptype(trt_type: Any) -> Any:
    """NumPy's type for a DataType; TypeError where NumPy has none."""
    if trt_type.name not in NUMPY:
        raise TypeError(f"Could not resolve TensorRT datatype to an equivalent numpy datatype: {trt_type.name}")
    return NUMPY[trt_type.name]


def complain(logger: Any, sentence: str) -> None:
    logger.log(logger.ERROR, sentence)


class Runtime:
    _trt: Any

    def __init__(self, logger: Any) -> None:
        must_be_ready(logger)
        if self._trt.fails("Runtime", logger):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        plan = bytes(serialized_engine)
        self._trt.record("Runtime.deserialize_cuda_engine", plan)
        if self._trt.fails("Runtime.deserialize_cuda_engine", self._logger):
            return None
        if refusal := _refusal(plan, self._trt.__version__):
            complain(self._logger, refusal)
            return None
        return self._trt.ICudaEngine(json.loads(plan[HEADER.size :]), self._logger)


def _refusal(plan: bytes, version: str) -> str:
    if len(plan) < HEADER.size or plan[:4] != b"ftrt":
        return "Serialization assertion magicTagRead == kMAGIC_TAG failed. Magic tag does not match"
    _, length, *built_by = HEADER.unpack_from(plan)
    if built_by != version_bytes(version):
        return "Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed. Version tag does not match"
    return "" if len(plan) == length else "Serialization assertion sizeRead == size failed."


class CudaEngine:
    _trt: Any

    def __init__(self, content: dict[str, Any], logger: Any) -> None:
        self._tensors: dict[str, Any] = {**content["inputs"], **content["outputs"]}
        self._inputs = list(content["inputs"])
        self._profile = content["profile"]
        self._logger = logger

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return 1

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self._trt.TensorIOMode.INPUT if name in self._inputs else self._trt.TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name][0])

    def get_tensor_dtype(self, name: str) -> Any:
        return dtype_of(self._trt, self._tensors[name][1])

    def get_tensor_location(self, name: str) -> Any:
        return self._trt.TensorLocation.DEVICE

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        return [tuple(shape) for shape in self._profile[name]]

    def create_execution_context(self) -> Any:
        if self._trt.fails("ICudaEngine.create_execution_context", self._logger):
            return None
        return self._trt.IExecutionContext(self)


class ExecutionContext:
    _trt: Any

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    @property
    def engine(self) -> Any:
        return self._engine

    def set_input_shape(self, name: str, shape: Any) -> bool:
        self._trt.record("IExecutionContext.set_input_shape", name, tuple(shape))
        low, _, high = self._engine._profile.get(name, [self._engine.get_tensor_shape(name)] * 3)
        fits = all(lo <= size <= hi for lo, size, hi in zip(low, tuple(shape), high, strict=True))
        if name not in self._engine._inputs or not fits:
            complain(self._engine._logger, f"{name}: shape {tuple(shape)} is outside the profile")
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """With the batch that was set, -1 before."""
        batch = next((shape[0] for shape in self._shapes.values()), -1)
        known = self._shapes.get(name, self._engine.get_tensor_shape(name))
        return tuple(batch if size == -1 else size for size in known)

    def infer_shapes(self) -> list[str]:
        return [name for name in self._engine._inputs if name not in self._shapes]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._trt.record("IExecutionContext.set_tensor_address", name, memory)
        if name not in self._engine._tensors:
            return False
        self._addresses[name] = memory
        return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self._trt.record("IExecutionContext.set_optimization_profile_async", profile_index)
        return profile_index == 0

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Reads the inputs and writes the outputs at once, whatever the stream."""
        self._trt.record("IExecutionContext.execute_async_v3", stream_handle)
        logger = self._engine._logger
        if self._trt.fails("IExecutionContext.execute_async_v3", logger):
            return False
        absent = [n for n in self._engine._tensors if n not in self._addresses] + self.infer_shapes()
        if absent:
            complain(logger, f"Address or shape is not set for {absent[0]}")
            return False
        self._write(self._trt.compute({name: self._view(name).copy() for name in self._engine._inputs}))
        return True

    def _write(self, outputs: Any) -> None:
        for name in self._engine._tensors:
            if name not in self._engine._inputs:
                self._view(name)[...] = outputs.get(name, 0)

    def _view(self, name: str) -> NDArray[Any]:
        shape = self.get_tensor_shape(name)
        dtype = np.dtype(nptype(self._engine.get_tensor_dtype(name)))
        size = int(np.prod(shape)) * dtype.itemsize
        memory = (ctypes.c_char * size).from_address(self._addresses[name])
        return np.frombuffer(memory, dtype).reshape(shape)
