"""CUDA's runtime through cuda-python: memory, streams and graphs, with every status checked. Shell.

Addresses, streams and graphs are plain integers, as CUDA's own handles are. The caller frees them.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

REMEDIES = {
    "cudaErrorMemoryAllocation": "end other programs that use the GPU, or lower the batch or the workspace",
    "cudaErrorNoDevice": "check that the GPU's driver is loaded, and that this user is in the group `video`",
    "cudaErrorInsufficientDriver": "install the NVIDIA driver, or the cuda-python that fits the one that is installed",
    "cudaErrorIllegalAddress": "restart; if it happens again, rebuild the engine",
}
NO_REMEDY = "restart; if it happens again, check the kernel's log (dmesg)"


class CudaError(Exception):
    """A call into CUDA that failed; `status` is its name there, such as cudaErrorMemoryAllocation, "" without one."""

    def __init__(self, message: str, status: str = "") -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True)
class CudaDevice:
    """A GPU: its name, compute capability (major, minor), and the CUDA version of its driver."""

    name: str
    compute_capability: tuple[int, int]
    driver: tuple[int, int]


def installed() -> "Cuda":
    """CUDA as cuda-python has it here. Raises CudaError where that, the driver or the GPU is missing."""
    try:
        from cuda.bindings import runtime
    except ImportError:
        try:
            from cuda import cudart as runtime  # cuda-python below 12.6
        except ImportError as error:
            raise CudaError("cuda-python is not installed: pip install 'korsal-edge[jetson]'") from error
    cuda = Cuda(runtime)
    if cuda.device_count() == 0:
        raise CudaError(f"CUDA finds no GPU; {REMEDIES['cudaErrorNoDevice']}", "cudaErrorNoDevice")
    return cuda


class Cuda:
    """The calls that an engine needs, over `runtime`, a module of cuda-python. Every method raises CudaError."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def device_count(self) -> int:
        """The number of GPUs."""
        return int(self._call("cudaGetDeviceCount"))

    def device(self, index: int = 0) -> CudaDevice:
        """The GPU of that index."""
        properties = self._call("cudaGetDeviceProperties", index)
        version = int(self._call("cudaDriverGetVersion"))  # 1000 major + 10 minor
        return CudaDevice(
            properties.name.decode(errors="replace").rstrip("\0"),
            (int(properties.major), int(properties.minor)),
            (version // 1000, version % 1000 // 10),
        )

    def allocate(self, size: int) -> int:
        """The address of `size` bytes on the GPU."""
        return int(self._call("cudaMalloc", size))

    def free(self, address: int) -> None:
        """Free what `allocate` returned."""
        self._call("cudaFree", address)

    def allocate_pinned(self, size: int) -> int:
        """The address of `size` bytes of pinned host memory, which the GPU reads and writes by itself."""
        return int(self._call("cudaHostAlloc", size, 0))

    def free_pinned(self, address: int) -> None:
        """Free what `allocate_pinned` returned; arrays of `view` must not be used afterwards."""
        self._call("cudaFreeHost", address)

    def create_stream(self) -> int:
        """A stream that does not wait for the default one."""
        return int(self._call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking))

    def destroy_stream(self, stream: int) -> None:
        """Free what `create_stream` returned."""
        self._call("cudaStreamDestroy", stream)

    def synchronize(self, stream: int) -> None:
        """Wait until the stream's work is done; errors of that work are raised here."""
        self._call("cudaStreamSynchronize", stream)

    def upload(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy `size` bytes from the host to the GPU, in the order of the stream."""
        self._copy(target, source, size, "cudaMemcpyHostToDevice", stream)

    def download(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy `size` bytes from the GPU to the host, in the order of the stream."""
        self._copy(target, source, size, "cudaMemcpyDeviceToHost", stream)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Record what `work` puts on the stream as a graph, without running it. Exceptions of `work` propagate."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            self._abandon_capture(stream)
            raise
        graph = int(self._call("cudaStreamEndCapture", stream))
        try:
            return int(self._call("cudaGraphInstantiate", graph, 0))
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        """Run a captured graph on the stream."""
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Free what `capture` returned."""
        self._call("cudaGraphExecDestroy", graph)

    def _copy(self, target: int, source: int, size: int, kind: str, stream: int) -> None:
        self._call("cudaMemcpyAsync", target, source, size, getattr(self._runtime.cudaMemcpyKind, kind), stream)

    def _abandon_capture(self, stream: int) -> None:
        """End a broken capture; that it fails is known already."""
        try:
            graph = self._call("cudaStreamEndCapture", stream)
        except CudaError:
            return
        if graph is not None and int(graph):
            self._call("cudaGraphDestroy", int(graph))

    def _call(self, name: str, *arguments: Any) -> Any:
        """What the call returns beyond its status: None, a value or a tuple. A failure is raised once, then cleared."""
        try:
            status, *values = getattr(self._runtime, name)(*arguments)
        except (RuntimeError, ValueError) as error:  # no driver library; a status that cuda-python does not know
            raise CudaError(f"{name}: {error}; {REMEDIES['cudaErrorInsufficientDriver']}") from error
        if int(status.value) != 0:
            self._runtime.cudaGetLastError()  # which would else come out of a later, innocent call
            raise CudaError(f"{name}: {status.name}; {REMEDIES.get(status.name, NO_REMEDY)}", status.name)
        return values[0] if len(values) == 1 else tuple(values) or None


def view(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Host memory as an array, without a copy. It must stay allocated as long as the array is used."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = memoryview((ctypes.c_ubyte * size).from_address(address))
    return np.frombuffer(memory, dtype).reshape(shape)
