"""TensorRT's runtime: runs a serialised engine on the GPU, with its memory. Shell.

The bindings and CUDA come in as values; differences between TensorRT 8.6, 10 and 11 are detected by feature.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines.cuda_runtime import Cuda, CudaError
from edge.engines.tensorrt_log import TensorRtLog
from edge.engines.tensorrt_tensors import (
    REBUILD,
    Memory,
    RunnerError,
    Tensor,
    dtype_of,
    names_of,
    results_of,
    shape_of,
    smallest_and_largest,
)
from edge.manifest import FRAME, INPUT

log = logging.getLogger(__name__)

NO_CONTEXT = "TensorRT finds no memory to run it in; end other programs on the GPU, or build it for a smaller batch"
NO_START = "TensorRT does not start; install the NVIDIA driver, or the TensorRT that fits it"


class Runner:
    """A deserialised engine with its memory and one stream: a context manager, for one thread.

    `inputs`: their names; `batches`: the smallest and the largest. To fill INPUT in place, write `image` and pass its
    first rows to `infer`; or write at `image_address` on the GPU, on `stream`, and call `run`.
    """

    def __init__(self, trt: Any, cuda: Cuda, serialized: bytes) -> None:
        """`trt`: the module tensorrt; `serialized`: what its builder returned. Raises RunnerError, CudaError."""
        self._trt, self._cuda = trt, cuda
        self._log = TensorRtLog(trt)
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._tensors: dict[str, Tensor] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}  # of the last run's inputs
        self._graph = 0  # of runs of these shapes, 0 for none
        self._may_capture = True
        with ExitStack() as owned:
            owned.callback(self._drop_references)
            self._engine = self._deserialized(serialized)
            self.inputs, outputs = names_of(trt, self._engine)
            self._results = results_of(self.inputs, outputs)
            self._limits = {name: smallest_and_largest(self._engine, name) for name in self.inputs}
            smallest, largest = self._limits[self.inputs[0]]
            self.batches = smallest[0], largest[0]
            self._context = self._not_none(self._engine.create_execution_context(), NO_CONTEXT)
            self._set_shapes({name: (largest[0], *low[1:]) for name, (low, _) in self._limits.items()})
            self.stream = cuda.create_stream()
            owned.callback(cuda.destroy_stream, self.stream)
            self._memory = Memory(cuda, owned)
            for name in (*self.inputs, *outputs):
                self._allocate(name, shape_of(self._context, name))
            owned.callback(self._drop_graph)
            self._owned = owned.pop_all()
        self._shapes = {}  # nothing has run

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free everything; the engine cannot be used afterwards. A second call does nothing."""
        try:
            self._owned.close()
        except CudaError as error:
            log.warning("an engine's memory cannot be freed: %s", error)

    @property
    def image(self) -> NDArray[Any]:
        """The pinned memory that the input is copied from, (largest batch, C, h, w)."""
        return self._tensors[INPUT].host(self.batches[1])

    @property
    def image_address(self) -> int:
        """Of the input on the GPU, (largest batch, C, h, w)."""
        return self._tensors[INPUT].address

    @property
    def largest_frame(self) -> tuple[int, int]:
        """(width, height) that FRAME may have, pixels."""
        _, height, width, _ = self._limits[FRAME][1]
        return width, height

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every input and output, one image; -1 where an input may have any size."""
        declared = {name: shape_of(self._engine, name)[1:] for name in self.inputs}
        return {name: (1, *declared.get(name, tensor.row)) for name, tensor in self._tensors.items()}

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """As `edge.inference.Infer`: every input (B, ...) in, the results out. Raises RunnerError, CudaError."""
        for name in self.inputs:
            self.upload(name, inputs[name])
        return self.run(len(inputs[self.inputs[0]]))

    def upload(self, name: str, rows: Sequence[NDArray[Any]] | NDArray[Any]) -> None:
        """Copy the rows of an input to the GPU, in the order of the stream; all have one shape."""
        self._check(name, rows)
        self._allocate(name, (self.batches[1], *rows[0].shape))
        tensor = self._tensors[name]
        for target, row in zip(tensor.host(len(rows)), rows, strict=True):
            if not _same_memory(row, target):
                np.copyto(target, row, casting="same_kind")
        self._cuda.upload(tensor.address, tensor.pinned, len(rows) * tensor.row_bytes, self.stream)

    def run(self, batch: int) -> Mapping[str, NDArray[Any]]:
        """The outputs for the first `batch` rows of the inputs on the GPU, once the stream has filled them.

        Two runs of one batch of one frame size in a row make a graph of it, which spares the CPU from the third on.
        """
        shapes = {name: (batch, *self._tensors[name].row) for name in self.inputs}
        if shapes != self._shapes:
            self._set_shapes(shapes)
            self._enqueue(batch)
        elif self._graph or self._capture(batch):
            self._cuda.launch(self._graph, self.stream)
        else:
            self._enqueue(batch)
        self._cuda.synchronize(self.stream)
        return {name: self._tensors[name].host(batch).copy() for name in self._results}

    def download(self, name: str, row: int) -> NDArray[Any]:
        """One row of an output that `run` leaves on the GPU."""
        tensor, offset = self._tensors[name], row * self._tensors[name].row_bytes
        self._cuda.download(tensor.pinned + offset, tensor.address + offset, tensor.row_bytes, self.stream)
        self._cuda.synchronize(self.stream)
        copied: NDArray[Any] = tensor.host(row + 1)[row].copy()
        return copied

    def load_row(self, name: str, row: int, source: int) -> None:
        """Copy one row of an input from elsewhere on the GPU, in the order of the stream."""
        tensor = self._tensors[name]
        target = tensor.address + row * tensor.row_bytes
        self._cuda.copy_on_gpu(target, source, tensor.row_bytes, self.stream)

    def clear_row(self, name: str, row: int) -> None:
        """Fill one row of an input with zeros, in the order of the stream."""
        tensor, offset = self._tensors[name], row * self._tensors[name].row_bytes
        tensor.host(row + 1)[row] = 0
        self._cuda.upload(tensor.address + offset, tensor.pinned + offset, tensor.row_bytes, self.stream)

    def place_for_row(self, name: str) -> int:
        """The address of new memory on the GPU for one row; it is the runner's, and freed with it."""
        address = self._cuda.allocate(self._tensors[name].row_bytes)
        self._owned.callback(self._cuda.free, address)
        return address

    def save_row(self, name: str, row: int, target: int) -> None:
        """Copy one row of an output to elsewhere on the GPU, in the order of the stream."""
        tensor = self._tensors[name]
        source = tensor.address + row * tensor.row_bytes
        self._cuda.copy_on_gpu(target, source, tensor.row_bytes, self.stream)

    def _check(self, name: str, rows: Sequence[NDArray[Any]] | NDArray[Any]) -> None:
        (smallest, *low), (largest, *high) = self._limits[name]
        shape, given = (rows[0].shape, rows[0].dtype) if len(rows) else (self._tensors[name].row, np.dtype(np.uint8))
        dtype = self._tensors[name].dtype
        fits = len(shape) == len(low) and all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))
        if not fits or not np.can_cast(given, dtype, "same_kind") or not smallest <= len(rows) <= largest:
            size = tuple(low) if low == high else f"{tuple(low)} to {tuple(high)}"
            raise RunnerError(
                f"it takes {smallest} to {largest} images of {size} {dtype}, not {(len(rows), *shape)} {given}; "
                "give it those, or build it for another batch"
            )

    def _allocate(self, name: str, shape: tuple[int, ...]) -> None:
        """Memory for the largest batch of that shape; a graph holds the addresses that it was made with."""
        if not shape or min(shape) < 1 or shape[0] != self.batches[1]:
            raise RunnerError(f"its {name} is of shape {shape}, not a row for each image; {REBUILD}")
        before = self._tensors.get(name)
        if before is not None and before.row == shape[1:]:
            return
        tensor = self._memory.tensor(name, shape, dtype_of(self._trt, self._engine, name))
        if before is None or before.address != tensor.address:
            self._drop_graph()
            self._require(
                self._context.set_tensor_address(name, tensor.address),
                f"TensorRT refuses the memory of {name}; {REBUILD}",
            )
        self._tensors[name] = tensor

    def _set_shapes(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """A graph holds only for the shapes that it was made with."""
        self._drop_graph()
        self._shapes = {}
        for name, shape in shapes.items():
            accepted = self._context.set_input_shape(name, shape)
            self._require(accepted, f"TensorRT refuses the shape {shape} of {name}; {REBUILD}")
        self._shapes = shapes

    def _enqueue(self, batch: int) -> None:
        """Put one execution and the download of its outputs on the stream."""
        self._require(self._context.execute_async_v3(self.stream), f"TensorRT does not run it; {REBUILD}")
        for name in self._results:
            tensor = self._tensors[name]
            self._cuda.download(tensor.pinned, tensor.address, batch * tensor.row_bytes, self.stream)

    def _capture(self, batch: int) -> bool:
        """Capture the graph; False, for good, where this network cannot be one (loops and conditions)."""
        if self._may_capture:
            try:
                self._graph = self._cuda.capture(self.stream, partial(self._enqueue, batch))
            except (CudaError, RunnerError) as error:
                log.info("the network runs without a CUDA graph: %s", error)
                self._may_capture = False
                self._log.clear()
        return self._graph != 0

    def _drop_graph(self) -> None:
        graph, self._graph = self._graph, 0
        if graph:
            self._cuda.destroy_graph(graph)

    def _drop_references(self) -> None:
        """Drop the references, so that TensorRT frees memory: context, then engine, then runtime."""
        self._tensors = {}
        self._context = self._engine = self._runtime = None

    def _deserialized(self, serialized: bytes) -> Any:
        try:
            self._runtime = self._trt.Runtime(self._log.sink)
        except (TypeError, RuntimeError) as error:  # its C++ returned null
            raise RunnerError(f"{NO_START}{self._log.first_error}") from error
        return self._not_none(
            self._runtime.deserialize_cuda_engine(serialized), f"TensorRT does not accept it; {REBUILD}"
        )

    def _not_none(self, thing: Any, message: str) -> Any:
        """What TensorRT returned; where that is None, its logger has the reason."""
        self._require(thing is not None, message)
        return thing

    def _require(self, good: bool, message: str) -> None:
        if not good:
            raise RunnerError(f"{message}{self._log.first_error}")


def _same_memory(image: NDArray[Any], rows: NDArray[Any]) -> bool:
    where = (array.__array_interface__["data"][0] for array in (image, rows))
    return len(set(where)) == 1 and image.dtype == rows.dtype and image.strides == rows.strides
