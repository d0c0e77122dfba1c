"""A CUDA without a GPU: the functions of its runtime that edge.engines.cuda_runtime calls, over plain memory.

Copies really happen, but not before the stream is waited for: who reads too early reads old bytes. What is allocated
is counted until it is freed; an address outside of it is refused as CUDA refuses it. It shows that calls are made in
a right order, not that a GPU would do it.
"""

# ruff: noqa: N802, N815 -- the names are CUDA's

import ctypes
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

Work = Callable[[], None]


class Status(Enum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900
    cudaErrorStreamCaptureInvalidated = 901


TO_DEVICE, TO_HOST, ON_DEVICE = 1, 2, 3  # cudaMemcpyKind
OK = Status.cudaSuccess


class FakeCuda:
    """Stands for a `CudaLibrary`.

    `calls`: the names of all calls so far, in order; `copied`: the bytes of each requested copy.
    """

    def __init__(self, devices: int = 1, memory: int = 1 << 30, compute_capability: tuple[int, int] = (8, 7)) -> None:
        self.devices, self.memory, self.compute_capability = devices, memory, compute_capability
        self.name = b"Orin\0"
        self.driver = self.runtime = 12060
        self.calls: list[str] = []
        self.copied: list[int] = []
        self.device_blocks: dict[int, Any] = {}
        self.pinned_blocks: dict[int, Any] = {}
        self.streams: dict[int, list[Work]] = {}
        self.graphs: dict[int, list[Work]] = {}
        self.executables: dict[int, list[Work]] = {}
        self.forgotten = Status.cudaSuccess  # what cudaGetLastError has yet to return
        self._captured: dict[int, list[Work] | None] = {}
        self._failures: dict[str, list[Status]] = {}
        self._handles: Iterator[int] = iter(range(0x1000, 0x100000, 0x10))

    @property
    def leaks(self) -> int:
        """How many allocations, streams and graphs were not given back."""
        owned = (self.device_blocks, self.pinned_blocks, self.streams, self.graphs, self.executables)
        return sum(len(things) for things in owned)

    def fail(self, call: str, status: str, after: int = 0) -> None:
        """Let one call of that name fail, `after` so many that do not."""
        self._failures.setdefault(call, []).extend([OK] * after + [Status[status]])

    def enqueue(self, stream: int, work: Work) -> bool:
        """What a library does that is given a stream: put work on it, or into the graph that is captured from it."""
        if stream not in self.streams:
            return False
        if stream in self._captured:
            captured = self._captured[stream]
            if captured is not None:
                captured.append(work)
            return captured is not None
        self.streams[stream].append(work)
        return True

    def invalidate(self, stream: int) -> None:
        """What a library does that breaks a capture: it calls something that a graph cannot hold."""
        if stream in self._captured:
            self._captured[stream] = None

    def call(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        answer: tuple[Any, ...] = getattr(self, name)(*arguments)
        return answer

    def cudaGetDeviceCount(self) -> tuple[Status, int | None]:
        status = self._begin("cudaGetDeviceCount")
        return status, self.devices if status is OK else None

    def cudaDeviceGetAttribute(self, attribute: int, device: int) -> tuple[Status, int]:
        status = self._begin("cudaDeviceGetAttribute", None if device < self.devices else "cudaErrorInvalidValue")
        return status, self.compute_capability[(75, 76).index(attribute)]

    def cuDeviceGetName(self, device: int) -> tuple[Status, bytes]:
        return OK, self.name

    def cudaDriverGetVersion(self) -> tuple[Status, int]:
        return self._begin("cudaDriverGetVersion"), self.driver

    def cudaRuntimeGetVersion(self) -> tuple[Status, int]:
        return self._begin("cudaRuntimeGetVersion"), self.runtime

    def cudaGetLastError(self) -> tuple[Status]:
        status, self.forgotten = self.forgotten, OK
        return (status,)

    def cudaMalloc(self, size: int) -> tuple[Status, int | None]:
        full = self._used() + size > self.memory
        status = self._begin("cudaMalloc", "cudaErrorMemoryAllocation" if full else None)
        return status, _keep(self.device_blocks, size) if status is OK else None

    def cudaFree(self, address: int) -> tuple[Status]:
        return self._release("cudaFree", self.device_blocks, address)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Status, int | None]:
        status = self._begin("cudaHostAlloc")
        return status, _keep(self.pinned_blocks, size) if status is OK else None

    def cudaFreeHost(self, address: int) -> tuple[Status]:
        return self._release("cudaFreeHost", self.pinned_blocks, address)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Status, int | None]:
        status = self._begin("cudaStreamCreateWithFlags")
        return status, self._hold(self.streams, []) if status is OK else None

    def cudaStreamDestroy(self, stream: int) -> tuple[Status]:
        return self._release("cudaStreamDestroy", self.streams, stream)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Status]:
        fault = "cudaErrorStreamCaptureUnsupported" if stream in self._captured else None
        status = self._begin("cudaStreamSynchronize", fault if stream in self.streams else "cudaErrorInvalidValue")
        if status is OK:
            waiting, self.streams[stream] = self.streams[stream], []
            for work in waiting:
                work()
        return (status,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> tuple[Status]:
        written, read = {
            TO_DEVICE: (self.device_blocks, self.pinned_blocks),
            TO_HOST: (self.pinned_blocks, self.device_blocks),
            ON_DEVICE: (self.device_blocks, self.device_blocks),
        }[kind]
        good = stream in self.streams and _inside(written, target, size) and _inside(read, source, size)
        status = self._begin("cudaMemcpyAsync", None if good else "cudaErrorInvalidValue")
        if status is OK:
            self.copied.append(size)
            self.enqueue(stream, lambda: _copy(target, source, size))
        return (status,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[Status]:
        status = self._begin("cudaStreamBeginCapture", None if stream in self.streams else "cudaErrorInvalidValue")
        if status is OK:
            self._captured[stream] = []
        return (status,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Status, int | None]:
        captured = self._captured.pop(stream, None)
        broken = "cudaErrorStreamCaptureInvalidated" if captured is None else None
        status = self._begin("cudaStreamEndCapture", broken)
        return status, self._hold(self.graphs, captured) if status is OK else None

    def cudaGraphInstantiateWithFlags(self, graph: int, flags: int) -> tuple[Status, int | None]:
        status = self._begin("cudaGraphInstantiateWithFlags", None if graph in self.graphs else "cudaErrorInvalidValue")
        return status, self._hold(self.executables, self.graphs[graph]) if status is OK else None

    def cudaGraphLaunch(self, graph: int, stream: int) -> tuple[Status]:
        status = self._begin("cudaGraphLaunch", None if graph in self.executables else "cudaErrorInvalidValue")
        if status is OK:
            self.streams[stream] += self.executables[graph]
        return (status,)

    def cudaGraphDestroy(self, graph: int) -> tuple[Status]:
        return self._release("cudaGraphDestroy", self.graphs, graph)

    def cudaGraphExecDestroy(self, graph: int) -> tuple[Status]:
        return self._release("cudaGraphExecDestroy", self.executables, graph)

    def _begin(self, call: str, fault: str | None = None) -> Status:
        """Record the call; the status to return: the injected one, else that of a fault of the call."""
        self.calls.append(call)
        injected = self._failures.get(call)
        status = injected.pop(0) if injected else OK
        if status is OK and fault:
            status = Status[fault]
        if status is not OK:
            self.forgotten = status
        return status

    def _release(self, call: str, things: dict[int, Any], handle: int) -> tuple[Status]:
        status = self._begin(call, None if handle in things else "cudaErrorInvalidValue")
        if status is OK:
            del things[handle]
        return (status,)

    def _hold(self, things: dict[int, Any], thing: Any) -> int:
        handle = next(self._handles)
        things[handle] = thing
        return handle

    def _used(self) -> int:
        return sum(len(block) for block in self.device_blocks.values())


def _keep(blocks: dict[int, Any], size: int) -> int:
    """Real memory of `size` bytes, full of a pattern that nobody takes for zeros; its address."""
    block = (ctypes.c_ubyte * size)()
    ctypes.memset(block, 0xA5, size)
    address = ctypes.addressof(block)
    blocks[address] = block
    return address


def _inside(blocks: dict[int, Any], address: int, size: int) -> bool:
    return any(start <= address and address + size <= start + len(block) for start, block in blocks.items())


def _copy(target: int, source: int, size: int) -> None:
    ctypes.memmove(target, source, size)
