"""Preprocessing and the motion map with cv2.cuda: from a camera's frame to the network's input on the GPU. Shell.

`edge.detector.normalise` and `edge.motion_map` are the reference, and are used where there is no cv2.cuda. A frame is
uploaded once. Only the extremes of its nine shifted versions, on which SSIM's C1 and C2 depend, and nine scores, by
which the shift is chosen, come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import motion_map, ssim
from edge.engines.preprocess_cuda import GpuPreprocess
from edge.engines.ssim_cuda import IMAGE, Gpu, GpuImage, GpuSsim
from edge.inference import EngineError, GpuInput
from edge.manifest import Manifest
from edge.motion_gap import MotionGap, recall
from edge.motion_map import IDENTITY, LEAST_RANGE, SHIFTS
from edge.ssim import MARGIN

NEEDED = (  # missing from an OpenCV without CUDA or before 4.9
    "createGaussianFilter",
    "createGpuMatFromCudaMemory",
    "createSeparableLinearFilter",
    "findMinMax",
    "remap",
    "wrapStream",
)
REMEDY = (
    "the CPU computes the motion map until the model has it inside (korsal-convert export --with-motion), or OpenCV is "
    "built with CUDA on this device, 4.9 or newer (docs/motion.md, 'On the GPU', says how)"
)
TIE = 1e-12
"""Scores within this share of the highest count as equal: the GPU sums in any order."""
WIDEST = 2.0
"""A frame of more than this many times a comparison's data range needs float64, which cv2.cuda cannot filter."""


class MotionCudaError(EngineError):
    """cv2.cuda is missing or fails; the message names the remedy."""


@dataclass(frozen=True, eq=False)
class GpuFrame:
    """A normalised frame with a mirrored border of 1 px, and what its motion map needs.

    `bordered`: (H + 2, W + 2) normalised; `frame`: it without the border. `image`: `bordered` less its centre, with
    statistics. `shifted` (one channel) and `parts` are `bordered` and `image` for each of SHIFTS, in their memory.
    `extremes`: (9, 2) float32 on the host, the lowest and highest pixel of each shifted frame.
    """

    bordered: Gpu
    frame: Gpu
    image: GpuImage
    shifted: tuple[Gpu, ...]
    parts: tuple[GpuImage, ...]
    extremes: NDArray[np.float32]


def usable(module: Any = cv2) -> Any:
    """The module cv2.cuda, where this OpenCV has it and there is a GPU. Raises MotionCudaError with the remedy."""
    cuda = getattr(module, "cuda", None)
    missing = [name for name in NEEDED if not hasattr(cuda, name)]
    if cuda is None or missing:
        raise MotionCudaError(f"OpenCV {module.__version__} has no cv2.cuda.{missing[0]}; {REMEDY}")
    if (devices := cuda.getCudaEnabledDeviceCount()) < 1:
        reason = "finds no GPU" if devices == 0 else "finds no NVIDIA driver that fits it"
        raise MotionCudaError(f"OpenCV {module.__version__} is built with CUDA but {reason}; {REMEDY}")
    return cuda


class MotionCuda:
    """Fills an engine's input with the frames of one camera, in the thread that runs the engine.

    Frames are of one size, and all memory is allocated at construction: after a change of size construct another.
    """

    def __init__(self, cuda: Any, gpu_input: GpuInput, manifest: Manifest, frame_size: tuple[int, int]) -> None:
        """`cuda`: what `usable` returns; `frame_size`: (width, height) of the camera. Raises MotionCudaError."""
        _check(gpu_input, manifest)
        self._cuda, self._manifest = cuda, manifest
        self._gpu_input = gpu_input  # keeps its memory allocated
        self._past: tuple[tuple[float, GpuFrame], ...] = ()
        self._free: list[GpuFrame] = []
        self._shape = (frame_size[1], frame_size[0], 3)
        try:
            self._allocate(gpu_input, frame_size)
            self._blank(self._free)
        except (cv2.error, SystemError) as error:  # SystemError is what its constructors raise
            raise _failure("cannot be set up for a camera", error) from error

    def fill(self, image: NDArray[np.uint8], time: float, gap: MotionGap, slot: int = 0) -> int:
        """Write a frame and its motion map into image `slot` of the batch; return the shift's index.

        The frame is (H, W, 3) BGR, taken at `time` (seconds); it is compared with the one that lies `gap` back. The
        work may still be queued on the engine's stream: its `run` must follow. Raises MotionCudaError.
        """
        if image.dtype != np.uint8 or image.shape != self._shape:
            raise MotionCudaError(
                f"a frame is {image.shape} {image.dtype}, not {self._shape} uint8: build a MotionCuda for its size"
            )
        known = recall(self._past, time, gap)
        free = [*self._free, *known.free]
        try:
            current = free.pop() if free else self._frame()
            previous = self._blank(free) if known.previous is None else known.previous
            self._preprocess.normalise(image, current.bordered)
            self._cuda.split(current.frame, dst=self._slots[slot][:3], stream=self._stream)
            shift = self._motion(previous, current, self._slots[slot][3:])
        except cv2.error as error:
            raise _failure("fails at a frame", error) from error
        self._past, self._free = (*known.kept, (time, current)), free
        return shift

    def input(self, slot: int = 0) -> NDArray[np.float32]:
        """Image `slot` of the network's input, (1, C, h, w), copied from the GPU; for drawings and tests."""
        return np.stack([self._downloaded(plane) for plane in self._slots[slot]])[None]

    def _allocate(self, gpu_input: GpuInput, frame_size: tuple[int, int]) -> None:
        cuda, manifest = self._cuda, self._manifest
        width, height = manifest.input_size
        self._stream = cuda.wrapStream(gpu_input.stream)
        self._slots = [
            [self._plane(gpu_input, slot * manifest.channels + channel) for channel in range(manifest.channels)]
            for slot in range(len(gpu_input.image))
        ]
        self._preprocess = GpuPreprocess(cuda, self._stream, manifest, frame_size)
        self._ssim = GpuSsim(cuda, self._stream, width, height)
        self._free = [self._frame() for _ in range(manifest.motion.gap + 2)]  # more, once a high rate needs them
        self._whole = [self._ssim.statistics(width, height) for _ in range(2)]
        self._similarity = cuda.GpuMat(height, width, IMAGE)
        inner = (MARGIN, MARGIN, width - 2 * MARGIN, height - 2 * MARGIN)
        self._scored = cuda.GpuMat(self._similarity, inner).reshape(1)
        self._extremes = cuda.GpuMat(len(SHIFTS), 2, cv2.CV_32FC1)
        self._scores = cuda.GpuMat(len(SHIFTS), 1, cv2.CV_64FC1)

    def _plane(self, gpu_input: GpuInput, number: int) -> Gpu:
        """One channel of one image of the network's input, in its memory."""
        width, height = self._manifest.input_size
        address = gpu_input.image_address + number * 4 * height * width
        return self._cuda.createGpuMatFromCudaMemory(height, width, cv2.CV_32FC1, address)

    def _frame(self) -> GpuFrame:
        cuda, (width, height) = self._cuda, self._manifest.input_size
        bordered, pixels = (cuda.GpuMat(height + 2, width + 2, IMAGE) for _ in range(2))
        image = GpuImage(pixels, self._ssim.statistics(width + 2, height + 2))
        places = [(1 + dx, 1 + dy, width, height) for dy, dx in SHIFTS]
        return GpuFrame(
            bordered,
            cuda.GpuMat(bordered, places[IDENTITY]),
            image,
            tuple(cuda.GpuMat(bordered, place).reshape(1) for place in places),
            tuple(self._ssim.part(image, *place) for place in places),
            np.zeros((len(SHIFTS), 2), np.float32),
        )

    def _blank(self, free: list[GpuFrame]) -> GpuFrame:
        """A free frame of zeros, which the first frame is compared with, and the first after a long pause."""
        free[:] = free or [self._frame()]
        free[0].bordered.setTo((0, 0, 0, 0), self._stream)
        self._measure(free[0])
        return free[0]

    def _motion(self, previous: GpuFrame, current: GpuFrame, planes: Sequence[Gpu]) -> int:
        """Write the motion map into the last three planes of an image, where it has them; the shift's index."""
        kind, shift, found = self._manifest.motion.kind, IDENTITY, previous.frame
        if kind == "none":
            return shift
        if kind != "previous":
            self._measure(current)
            precise = float32_holds(previous.extremes, current.extremes)
            shift = (self._compare if precise else self._compare_on_cpu)(previous, current)
            found = self._similarity
        self._cuda.split(found, dst=list(planes), stream=self._stream)
        return shift

    def _measure(self, frame: GpuFrame) -> None:
        """Compute the extremes, centre and statistics of a frame from `bordered`."""
        for index, shifted in enumerate(frame.shifted):
            self._cuda.findMinMax(shifted, dst=self._extremes.row(index), stream=self._stream)
        frame.extremes[:] = self._downloaded(self._extremes)
        middle = centre(frame.extremes)
        frame.bordered.convertTo(cv2.CV_32F, 1, -middle, self._stream, dst=frame.image.pixels)
        self._ssim.measure(frame.image, middle)

    def _compare(self, previous: GpuFrame, current: GpuFrame) -> int:
        """Write the map of the best shift into `_similarity`, as `edge.motion_map.compare`; the shift's index."""
        constants = stable_constants(previous.extremes, current.extremes)
        shift = self._best(previous, current, constants) if self._manifest.motion.shifts else IDENTITY
        before = GpuImage(previous.parts[IDENTITY].pixels, self._whole[0])
        after = GpuImage(current.parts[shift].pixels, self._whole[1])
        self._ssim.measure(before, centre(previous.extremes))
        self._ssim.measure(after, centre(current.extremes))
        self._ssim.similarity(before, after, constants[shift], self._similarity)
        if self._manifest.motion.kind == "dsim":
            self._similarity.convertTo(cv2.CV_32F, -0.5, 0.5, self._stream, dst=self._similarity)
        return shift

    def _best(self, previous: GpuFrame, current: GpuFrame, constants: Sequence[tuple[float, float]]) -> int:
        """The shift of the highest mean SSIM less the margin, the first of equals.

        Less the margin, a shifted frame's statistics are the frame's own, shifted, as in `edge.ssim.inner`.
        """
        for index, (part, constant) in enumerate(zip(current.parts, constants, strict=True)):
            self._ssim.similarity(previous.parts[IDENTITY], part, constant, self._similarity)
            self._cuda.calcSum(self._scored, dst=self._scores.row(index), stream=self._stream)
        scores = self._downloaded(self._scores)
        highest = float(scores.max())
        return int(np.argmax(scores >= highest - TIE * abs(highest)))

    def _compare_on_cpu(self, previous: GpuFrame, current: GpuFrame) -> int:
        """As `_compare`, where that needs float64: for `gap` frames after a light went out."""
        frames = [self._downloaded(frame.frame) for frame in (previous, current)]
        similarity, shift = motion_map.motion_map(frames[0], frames[1], self._manifest.motion)
        self._similarity.upload(similarity, self._stream)
        return shift

    def _downloaded(self, image: Gpu) -> NDArray[Any]:
        """Its content once the stream has got there. Waits."""
        array: NDArray[Any] = image.download(self._stream)
        self._stream.waitForCompletion()
        return array


def centre(extremes: NDArray[np.float32]) -> float:
    """The middle of a frame's range, from the `extremes` of a GpuFrame."""
    return float(extremes[IDENTITY].mean())


def stable_constants(previous: NDArray[np.float32], current: NDArray[np.float32]) -> list[tuple[float, float]]:
    """C1 and C2 for each of SHIFTS from the `extremes` of two frames, as in `edge.motion_map`."""
    return [ssim.constants(size) for size in _ranges(previous, current)]


def float32_holds(previous: NDArray[np.float32], current: NDArray[np.float32]) -> bool:
    """Whether float32 keeps SSIM within 1e-3 for frames of these `extremes`.

    A variance is rounded by some 1e-7 of the square of half a frame's range, and C2 is what that is compared with.
    """
    widest = max(float(np.ptp(extremes[IDENTITY])) for extremes in (previous, current))
    return widest <= WIDEST * min(_ranges(previous, current)) and 1e-3 <= _magnitude(previous, current) <= 1e3


def _ranges(previous: NDArray[np.float32], current: NDArray[np.float32]) -> list[float]:
    """The data ranges of the shifted current frames, never 0."""
    least = LEAST_RANGE * _magnitude(previous, current)
    return [max(float(highest) - float(lowest), least) or 1.0 for lowest, highest in current]


def _magnitude(previous: NDArray[np.float32], current: NDArray[np.float32]) -> float:
    return float(max(np.abs(previous).max(), np.abs(current).max()))


def _check(gpu_input: GpuInput, manifest: Manifest) -> None:
    """The engine must take float32 planes of the manifest's size; cv2.cuda's optical flow is another one than ours."""
    if manifest.motion.kind == "flow":
        raise MotionCudaError(
            'this model reads optical flow, which only the CPU computes: set model.preprocessing = "auto"'
        )
    expected = (manifest.channels, manifest.height, manifest.width)
    if gpu_input.image.dtype != np.float32 or gpu_input.image.shape[1:] != expected:
        raise MotionCudaError(
            f"the engine takes {gpu_input.image.shape[1:]} {gpu_input.image.dtype}, not {expected} float32 "
            "(channels, height, width): rebuild it with korsal-convert build"
        )


def _failure(what: str, error: Exception) -> MotionCudaError:
    reason = " ".join(str(error.__cause__ or error).split())
    return MotionCudaError(f"cv2.cuda {what} ({reason}): end other programs that use the GPU, or restart")
