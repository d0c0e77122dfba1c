"""Where the motion map of the GPU goes to, without a GPU, and what the CPU makes of the same frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import detector, motion_map
from edge.engines.cuda_runtime import Cuda
from edge.engines.motion_cuda import MotionCuda
from edge.inference import GpuInput
from edge.manifest import Manifest
from edge.motion_map import IDENTITY, MotionSettings
from tests.support.fake_cuda import FakeCuda
from tests.support.fake_cv2_cuda import FakeCv2Cuda

Frame = NDArray[np.uint8]
SIZE = (96, 64)  # (width, height) of the network's input


@dataclass
class FakeTarget:
    """An engine's input on the fake GPU, for up to two images."""

    shape: tuple[int, ...]
    dtype: Any = np.float32
    gpu: FakeCuda = field(default_factory=FakeCuda)

    def __post_init__(self) -> None:
        cuda = Cuda(self.gpu)
        self.image = np.zeros((2, *self.shape), self.dtype)
        self.image_address, self.stream = cuda.allocate(self.image.nbytes), cuda.create_stream()
        self.cv2 = FakeCv2Cuda(self.gpu)


class PacedMotionCuda(MotionCuda):
    """A MotionCuda whose frames come at the model's rate."""

    def __init__(self, cuda: Any, gpu_input: GpuInput, manifest: Manifest, frame_size: tuple[int, int]) -> None:
        super().__init__(cuda, gpu_input, manifest, frame_size)
        self._paced, self._filled = manifest, 0

    def fill_next(self, image: Frame, slot: int = 0) -> int:
        self._filled += 1
        return self.fill(image, self._filled / self._paced.rate, self._paced.gap, slot)


def manifest_of(settings: MotionSettings, size: tuple[int, int] = SIZE) -> Manifest:
    return Manifest("any", ("any",), size[1], size[0], settings)


def on_cpu(frames: list[Frame], manifest: Manifest) -> Iterator[tuple[NDArray[np.float32], int]]:
    """The network's input for each frame, and the shift."""
    past: list[NDArray[np.float32]] = []
    for image in frames:
        normalised = detector.normalise(image, manifest)
        previous = past[-manifest.motion.gap :][0] if past else np.zeros_like(normalised)
        past.append(normalised)
        if manifest.motion.kind == "none":
            yield detector.network_input(normalised, None), IDENTITY
        else:
            found, shift = motion_map.motion_map(previous, normalised, manifest.motion)
            yield detector.network_input(normalised, found), shift
