"""CUDA's runtime: memory, streams and graphs, with every status checked. Shell.

Addresses, streams and graphs are plain integers, as CUDA's own handles are. The caller frees them.
"""

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines.cuda_library import CudaCalls, CudaLibrary, libraries

INSUFFICIENT_DRIVER = "cudaErrorInsufficientDriver"
MAJOR, MINOR = 75, 76  # of cudaDeviceAttr: the compute capability
NON_BLOCKING = 1  # of a stream's flags
TO_DEVICE, TO_HOST, ON_DEVICE = 1, 2, 3  # of cudaMemcpyKind
THREAD_LOCAL = 1  # of cudaStreamCaptureMode
NO_RUNTIME = (
    "no CUDA runtime (libcudart.so.12 or .13) can be loaded; install the one of this JetPack or driver "
    "(sudo apt-get install cuda-cudart-12-6 for CUDA 12.6), or name its folder in LD_LIBRARY_PATH"
)
REMEDIES = {
    "cudaErrorMemoryAllocation": "end other programs that use the GPU, or lower the batch or the workspace",
    "cudaErrorNoDevice": "check that the GPU's driver is loaded, and that this user is in the group `video`",
    INSUFFICIENT_DRIVER: "install the NVIDIA driver, or the CUDA runtime that fits the one that is installed",
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
    """A GPU: its name, compute capability (major, minor), and the CUDA versions of its driver and of the runtime."""

    name: str
    compute_capability: tuple[int, int]
    driver: tuple[int, int]
    runtime: tuple[int, int]


def installed(found: Callable[[], Iterable[CudaLibrary]] = libraries) -> "Cuda":
    """CUDA as it is on this machine: the first runtime of `found` that the driver takes.

    Raises CudaError where runtime, driver or GPU is missing, or every runtime is newer than the driver.
    """
    refusals: list[CudaError] = []
    for library in found():
        cuda = Cuda(library)
        try:
            count = cuda.device_count()
        except CudaError as error:
            if error.status != INSUFFICIENT_DRIVER:
                raise
            refusals.append(CudaError(_too_new(cuda, library.path), INSUFFICIENT_DRIVER))
            continue
        if count == 0:
            raise CudaError(f"CUDA finds no GPU; {REMEDIES['cudaErrorNoDevice']}", "cudaErrorNoDevice")
        return cuda
    raise refusals[0] if refusals else CudaError(NO_RUNTIME)


def _too_new(cuda: "Cuda", path: str) -> str:
    """Why the driver refuses the runtime at `path`, with the remedy."""
    runtime, driver = (version_text(version) for version in (cuda.runtime_version(), cuda.driver_version()))
    if cuda.driver_version() == (0, 0):
        return f"CUDA's runtime {runtime} ({path}) finds no NVIDIA driver; install the driver, or load its modules"
    package = f"cuda-cudart-{driver.replace('.', '-')}"
    return (
        f"CUDA's driver here is {driver} and does not take the newer runtime {runtime} ({path}); "
        f"install that of the driver (sudo apt-get install {package}), or upgrade JetPack or the driver"
    )


def version_text(version: tuple[int, int]) -> str:
    """(12, 6) as `12.6`."""
    return ".".join(map(str, version))


class Cuda:
    """The calls that an engine needs, over what runs CUDA's functions. Every method raises CudaError."""

    def __init__(self, runtime: CudaCalls) -> None:
        self._runtime = runtime

    @property
    def library(self) -> str:
        """The file of the runtime; "" where it has none."""
        return str(getattr(self._runtime, "path", ""))

    def device_count(self) -> int:
        """The number of GPUs."""
        return int(self._call("cudaGetDeviceCount"))

    def device(self, index: int = 0) -> CudaDevice:
        """The GPU of that index."""
        major, minor = (int(self._call("cudaDeviceGetAttribute", number, index)) for number in (MAJOR, MINOR))
        name = self._call("cuDeviceGetName", index).decode(errors="replace").rstrip("\0") or "GPU"
        return CudaDevice(name, (major, minor), self.driver_version(), self.runtime_version())

    def driver_version(self) -> tuple[int, int]:
        """The newest CUDA that the driver knows, (12, 6); (0, 0) without a driver."""
        return _version(self._call("cudaDriverGetVersion"))

    def runtime_version(self) -> tuple[int, int]:
        """The CUDA of the runtime."""
        return _version(self._call("cudaRuntimeGetVersion"))

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
        return int(self._call("cudaStreamCreateWithFlags", NON_BLOCKING))

    def destroy_stream(self, stream: int) -> None:
        """Free what `create_stream` returned."""
        self._call("cudaStreamDestroy", stream)

    def synchronize(self, stream: int) -> None:
        """Wait until the stream's work is done; errors of that work are raised here."""
        self._call("cudaStreamSynchronize", stream)

    def upload(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy `size` bytes from the host to the GPU, in the order of the stream."""
        self._call("cudaMemcpyAsync", target, source, size, TO_DEVICE, stream)

    def download(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy `size` bytes from the GPU to the host, in the order of the stream."""
        self._call("cudaMemcpyAsync", target, source, size, TO_HOST, stream)

    def copy_on_gpu(self, target: int, source: int, size: int, stream: int) -> None:
        """Copy `size` bytes from one place on the GPU to another, in the order of the stream."""
        self._call("cudaMemcpyAsync", target, source, size, ON_DEVICE, stream)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Record what `work` puts on the stream as a graph, without running it. Exceptions of `work` propagate."""
        self._call("cudaStreamBeginCapture", stream, THREAD_LOCAL)
        try:
            work()
        except BaseException:
            self._abandon_capture(stream)
            raise
        graph = int(self._call("cudaStreamEndCapture", stream))
        try:
            return int(self._call("cudaGraphInstantiateWithFlags", graph, 0))
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        """Run a captured graph on the stream."""
        self._call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Free what `capture` returned."""
        self._call("cudaGraphExecDestroy", graph)

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
        status, *values = self._runtime.call(name, *arguments)
        if int(status.value) != 0:
            self._runtime.call("cudaGetLastError")  # which would else come out of a later, innocent call
            known = status.name or f"status {status.value}"
            raise CudaError(f"{name}: {known}; {REMEDIES.get(status.name, NO_REMEDY)}", status.name)
        return values[0] if len(values) == 1 else tuple(values) or None


def _version(number: int) -> tuple[int, int]:
    """1000 major + 10 minor, as CUDA counts."""
    return int(number) // 1000, int(number) % 1000 // 10


def view(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Host memory as an array, without a copy. It must stay allocated as long as the array is used."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = memoryview((ctypes.c_ubyte * size).from_address(address))
    return np.frombuffer(memory, dtype).reshape(shape)
