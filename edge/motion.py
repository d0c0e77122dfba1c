"""The motion map: where the current frame differs in structure from the one before it. Pure.

KORSAL (Abeywardena et al. 2021, arXiv 2111.03319) reads it beside the RGB frame: the current frame is shifted by
each of nine one-pixel shifts (small camera motion), and the structural similarity (SSIM, Wang et al. 2004) of the
shift that matches the previous frame best is the map. Three facts make it cheap without changing it:
away from the border, the window statistics of a shifted frame are the frame's own, shifted; the score that chooses
the shift reads nothing nearer than 3 px to the border; so only one product per shift is filtered anew, and the
border is computed once, for the winner.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

SHIFTS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (0, 0))
"""(dy, dx) of the nine shifts in KORSAL's order: shifted[y, x] = current[y + dy, x + dx]. Ties go to the first."""
IDENTITY = 8
WINDOW = 7
"""Side of SSIM's uniform window; no frame may be smaller."""
MARGIN = WINDOW // 2
SAMPLE = WINDOW**2 / (WINDOW**2 - 1)
"""n / (n - 1): the covariance is that of a sample."""
K1, K2 = 0.01, 0.03
FLAT_RANGE = 1 / 255
"""The data range taken for a constant frame, where SSIM's own constants would be 0 and its value 0 / 0."""


@dataclass(frozen=True)
class MotionSettings:
    """What the three motion channels of the network hold.

    `ssim`: the map, 1 where nothing changed; `dsim`: 0.5 * (1 - ssim); `previous`: the previous frame itself;
    `none`: no motion channels. `shifts=False` compares the frames as they lie. `gap` says how many frames back the
    previous frame lies (KORSAL: 1); whoever holds the frames applies it.
    """

    kind: Literal["ssim", "dsim", "previous", "none"] = "ssim"
    shifts: bool = True
    gap: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("ssim", "dsim", "previous", "none"):
            raise ValueError(f"motion kind {self.kind!r}: use one of ssim, dsim, previous, none")
        if self.gap < 1:
            raise ValueError(f"motion gap {self.gap}: the previous frame lies at least 1 frame back")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame, and what SSIM needs of it alone; each part is computed when first read and kept.

    Make it with `prepare`, which checks. `frame`: (H, W, 3) float32, normalised. `lowest` and `highest`: (3, 3), the
    extremes of its corners, edges and interior, by (top, middle, bottom) x (left, middle, right).
    """

    frame: Image
    lowest: Image
    highest: Image

    @cached_property
    def padded(self) -> Image:
        """(H + 2, W + 2, 3): every shift of the frame is a slice of it. Border as cv2.filter2D's."""
        return cv2.copyMakeBorder(self.frame, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)

    @cached_property
    def mean(self) -> Image:
        """(H - 4, W - 4, 3): means of all whole windows of `padded`."""
        return _whole_windows(self.padded)

    @cached_property
    def mean_square(self) -> Image:
        """(H - 4, W - 4, 3): squares of `mean`."""
        return np.square(self.mean)

    @cached_property
    def variance(self) -> Image:
        """(H - 4, W - 4, 3): sample variances of all whole windows of `padded`, at least 0."""
        return np.maximum((_whole_windows(np.square(self.padded)) - self.mean_square) * SAMPLE, 0)


def prepare(frame: Image) -> Prepared:
    """The frame, ready to be compared with the next one and the one before.

    `frame`: (H, W, 3) float32, normalised, finite, at least 7 px each way. It is not copied: don't write to it.
    Raises ValueError.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.float32:
        raise ValueError(
            f"a motion map needs a normalised (H, W, 3) float32 frame, this is {frame.shape} {frame.dtype}: "
            "normalise it first"
        )
    if min(frame.shape[:2]) < WINDOW:
        raise ValueError(
            f"a motion map needs at least {WINDOW}x{WINDOW} px, this frame is {frame.shape[1]}x{frame.shape[0]}: "
            "use a larger input size, or motion kind 'none'"
        )
    bands = (slice(0, 1), slice(1, -1), slice(-1, None))
    lowest = np.array([[frame[rows, columns].min() for columns in bands] for rows in bands])
    highest = np.array([[frame[rows, columns].max() for columns in bands] for rows in bands])
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        raise ValueError("a motion map needs finite pixels, this frame has NaN or infinity: check mean and std")
    return Prepared(np.ascontiguousarray(frame), lowest, highest)


def blank(height: int, width: int) -> Prepared:
    """What stands for the previous frame of the first one: zeros, as in KORSAL."""
    return prepare(np.zeros((height, width, 3), np.float32))


def motion_map(previous: Image, current: Image, settings: MotionSettings) -> tuple[NDArray[np.float32], int]:
    """The motion map between two frames, and the index in SHIFTS of the shift that it is for.

    Both frames as `prepare` takes them. The map is (H, W, 3) float32, one channel per colour, not clipped: SSIM lies
    in -1..1, DSIM in 0..1. The index is IDENTITY where nothing was searched. Raises ValueError, also for kind `none`.
    """
    return compare(prepare(previous), prepare(current), settings)


def compare(previous: Prepared, current: Prepared, settings: MotionSettings) -> tuple[NDArray[np.float32], int]:
    """`motion_map` of prepared frames: along a video each frame is prepared once."""
    if settings.kind == "none":
        raise ValueError("motion kind 'none' has no map: give the network the frame alone")
    if previous.frame.shape != current.frame.shape:
        raise ValueError(
            f"frames of {previous.frame.shape[:2]} and {current.frame.shape[:2]} (height, width) have no motion map: "
            "after a change of size start again with `blank`"
        )
    if settings.kind == "previous":
        return previous.frame.astype(np.float32, copy=False), IDENTITY
    inner, shift = _best(previous, current, range(len(SHIFTS)) if settings.shifts else (IDENTITY,))
    similarity = _with_border(previous, current, inner, shift)
    if settings.kind == "dsim":
        similarity = 0.5 * (1 - similarity)
    return similarity.astype(np.float32, copy=False), shift


def _best(previous: Prepared, current: Prepared, candidates: range | tuple[int, ...]) -> tuple[Image, int]:
    """The inner map (H - 6, W - 6, 3) with the highest mean, and the index of its shift."""
    best: Image = np.empty(0)
    chosen, highest = IDENTITY, -np.inf
    for shift in candidates:
        inner = _inner(previous, current, shift)
        score = float(inner.mean(dtype=np.float64))
        if score > highest:
            best, chosen, highest = inner, shift, score
    return best, chosen


def _inner(previous: Prepared, current: Prepared, shift: int) -> Image:
    """SSIM at least 3 px from the border, (H - 6, W - 6, 3), without filtering the shifted frame."""
    cross = _whole_windows(previous.frame * _shifted(current, shift))
    means = _centre(previous.mean) * _moved(current.mean, shift)
    c1, c2 = _constants(current, shift)
    return _ssim(
        means,
        _centre(previous.mean_square) + _moved(current.mean_square, shift),
        (cross - means) * SAMPLE,
        _centre(previous.variance) + _moved(current.variance, shift),
        c1,
        c2,
    )


def _with_border(previous: Prepared, current: Prepared, inner: Image, shift: int) -> Image:
    """The whole map (H, W, 3): the inner one and its 3-px border, each strip from the 6 px that it depends on."""
    height, width = current.frame.shape[:2]
    whole = np.empty_like(current.frame, dtype=inner.dtype)
    whole[MARGIN:-MARGIN, MARGIN:-MARGIN] = inner
    shifted = _shifted(current, shift)
    c1, c2 = _constants(current, shift)
    depth = 2 * MARGIN
    for side in (np.s_[:depth], np.s_[height - depth :], np.s_[:, :depth], np.s_[:, width - depth :]):
        strip = _plain_ssim(previous.frame[side], shifted[side], c1, c2)
        _copy_outer(strip, whole, side)
    return whole


def _copy_outer(strip: Image, whole: Image, side: Any) -> None:
    """Write the outer 3 px of a strip, the rows or columns that a border of the frame explains, into the whole map."""
    vertical = isinstance(side, tuple)
    first = side[1].start if vertical else side.start
    outer = slice(0, MARGIN) if first is None else slice(MARGIN, 2 * MARGIN)
    view = whole[side]
    if vertical:
        view[:, outer] = strip[:, outer]
    else:
        view[outer] = strip[outer]


def _plain_ssim(previous: Image, shifted: Image, c1: float, c2: float) -> Image:
    """SSIM of two images of one size, as defined, with scipy's `reflect` border."""
    mean_p, mean_s = _blur(previous), _blur(shifted)
    means, squares = mean_p * mean_s, mean_p**2 + mean_s**2
    covariance = (_blur(previous * shifted) - means) * SAMPLE
    variances = np.maximum((_blur(previous**2) + _blur(shifted**2) - squares) * SAMPLE, 0)
    return _ssim(means, squares, covariance, variances, c1, c2)


def _ssim(means: Image, squares: Image, covariance: Image, variances: Image, c1: float, c2: float) -> Image:
    """Wang et al. 2004, eq. 13, from the product and sum of squares of the means, the covariance, and the variances."""
    return (2 * means + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))


def _constants(current: Prepared, shift: int) -> tuple[float, float]:
    """C1 and C2 for the range of the shifted frame: a shift drops the row and column that it moves out of sight."""
    rows, columns = ((slice(0, 2), slice(0, 3), slice(1, 3))[step + 1] for step in SHIFTS[shift])
    data_range = float(current.highest[rows, columns].max() - current.lowest[rows, columns].min()) or FLAT_RANGE
    return (K1 * data_range) ** 2, (K2 * data_range) ** 2


def _shifted(current: Prepared, shift: int) -> Image:
    """The shifted frame (H, W, 3), a view."""
    dy, dx = SHIFTS[shift]
    height, width = current.frame.shape[:2]
    return current.padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def _moved(statistics: Image, shift: int) -> Image:
    """The (H - 6, W - 6, 3) part of (H - 4, W - 4, 3) window statistics that belongs to the shifted frame, a view."""
    dy, dx = SHIFTS[shift]
    height, width = statistics.shape[:2]
    return statistics[1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx]


def _centre(statistics: Image) -> Image:
    """The (H - 6, W - 6, 3) part of (H - 4, W - 4, 3) window statistics for the frame as it lies, a view."""
    return statistics[1:-1, 1:-1]


def _blur(image: Image) -> Image:
    """Window means, border as scipy's `reflect`."""
    return cv2.blur(image, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)


def _whole_windows(image: Image) -> Image:
    """Means of the windows that lie wholly inside the image: (H - 6, W - 6, 3)."""
    return _blur(image)[MARGIN:-MARGIN, MARGIN:-MARGIN]
