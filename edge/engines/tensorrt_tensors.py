"""The inputs and outputs of a TensorRT engine: their names, types and shapes, and memory for them. Shell."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.clip import CLIP, CLIP_MAP
from edge.engines.cuda_runtime import Cuda, CudaError, view
from edge.manifest import FITTED, FRAME, INPUT, MOTION, OUTPUTS, PREVIOUS
from edge.memory_network import MEMORY_INPUTS, part_names

DTYPES = {  # by the names of TensorRT's DataType; 8.6 has no INT64
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
INPUTS = ((INPUT,), (FRAME,), (FRAME, PREVIOUS))  # that a detector of ours may have, beside MEMORY_INPUTS or CLIP_MAP
(FIRST_PART,) = part_names(1)  # of a memory, which no detector takes
REBUILD = "rebuild it with korsal-convert build"


class RunnerError(Exception):
    """An engine that TensorRT does not run; the message follows the name of its file and a colon."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """An input or output, in memory for the largest batch: on the GPU and, pinned, on the host."""

    address: int  # on the GPU
    pinned: int  # on the host
    row: tuple[int, ...]  # the shape of one image's part
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of one image's part."""
        return int(np.prod(self.row)) * self.dtype.itemsize

    def host(self, batch: int) -> NDArray[Any]:
        """The first rows in pinned memory, (batch, ...)."""
        return view(self.pinned, (batch, *self.row), self.dtype)


@dataclass(frozen=True)
class _Block:
    """Memory on the GPU, and pinned memory of the same size beside it."""

    size: int  # bytes
    address: int
    pinned: int


class Memory:
    """A block for each tensor, all freed at the end of `owned`."""

    def __init__(self, cuda: Cuda, owned: ExitStack) -> None:
        self._cuda = cuda
        self._blocks: dict[str, _Block] = {}
        owned.callback(self._free_all)

    def tensor(self, name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> Tensor:
        """The tensor of that name with room for (batch, ...); what it held is lost where it must grow.

        Where it cannot grow, CudaError is raised and it stays as it was.
        """
        needed, before = int(np.prod(shape)) * dtype.itemsize, self._blocks.get(name)
        if before is None or before.size < needed:
            self._blocks[name] = self._block(needed)
            if before is not None:
                self._free(before)
        block = self._blocks[name]
        return Tensor(block.address, block.pinned, tuple(shape[1:]), dtype)

    def _block(self, size: int) -> _Block:
        address = self._cuda.allocate(size)
        try:
            return _Block(size, address, self._cuda.allocate_pinned(size))
        except CudaError:
            self._cuda.free(address)
            raise

    def _free(self, block: _Block) -> None:
        with ExitStack() as both:  # the second too where the first fails
            both.callback(self._cuda.free_pinned, block.pinned)
            both.callback(self._cuda.free, block.address)

    def _free_all(self) -> None:
        with ExitStack() as all_of_them:
            for block in self._blocks.values():
                all_of_them.callback(self._free, block)


def names_of(trt: Any, engine: Any) -> tuple[list[str], list[str]]:
    """The names of the inputs, and of the outputs, which must be those of our models. Raises RunnerError."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if name not in inputs]
    if _is_beside(inputs):
        return inputs, outputs
    own = sorted(set(inputs).difference(MEMORY_INPUTS, (CLIP_MAP,)))
    if not any(own == sorted(known) for known in INPUTS):
        raise RunnerError(f"its inputs are {', '.join(inputs) or 'none'}, not {INPUT} or {FRAME}; {REBUILD}")
    needed = (*OUTPUTS, FITTED, MOTION) if PREVIOUS in inputs else OUTPUTS
    absent = [name for name in needed if name not in outputs]
    if absent:
        raise RunnerError(f"it has no output {absent[0]}; {REBUILD}")
    return inputs, outputs


def results_of(inputs: Sequence[str], outputs: Sequence[str]) -> tuple[str, ...]:
    """The outputs that every run brings down: OUTPUTS of a detector, all of what is beside one."""
    return tuple(outputs) if _is_beside(inputs) else OUTPUTS


def _is_beside(inputs: Sequence[str]) -> bool:
    """Whether that is no detector but a memory, or what makes maps of clips."""
    return FIRST_PART in inputs or CLIP in inputs


def dtype_of(trt: Any, engine: Any, name: str) -> np.dtype[Any]:
    """The type of a tensor. Raises RunnerError where NumPy has none."""
    kind = engine.get_tensor_dtype(name)
    for known, dtype in DTYPES.items():
        if kind == getattr(trt.DataType, known, None):
            return np.dtype(dtype)
    raise RunnerError(f"its {name} is of type {kind}, which NumPy does not know; {REBUILD}")


def smallest_and_largest(engine: Any, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes that an input may have: of the first profile, or the fixed one."""
    fixed = shape_of(engine, name)
    if min(fixed, default=0) >= 0:
        return fixed, fixed
    smallest, _, largest = engine.get_tensor_profile_shape(name, 0)
    return tuple(map(int, smallest)), tuple(map(int, largest))


def shape_of(owner: Any, name: str) -> tuple[int, ...]:
    """The shape of a tensor by the engine (-1: dynamic) or by the context (for the inputs' shapes that are set)."""
    return tuple(int(size) for size in owner.get_tensor_shape(name))
