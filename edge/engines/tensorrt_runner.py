"""TensorRT's runtime: runs a serialised engine on the GPU, with its memory. Shell.

The bindings and CUDA come in as values; differences between TensorRT 8.6, 10 and 11 are detected by feature.
"""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines.cuda_runtime import Cuda, CudaError, view
from edge.engines.tensorrt_log import TensorRtLog
from edge.manifest import INPUT, OUTPUTS

log = logging.getLogger(__name__)

DTYPES = {  # by the names of TensorRT's DataType; 8.6 has no INT64
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
REBUILD = "rebuild it with korsal-convert build"
NO_CONTEXT = "TensorRT finds no memory to run it in; end other programs on the GPU, or build it for a smaller batch"
NO_START = "TensorRT does not start; install the NVIDIA driver, or the TensorRT that fits it"


class RunnerError(Exception):
    """An engine that TensorRT does not run; the message follows the name of its file and a colon."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """An input or output, in memory for the largest batch: on the GPU and, pinned, on the host."""

    address: int  # on the GPU
    pinned: int  # the address of `host`
    host: NDArray[Any]  # (largest batch, ...)

    def size(self, batch: int) -> int:
        """Bytes of so many rows."""
        return batch * self.host[:1].nbytes


class Runner:
    """A deserialised engine with its memory, allocated once, and one stream: a context manager, for one thread.

    `batches`: the smallest and the largest. To fill the input in place, write into `image` on the host and pass its
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
        self._batch = 0  # of the last run
        self._graph = 0  # of runs of that batch, 0 for none
        self._may_capture = True
        with ExitStack() as owned:
            owned.callback(self._drop_references)
            self._engine = self._deserialized(serialized)
            names = self._names()
            self.batches = _batches(self._engine)
            self._context = self._not_none(self._engine.create_execution_context(), NO_CONTEXT)
            self._set_batch(self.batches[1])
            self.stream = cuda.create_stream()
            owned.callback(cuda.destroy_stream, self.stream)
            self._tensors = {name: self._tensor(name, owned) for name in names}
            owned.callback(self._drop_graph)
            self._owned = owned.pop_all()
        self._batch = 0  # nothing has run

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
        return self._tensors[INPUT].host

    @property
    def image_address(self) -> int:
        """Of the input on the GPU, (largest batch, C, h, w)."""
        return self._tensors[INPUT].address

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every input and output, one image."""
        return {name: (1, *tensor.host.shape[1:]) for name, tensor in self._tensors.items()}

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """As `edge.inference.Infer`: `image` (B, C, h, w) in, OUTPUTS out. Raises RunnerError, CudaError."""
        image, tensor = inputs[INPUT], self._tensors[INPUT]
        self._check(image)
        rows = tensor.host[: len(image)]
        if not _same_memory(image, rows):
            np.copyto(rows, image, casting="same_kind")
        self._cuda.upload(tensor.address, tensor.pinned, tensor.size(len(image)), self.stream)
        return self.run(len(image))

    def run(self, batch: int) -> Mapping[str, NDArray[Any]]:
        """The outputs for the first `batch` images at `image_address`, once the stream has filled them.

        Two runs of one batch in a row make a graph of it, which spares the CPU from the third on.
        """
        if batch != self._batch:
            self._set_batch(batch)
            self._enqueue()
        elif self._graph or self._capture():
            self._cuda.launch(self._graph, self.stream)
        else:
            self._enqueue()
        self._cuda.synchronize(self.stream)
        return {name: self._tensors[name].host[:batch].copy() for name in OUTPUTS}

    def _check(self, image: NDArray[Any]) -> None:
        smallest, largest = self.batches
        host = self._tensors[INPUT].host
        fits = image.shape[1:] == host.shape[1:] and np.can_cast(image.dtype, host.dtype, "same_kind")
        if not fits or not smallest <= len(image) <= largest:
            raise RunnerError(
                f"it takes {smallest} to {largest} images of {host.shape[1:]} {host.dtype}, "
                f"not {image.shape} {image.dtype}; give it those, or build it for another batch"
            )

    def _set_batch(self, batch: int) -> None:
        """A graph holds only for the shapes that it was made with."""
        self._drop_graph()
        self._batch = 0
        shape = (batch, *_shape(self._engine, INPUT)[1:])
        self._require(self._context.set_input_shape(INPUT, shape), f"TensorRT refuses the shape {shape}; {REBUILD}")
        self._batch = batch

    def _enqueue(self) -> None:
        """Put one execution and the download of its outputs on the stream."""
        self._require(self._context.execute_async_v3(self.stream), f"TensorRT does not run it; {REBUILD}")
        for name in OUTPUTS:
            tensor = self._tensors[name]
            self._cuda.download(tensor.pinned, tensor.address, tensor.size(self._batch), self.stream)

    def _capture(self) -> bool:
        """Capture the graph; False, for good, where this network cannot be one (loops and conditions)."""
        if self._may_capture:
            try:
                self._graph = self._cuda.capture(self.stream, self._enqueue)
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

    def _names(self) -> list[str]:
        """The names of all inputs and outputs, which must be those of our models."""
        engine = self._engine
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT]
        if inputs != [INPUT]:
            raise RunnerError(f"its inputs are {', '.join(inputs) or 'none'}, not {INPUT}; {REBUILD}")
        absent = [name for name in OUTPUTS if name not in names]
        if absent:
            raise RunnerError(f"it has no output {absent[0]}; {REBUILD}")
        return names

    def _tensor(self, name: str, owned: ExitStack) -> Tensor:
        """Memory for the largest batch, which is set in the context."""
        cuda, dtype, shape = self._cuda, self._dtype(name), _shape(self._context, name)
        if not shape or min(shape) < 1 or shape[0] != self.batches[1]:
            raise RunnerError(f"its {name} is of shape {shape}, not a row for each image; {REBUILD}")
        size = int(np.prod(shape)) * dtype.itemsize
        address = cuda.allocate(size)
        owned.callback(cuda.free, address)
        pinned = cuda.allocate_pinned(size)
        owned.callback(cuda.free_pinned, pinned)
        self._require(
            self._context.set_tensor_address(name, address), f"TensorRT refuses the memory of {name}; {REBUILD}"
        )
        return Tensor(address, pinned, view(pinned, shape, dtype))

    def _dtype(self, name: str) -> np.dtype[Any]:
        kind = self._engine.get_tensor_dtype(name)
        for known, dtype in DTYPES.items():
            if kind == getattr(self._trt.DataType, known, None):
                return np.dtype(dtype)
        raise RunnerError(f"its {name} is of type {kind}, which NumPy does not know; {REBUILD}")

    def _not_none(self, thing: Any, message: str) -> Any:
        """What TensorRT returned; where that is None, its logger has the reason."""
        self._require(thing is not None, message)
        return thing

    def _require(self, good: bool, message: str) -> None:
        if not good:
            raise RunnerError(f"{message}{self._log.first_error}")


def _batches(engine: Any) -> tuple[int, int]:
    """The smallest and the largest batch: of the first profile, or the fixed one."""
    fixed = _shape(engine, INPUT)[0]
    if fixed >= 0:
        return fixed, fixed
    smallest, _, largest = engine.get_tensor_profile_shape(INPUT, 0)
    return int(smallest[0]), int(largest[0])


def _shape(owner: Any, name: str) -> tuple[int, ...]:
    """The shape of a tensor by the engine (-1: dynamic) or by the context (for the batch that is set)."""
    return tuple(int(size) for size in owner.get_tensor_shape(name))


def _same_memory(image: NDArray[Any], rows: NDArray[Any]) -> bool:
    where = (array.__array_interface__["data"][0] for array in (image, rows))
    return len(set(where)) == 1 and image.dtype == rows.dtype and image.strides == rows.strides
