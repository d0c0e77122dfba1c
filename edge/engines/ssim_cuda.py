"""The arithmetic of `edge.ssim` with cv2.cuda, every step of it on one stream. Shell.

The formulas are those of `edge.ssim`, but float32 has to do: cv2.cuda filters no float64, and its window sums are
rounded at each of 14 terms. So pixels are taken less the middle of their frame's range, the *centre*. Variance and
covariance are the same with it, and what is rounded is small; only the luminance takes the true mean.

Images are GpuMats of CV_32FC3. What is written is given as `dst`, of its size and type: so nothing is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edge.ssim import SAMPLE, WINDOW

Gpu = Any
"""A cv2.cuda.GpuMat. OpenCV's stubs know the class, but not what an OpenCV without CUDA lacks."""
IMAGE = cv2.CV_32FC3
UNIFORM = np.full(WINDOW, 1 / WINDOW, np.float32)


@dataclass(frozen=True, eq=False)
class GpuStatistics:
    """What SSIM needs of one frame beside its pixels, all of its size.

    `centred`: the mean of the window around each pixel; `mean`: that plus the centre, `mean_square`: its square;
    `variance`: of the window, not clipped at 0: what lies below is rounding, and far below C2.
    """

    centred: Gpu
    mean: Gpu
    mean_square: Gpu
    variance: Gpu


@dataclass(frozen=True, eq=False)
class GpuImage:
    """Pixels less the centre, and their statistics."""

    pixels: Gpu
    statistics: GpuStatistics


class GpuSsim:
    """Window statistics and SSIM, with the memory that they take on the way."""

    def __init__(self, cuda: Any, stream: Any, width: int, height: int) -> None:
        """`cuda`: the module cv2.cuda; `width` and `height` of the images that `similarity` compares, px."""
        self._cuda, self._stream = cuda, stream
        self._first, self._second = (cuda.GpuMat(height, width, IMAGE) for _ in range(2))
        self._uniform = cuda.createSeparableLinearFilter(  # the box filter takes one channel, and NPP
            IMAGE, IMAGE, UNIFORM, UNIFORM, rowBorderMode=cv2.BORDER_REFLECT, columnBorderMode=cv2.BORDER_REFLECT
        )

    def statistics(self, width: int, height: int) -> GpuStatistics:
        """Memory for the statistics of an image."""
        return GpuStatistics(*(self._cuda.GpuMat(height, width, IMAGE) for _ in range(4)))

    def part(self, image: GpuImage, x: int, y: int, width: int, height: int) -> GpuImage:
        """A rectangle of an image and of its statistics, in the same memory."""
        here, whole = (x, y, width, height), image.statistics
        images = (image.pixels, whole.centred, whole.mean, whole.mean_square, whole.variance)
        pixels, *statistics = (self._cuda.GpuMat(one, here) for one in images)
        return GpuImage(pixels, GpuStatistics(*statistics))

    def measure(self, image: GpuImage, centre: float) -> None:
        """The statistics of an image from its pixels, as `edge.ssim._filter`.

        Border as scipy's `reflect`, at the edges of `pixels` even where they are a part of a larger image.
        """
        pixels, here = image.pixels, image.statistics
        self._multiply(pixels, pixels, here.mean_square)
        self._mean(here.mean_square, here.variance)
        self._mean(pixels, here.centred)
        self._multiply(here.centred, here.centred, here.mean_square)
        self._weigh(here.variance, 1, here.mean_square, -1, 0, here.variance)
        self._scale(here.centred, 1, centre, here.mean)
        self._multiply(here.mean, here.mean, here.mean_square)

    def similarity(self, before: GpuImage, after: GpuImage, constant: tuple[float, float], target: Gpu) -> None:
        """SSIM (Wang et al. 2004, eq. 13) of two images into `target`, as `edge.ssim._combine`.

        `constant`: C1 and C2. The second factors of numerator and denominator are divided by SAMPLE.
        """
        c1, c2 = constant
        here, there = before.statistics, after.statistics
        first, second = self._first, self._second
        self._multiply(before.pixels, after.pixels, first, scale=2)
        self._mean(first, second)
        self._multiply(here.centred, there.centred, first)
        self._weigh(second, 1, first, -2, c2 / SAMPLE, second)  # twice the covariance, + C2
        self._multiply(here.mean, there.mean, first)
        self._scale(first, 2, c1, first)
        self._multiply(first, second, target)
        self._weigh(here.mean_square, 1, there.mean_square, 1, c1, first)
        self._weigh(here.variance, 1, there.variance, 1, c2 / SAMPLE, second)
        self._multiply(first, second, first)
        self._cuda.divide(target, first, dst=target, stream=self._stream)

    def _mean(self, image: Gpu, target: Gpu) -> None:
        """Of the window around each pixel."""
        self._uniform.apply(image, dst=target, stream=self._stream)

    def _multiply(self, one: Gpu, other: Gpu, target: Gpu, scale: float = 1) -> None:
        """One times other times scale."""
        self._cuda.multiply(one, other, dst=target, scale=scale, stream=self._stream)

    def _weigh(self, one: Gpu, weight: float, other: Gpu, other_weight: float, more: float, target: Gpu) -> None:
        """One times its weight, plus other times its own, plus more."""
        self._cuda.addWeighted(one, weight, other, other_weight, more, dst=target, stream=self._stream)

    def _scale(self, image: Gpu, factor: float, more: float, target: Gpu) -> None:
        """Image times factor, plus more; cv2.cuda's operations with a number are of OpenCV 4.11 and later."""
        image.convertTo(cv2.CV_32F, factor, more, self._stream, dst=target)
