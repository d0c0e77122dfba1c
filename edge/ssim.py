"""The arithmetic of structural similarity (SSIM, Wang et al. 2004) between a frame and a shifted frame. Pure.

As scikit-image's `structural_similarity` with its defaults: 7x7 uniform window, `reflect` border, sample covariance,
K1 = 0.01, K2 = 0.03, each channel for itself. Images are (H, W, 3), float32 or float64; a shift is (dy, dx) with
shifted[y, x] = frame[y + dy, x + dx], each -1, 0 or 1, and what lies outside mirrored as by `cv2.filter2D`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[Any]

WINDOW = 7
"""Side of the window, px."""
MARGIN = WINDOW // 2
"""The score leaves out this many px at each side, where the window reaches beyond the frame."""
SAMPLE = WINDOW**2 / (WINDOW**2 - 1)
"""n / (n - 1): the covariance is that of a sample."""
K1, K2 = 0.01, 0.03


@dataclass(frozen=True, eq=False)
class Windows:
    """What SSIM needs of one frame alone, each (H + 4, W + 2, 3).

    `pixels`: the frame with a mirrored border, so that a shift is an offset (the outermost rows only keep the offsets
    in bounds); `mean`, `mean_square` (the square of the mean) and `variance` (at least 0) of the window around each.
    """

    pixels: FloatImage
    mean: FloatImage
    mean_square: FloatImage
    variance: FloatImage


def allocate(frame: FloatImage) -> FloatImage:
    """Uninitialised memory for the `windows` of a frame, of its data type."""
    height, width, channels = frame.shape
    return np.empty((4, height + 4, width + 2, channels), frame.dtype)


def windows(frame: FloatImage, block: FloatImage) -> Windows:
    """The window statistics of a frame, which serve all its shifts, in a block from `allocate`."""
    cv2.copyMakeBorder(frame, 2, 2, 1, 1, cv2.BORDER_REFLECT_101, dst=block[0])
    _filter(block[0], block[1:])
    return Windows(*block)


def constants(data_range: float) -> tuple[float, float]:
    """C1 and C2 of SSIM's definition."""
    return (K1 * data_range) ** 2, (K2 * data_range) ** 2


def buffers(rows: int, frame: Windows) -> list[FloatImage]:
    """Memory for `inner` on up to that many rows, to be reused."""
    _, width, channels = frame.pixels.shape
    return [np.empty((rows + 2 * MARGIN, width * channels), frame.pixels.dtype) for _ in range(3)]


def inner(
    previous: Windows,
    current: Windows,
    shift: tuple[int, int],
    rows: tuple[int, int],
    constant: tuple[float, float],
    work: Sequence[FloatImage],
) -> FloatImage:
    """SSIM of rows first..last - 1 of the previous and the shifted current frame, without the margin: (rows, W - 6, 3).

    Only the product of the two is filtered. Rows lie in MARGIN..H - MARGIN. The result is a view of a buffer of
    `work`. All arrays are read as flat runs of whole rows: what wraps around at a row's ends lies in the margin.
    """
    count, width = rows[1] - rows[0], current.pixels.shape[1]
    wide, stride = count + 2 * MARGIN, width * 3
    product, cross, result = (buffer[:wide] for buffer in work)
    first, offset = (rows[0] + 2) * stride, shift[0] * stride + shift[1] * 3
    above = first - MARGIN * stride
    frames = _run(previous.pixels, above, product), _run(current.pixels, above + offset, product)
    cv2.multiply(*frames, dst=product, scale=2)
    cv2.blur(product.reshape(wide, width, 3), (WINDOW, WINDOW), dst=cross.reshape(wide, width, 3))
    result = result[:count]
    here = [_run(part, first, result) for part in (previous.mean, previous.mean_square, previous.variance)]
    there = [_run(part, first + offset, result) for part in (current.mean, current.mean_square, current.variance)]
    _combine(cross[MARGIN:-MARGIN], here, there, constant, result, product[:count])
    return result.reshape(count, width, 3)[:, MARGIN + 1 : -MARGIN - 1]


def _run(image: FloatImage, start: int, like: FloatImage) -> FloatImage:
    """The elements of an image from a flat index on, in the shape of another array, a view."""
    return image.reshape(-1)[start : start + like.size].reshape(like.shape)


def _combine(
    cross: FloatImage,
    here: Sequence[FloatImage] | FloatImage,
    there: Sequence[FloatImage] | FloatImage,
    constant: tuple[float, float],
    result: FloatImage,
    spare: FloatImage,
) -> None:
    """SSIM into `result` (Wang et al. 2004, eq. 13) in few passes over memory; overwrites `cross` and `spare`.

    `cross`: twice the window mean of the product of the two images; `here`, `there`: their means, squared means and
    variances. Dividing the second factor of numerator and denominator by SAMPLE leaves only its C2 to scale.
    """
    c1, c2 = constant
    cv2.multiply(here[0], there[0], dst=result, scale=2)
    cv2.addWeighted(cross, 1, result, -1, c2 / SAMPLE, dst=cross)
    np.add(result, c1, out=result)
    np.multiply(result, cross, out=result)
    cv2.addWeighted(here[1], 1, there[1], 1, c1, dst=cross)
    cv2.addWeighted(here[2], 1, there[2], 1, c2 / SAMPLE, dst=spare)
    np.multiply(cross, spare, out=cross)
    np.divide(result, cross, out=result)


def fill_border(
    similarity: FloatImage, previous: Windows, current: Windows, shift: tuple[int, int], constant: tuple[float, float]
) -> None:
    """Write the outer 3 px of a map (H, W, 3), the margin that `inner` leaves out.

    They depend on the outer 6 px of the frames. All four sides form one strip here, with the frame's edge on top.
    """
    height, width = similarity.shape[:2]
    before, after = _sides(_shifted(previous, (0, 0))), _sides(_shifted(current, shift))
    cross = cv2.blur(2 * before * after, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)[:MARGIN]
    statistics = np.empty((2, 3, *before.shape), before.dtype)
    _filter(before, statistics[0])
    _filter(after, statistics[1])
    here, there = statistics[:, :, :MARGIN]
    strip = np.empty_like(cross)
    _combine(cross, here, there, constant, strip, np.empty_like(cross))
    top, bottom, left, right = np.split(strip, np.cumsum([width + 2 * MARGIN, width + 2 * MARGIN, height]), axis=1)
    similarity[:, :MARGIN] = left.transpose(1, 0, 2)
    similarity[:, : -MARGIN - 1 : -1] = right.transpose(1, 0, 2)
    similarity[:MARGIN] = top[:, MARGIN:-MARGIN]
    similarity[: -MARGIN - 1 : -1] = bottom[:, MARGIN:-MARGIN]


def _shifted(frame: Windows, shift: tuple[int, int]) -> FloatImage:
    """The shifted frame (H, W, 3), a view."""
    height, width = frame.pixels.shape[:2]
    return frame.pixels[2 + shift[0] : height - 2 + shift[0], 1 + shift[1] : width - 1 + shift[1]]


def _sides(image: FloatImage) -> FloatImage:
    """The outer 6 px of an image's top, bottom, left and right, the outermost first.

    (6, 2 (W + 6) + 2 H, 3). The rows get scipy's `reflect` border left and right, because the corners of the map come
    from them.
    """
    depth = 2 * MARGIN
    rows = np.concatenate([image[:depth], image[: -depth - 1 : -1]])
    rows = cv2.copyMakeBorder(rows, 0, 0, MARGIN, MARGIN, cv2.BORDER_REFLECT)
    columns = [side.transpose(1, 0, 2) for side in (image[:, :depth], image[:, : -depth - 1 : -1])]
    return np.concatenate([rows[:depth], rows[depth:], *columns], axis=1)


def _filter(image: FloatImage, statistics: FloatImage) -> None:
    """Window mean, its square, and the window variance (at least 0) of an image into (3, H, W, 3).

    Border as scipy's `reflect`.
    """
    mean, mean_square, variance = statistics
    np.multiply(image, image, out=mean_square)
    cv2.blur(mean_square, (WINDOW, WINDOW), dst=variance, borderType=cv2.BORDER_REFLECT)
    cv2.blur(image, (WINDOW, WINDOW), dst=mean, borderType=cv2.BORDER_REFLECT)
    np.multiply(mean, mean, out=mean_square)
    np.subtract(variance, mean_square, out=variance)
    np.maximum(variance, 0, out=variance)
