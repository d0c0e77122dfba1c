"""`edge.detector.normalise` with cv2.cuda: a camera's frame, uploaded once, as the network takes it. Shell.

`edge.detector.fit` is the reference. Another INTER_LINEAR that reads 1/64 px elsewhere, or rounds halves the other way,
differs by one grey level in one pixel of sixteen (the demo clip), and its motion map by up to 0.13.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import letterbox
from edge.engines.ssim_cuda import IMAGE, Gpu
from edge.letterbox import STEPS
from edge.manifest import Manifest

HALF_UP = 1 / (2 * STEPS**2)
"""cv2.warpAffine rounds halves up. Interpolated grey levels are multiples of 1 / STEPS²: with this added, rounding to
the nearest does so too."""


class GpuPreprocess:
    """Fits and normalises frames of one size, with a border of 1 px mirrored as by `cv2.filter2D`.

    Interpolates in float32, because cv2.cuda rounds 8-bit halves to the even and cv2.warpAffine rounds them up; by
    `remap`, because its own warpAffine needs NPP, and would read elsewhere than cv2.warpAffine does.
    """

    def __init__(self, cuda: Any, stream: Any, manifest: Manifest, frame_size: tuple[int, int]) -> None:
        """`frame_size`: (width, height) of the camera."""
        self._cuda, self._stream, self._manifest = cuda, stream, manifest
        columns, rows = frame_size
        width, height = manifest.width + 2, manifest.height + 2
        self._uploaded = cuda.GpuMat(rows, columns, cv2.CV_8UC3)
        self._source = cuda.GpuMat(rows, columns, IMAGE)
        self._positions = [cuda.GpuMat(height, width, cv2.CV_32FC1) for _ in range(2)]
        self._interpolated = cuda.GpuMat(height, width, IMAGE)
        self._fitted = cuda.GpuMat(height, width, cv2.CV_8UC3)
        self._levels = [cuda.GpuMat(height, width, cv2.CV_8UC1) for _ in range(3)]
        self._colours = [cuda.GpuMat(height, width, cv2.CV_32FC1) for _ in range(3)]
        places = (np.pad(line, 1, mode="reflect") for line in letterbox_positions(frame_size, manifest.input_size))
        for target, position in zip(self._positions, np.meshgrid(*places), strict=True):
            target.upload(position)

    def normalise(self, image: NDArray[np.uint8], bordered: Gpu) -> None:
        """Write an (H, W, 3) uint8 BGR frame into `bordered`, (h + 2, w + 2) CV_32FC3."""
        self._fit(image)
        self._cuda.split(self._fitted, dst=self._levels, stream=self._stream)
        mean, std = self._manifest.mean, self._manifest.std
        for channel, (levels, colour) in enumerate(zip(self._levels, self._colours, strict=True)):
            gain, lift = 1 / (255 * std[channel]), -mean[channel] / std[channel]
            levels.convertTo(cv2.CV_32F, gain, lift, self._stream, dst=colour)
        self._cuda.merge(self._colours, dst=bordered, stream=self._stream)

    def _fit(self, image: NDArray[np.uint8]) -> None:
        """Compute `edge.detector.fit`, exact to the grey level."""
        stream = self._stream
        self._uploaded.upload(image, stream)
        self._uploaded.convertTo(cv2.CV_32F, 1, 0, stream, dst=self._source)
        self._cuda.remap(
            self._source,
            *self._positions,
            cv2.INTER_LINEAR,
            dst=self._interpolated,
            borderMode=cv2.BORDER_CONSTANT,
            stream=stream,
        )
        self._interpolated.convertTo(cv2.CV_8U, 1, HALF_UP, stream, dst=self._fitted)


def letterbox_positions(
    source_size: tuple[int, int], input_size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x (width,) and y (height,) in the source that each column and row of the input is read at, pixels.

    Sizes are (width, height). Outside of the source is black, and blends with its edge.
    """
    x, y = letterbox.read_positions(letterbox.affine(source_size, input_size), input_size)
    return (x / STEPS).astype(np.float32), (y / STEPS).astype(np.float32)
