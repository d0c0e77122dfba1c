"""A cv2.cuda without a GPU: the functions that edge.engines.motion_cuda calls, computed by NumPy, over the fake CUDA.

Work really happens, but not before its stream is waited for, and only where a stream is given: who reads too early
reads NaN. Whatever OpenCV would allocate is counted: a GpuMat, a `dst` that is absent or of another size or type (which
is then left as it was), a filter's buffer. Sums are rounded as on a GPU. Parameters are named and ordered as OpenCV
4.14 has them. It shows that the arithmetic and the order of calls are right, not that a GPU would do it.
"""

# ruff: noqa: A002, N802 -- the names are OpenCV's

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.engines.cuda_runtime import view
from tests.support.fake_cuda import FakeCuda

Array = NDArray[Any]
DEPTHS = {cv2.CV_8U: np.uint8, cv2.CV_32F: np.float32, cv2.CV_64F: np.float64}
NUMBER = (int, float, np.floating)


def scaled(name: str, function: Callable[[Array, Array], Array]) -> Callable[..., FakeGpuMat]:
    """A method of two images and a factor of the first."""

    def method(
        self: FakeCv2Cuda,
        src1: FakeGpuMat,
        src2: FakeGpuMat,
        dst: FakeGpuMat | None = None,
        scale: float = 1,
        dtype: int = -1,
        stream: Any = None,
    ) -> FakeGpuMat:
        factor = np.float32(scale)
        return self._pixelwise(name, (src1, src2), dst, stream, lambda one, other: function(factor * one, other))

    return method


class FakeCv2Cuda:
    """Stands for the module cv2.cuda. `calls`: the names of all calls, in order; `moved`: bytes up and down."""

    def __init__(self, cuda: FakeCuda, devices: int = 1) -> None:
        self.cuda, self.devices = cuda, devices
        self.allocations = 0
        self.calls: list[str] = []
        self.uploaded: list[int] = []
        self.downloaded: list[int] = []
        self.failing: set[str] = set()

    def begin(self, call: str, stream: Any, work: Callable[[], None]) -> None:
        """Record a call and put its work on the stream."""
        self.calls.append(call)
        if call in self.failing:
            raise cv2.error(f"OpenCV(4.14.0) error: (-217:Gpu API call) out of memory in function '{call}'")
        assert isinstance(stream, Stream), f"{call} is not given the stream"
        assert self.cuda.enqueue(stream.handle, work), f"{call} is given a stream that is not there"

    def array(self, rows: int, cols: int, kind: int) -> Array:
        """Fresh memory, counted, full of what nobody takes for an answer."""
        self.allocations += 1
        dtype = DEPTHS[kind & 7]
        return np.full((rows, cols, (kind >> 3) + 1), 0xA5 if dtype is np.uint8 else np.nan, dtype)

    def target(self, dst: FakeGpuMat | None, rows: int, cols: int, kind: int) -> FakeGpuMat:
        """What OpenCV writes into: `dst` where it fits, else new memory."""
        if dst is not None and (dst.size(), dst.type()) == ((cols, rows), kind):
            return dst
        return FakeGpuMat(self, self.array(rows, cols, kind))

    def getCudaEnabledDeviceCount(self) -> int:
        return self.devices

    def createGaussianFilter(self) -> None:
        raise AssertionError("only its presence is checked")

    def GpuMat(self, *arguments: Any) -> FakeGpuMat:
        if "GpuMat" in self.failing:
            raise SystemError("<class 'cv2.cuda.GpuMat'> returned a result with an exception set")
        if isinstance(arguments[0], FakeGpuMat):
            whole, (x, y, width, height) = arguments
            columns, rows = whole.size()
            inside = min(x, y) >= 0 and x + width <= columns and y + height <= rows
            assert inside, "a rectangle outside of its image"
            return FakeGpuMat(self, whole.data[y : y + height, x : x + width])
        return FakeGpuMat(self, self.array(*arguments))

    def createGpuMatFromCudaMemory(self, rows: int, cols: int, type: int, cudaMemoryAddress: int) -> FakeGpuMat:
        dtype = np.dtype(DEPTHS[type & 7])
        inside = (
            start <= cudaMemoryAddress and cudaMemoryAddress + rows * cols * dtype.itemsize <= start + len(block)
            for start, block in self.cuda.device_blocks.items()
        )
        assert any(inside), "an address outside of what CUDA gave"
        return FakeGpuMat(self, view(cudaMemoryAddress, (rows, cols, (type >> 3) + 1), dtype))

    def wrapStream(self, cudaStreamMemoryAddress: int) -> Stream:
        return Stream(self.cuda, cudaStreamMemoryAddress)

    def createSeparableLinearFilter(
        self,
        srcType: int,
        dstType: int,
        rowKernel: Array,
        columnKernel: Array,
        anchor: tuple[int, int] = (-1, -1),
        rowBorderMode: int = cv2.BORDER_DEFAULT,
        columnBorderMode: int = -1,
    ) -> Filter:
        assert srcType == dstType == cv2.CV_32FC3
        assert rowBorderMode == columnBorderMode == cv2.BORDER_REFLECT
        return Filter(self, rowKernel, columnKernel)

    def remap(
        self,
        src: FakeGpuMat,
        xmap: FakeGpuMat,
        ymap: FakeGpuMat,
        interpolation: int,
        dst: FakeGpuMat | None = None,
        borderMode: int = cv2.BORDER_CONSTANT,
        borderValue: tuple[float, ...] = (),
        stream: Any = None,
    ) -> FakeGpuMat:
        assert (interpolation, borderMode, borderValue) == (cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, ())
        assert xmap.type() == ymap.type() == cv2.CV_32FC1
        assert xmap.size() == ymap.size()
        assert src.type() == cv2.CV_32FC3
        columns, rows = xmap.size()
        written = self.target(dst, rows, columns, src.type())

        def work() -> None:
            written.data[:] = _interpolated(src.data, xmap.data[..., 0], ymap.data[..., 0])

        self.begin("remap", stream, work)
        return written

    def split(self, src: FakeGpuMat, dst: list[FakeGpuMat] | None = None, stream: Any = None) -> list[FakeGpuMat]:
        columns, rows = src.size()
        given = dst or []
        assert len(given) in (0, src.channels())
        kept = [*given, *[None] * (src.channels() - len(given))]
        planes = [self.target(one, rows, columns, src.depth()) for one in kept]

        def work() -> None:
            for channel, plane in enumerate(planes):
                plane.data[..., 0] = src.data[..., channel]

        self.begin("split", stream, work)
        return planes

    def merge(self, src: list[FakeGpuMat], dst: FakeGpuMat | None = None, stream: Any = None) -> FakeGpuMat:
        assert {(plane.size(), plane.type()) for plane in src} == {(src[0].size(), src[0].depth())}
        columns, rows = src[0].size()
        written = self.target(dst, rows, columns, src[0].depth() + (len(src) - 1 << 3))

        def work() -> None:
            written.data[:] = np.concatenate([plane.data for plane in src], axis=2)

        self.begin("merge", stream, work)
        return written

    multiply = scaled("multiply", np.multiply)
    divide = scaled("divide", np.divide)

    def addWeighted(
        self,
        src1: FakeGpuMat,
        alpha: float,
        src2: FakeGpuMat,
        beta: float,
        gamma: float,
        dst: FakeGpuMat | None = None,
        dtype: int = -1,
        stream: Any = None,
    ) -> FakeGpuMat:
        weight, other_weight, more = (np.float32(number) for number in (alpha, beta, gamma))
        return self._pixelwise(
            "addWeighted", (src1, src2), dst, stream, lambda one, other: weight * one + other_weight * other + more
        )

    def findMinMax(
        self, src: FakeGpuMat, dst: FakeGpuMat | None = None, mask: Any = None, stream: Any = None
    ) -> FakeGpuMat:
        assert src.channels() == 1
        assert src.depth() == cv2.CV_32F
        written = self.target(dst, 1, 2, src.depth())

        def work() -> None:
            written.data[0, :, 0] = src.data.min(), src.data.max()

        self.begin("findMinMax", stream, work)
        return written

    def calcSum(
        self, src: FakeGpuMat, dst: FakeGpuMat | None = None, mask: Any = None, stream: Any = None
    ) -> FakeGpuMat:
        written = self.target(dst, 1, 1, cv2.CV_64F + (src.channels() - 1 << 3))

        def work() -> None:
            written.data[0, 0] = src.data.sum((0, 1), np.float64)

        self.begin("calcSum", stream, work)
        return written

    def _pixelwise(
        self,
        name: str,
        images: tuple[FakeGpuMat, FakeGpuMat],
        dst: FakeGpuMat | None,
        stream: Any,
        function: Callable[[Array, Array], Array],
    ) -> FakeGpuMat:
        one, other = images
        assert (one.size(), one.type()) == (other.size(), other.type()), f"{name} of images of two kinds"
        assert one.depth() == cv2.CV_32F
        columns, rows = one.size()
        written = self.target(dst, rows, columns, one.type())

        def work() -> None:
            answer = function(one.data, other.data)
            assert answer.dtype == np.float32
            written.data[:] = answer

        self.begin(name, stream, work)
        return written


class Stream:
    """The creator's: it is wrapped, not owned."""

    def __init__(self, cuda: FakeCuda, handle: int) -> None:
        self._cuda, self.handle = cuda, handle

    def waitForCompletion(self) -> None:
        (status,) = self._cuda.cudaStreamSynchronize(self.handle)
        assert status.name == "cudaSuccess"


class FakeGpuMat:
    """`data`: (rows, cols, channels), in memory that rectangles and reshaped views share."""

    def __init__(self, module: FakeCv2Cuda, data: Array) -> None:
        self._module, self.data = module, data

    def size(self) -> tuple[int, int]:
        return self.data.shape[1], self.data.shape[0]

    def channels(self) -> int:
        return int(self.data.shape[2])

    def depth(self) -> int:
        return next(depth for depth, dtype in DEPTHS.items() if dtype == self.data.dtype)

    def type(self) -> int:
        return self.depth() + (self.channels() - 1 << 3)

    def row(self, y: int) -> FakeGpuMat:
        assert 0 <= y < len(self.data)
        return FakeGpuMat(self._module, self.data[y : y + 1])

    def reshape(self, cn: int) -> FakeGpuMat:
        view = self.data.reshape(len(self.data), -1, cn)
        assert np.shares_memory(view, self.data)
        return FakeGpuMat(self._module, view)

    def upload(self, arr: Array, stream: Any = None) -> None:
        """Without a stream at once. An array that CUDA has no hold of is read before this returns."""
        array = arr.reshape(*arr.shape[:2], -1).copy()
        if array.shape != self.data.shape or array.dtype != self.data.dtype:
            self._module.allocations += 1
            self.data = np.empty_like(array)
        self._module.uploaded.append(array.nbytes)

        def work() -> None:
            self.data[:] = array

        if stream is None:
            work()
        else:
            self._module.begin("upload", stream, work)

    def download(self, stream: Any) -> Array:
        shape = self.data.shape if self.channels() > 1 else self.data.shape[:2]
        array = np.full(shape, np.nan if self.depth() != cv2.CV_8U else 0xA5, self.data.dtype)
        self._module.downloaded.append(array.nbytes)

        def work() -> None:
            array[:] = self.data.reshape(shape)

        self._module.begin("download", stream, work)
        return array

    def setTo(self, s: tuple[float, ...], stream: Any) -> None:
        def work() -> None:
            self.data[:] = s[: self.channels()]

        self._module.begin("setTo", stream, work)

    def convertTo(
        self, rtype: int, alpha: float, beta: float, stream: Any, dst: FakeGpuMat | None = None
    ) -> FakeGpuMat:
        columns, rows = self.size()
        written = self._module.target(dst, rows, columns, rtype + (self.channels() - 1 << 3))
        assert all(isinstance(number, NUMBER) for number in (alpha, beta))

        def work() -> None:
            scaled = np.float32(alpha) * self.data.astype(np.float32) + np.float32(beta)
            written.data[:] = np.clip(np.rint(scaled), 0, 255) if rtype == cv2.CV_8U else scaled

        self._module.begin("convertTo", stream, work)
        return written


class Filter:
    """A separable filter that mirrors at the edges of what it is given, and keeps a buffer."""

    def __init__(self, module: FakeCv2Cuda, row: Array, column: Array) -> None:
        self._module, self._row, self._column = module, row, column
        self._buffer = (0, 0)

    def apply(self, src: FakeGpuMat, dst: FakeGpuMat | None = None, stream: Any = None) -> FakeGpuMat:
        columns, rows = src.size()
        assert src.type() == cv2.CV_32FC3
        if columns > self._buffer[0] or rows > self._buffer[1]:
            self._module.allocations += 1
            self._buffer = (columns, rows)
        written = self._module.target(dst, rows, columns, src.type())

        def work() -> None:
            written.data[:] = _filtered(_filtered(src.data, self._row, 1), self._column, 0)

        self._module.begin("apply", stream, work)
        return written


def _filtered(image: Array, kernel: Array, axis: int) -> Array:
    """Term by term in float32."""
    reach = len(kernel) // 2
    around = [(reach, reach) if dimension == axis else (0, 0) for dimension in range(3)]
    padded = np.pad(image, around, mode="symmetric")
    total = np.zeros_like(image)
    for index, weight in enumerate(kernel):
        total += np.take(padded, range(index, index + image.shape[axis]), axis) * weight
    return total


def _interpolated(image: Array, x: Array, y: Array) -> Array:
    """Linear, with black around the image."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((*x.shape, image.shape[2]), np.float32)
    for rows, columns in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        weight = (1 - np.abs(x - columns.astype(np.float32))) * (1 - np.abs(y - rows.astype(np.float32)))
        inside = (rows >= 0) & (rows < image.shape[0]) & (columns >= 0) & (columns < image.shape[1])
        pixels = image[rows.clip(0, image.shape[0] - 1), columns.clip(0, image.shape[1] - 1)]
        total += np.where(inside, weight, 0).astype(np.float32)[..., None] * pixels
    return total
