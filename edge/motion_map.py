"""The motion map: where the structure of a frame differs from that of the previous one. Pure.

KORSAL (Abeywardena et al. 2021, arXiv 2111.03319) reads it beside the RGB frame: the current frame is moved by each
of nine one-pixel shifts (small camera motion), and the structural similarity (SSIM, Wang et al. 2004) of the shift
that matches the previous frame best is the map. `docs/motion.md` explains why the shortcuts here are exact:
away from the border a shifted frame's window statistics are the frame's own, shifted; the score that chooses the
shift reads nothing nearer than 3 px to the border; and a shift that has already lost is not scored further.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.optical_flow import flow_map
from edge.ssim import MARGIN, WINDOW, FloatImage, Windows, allocate, buffers, constants, fill_border, inner, windows

SHIFTS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (0, 0))
"""(dy, dx) of the nine shifts in KORSAL's order: shifted[y, x] = current[y + dy, x + dx]. Ties go to the first."""
IDENTITY = 8
LEAST_RANGE = 1e-4
"""The smallest data range, as a part of the largest magnitude in either frame: below it SSIM is rounding error, and
at 0 (a constant frame) it is 0 / 0. One grey level of an 8-bit frame is 50 times as much."""
BAND = 64
"""Rows scored at a time: few enough for the cache and for stopping early, many compared with the 6 that overlap."""


MotionKind = Literal["ssim", "dsim", "flow", "previous", "none"]
LARGEST_GAP = 4096  # frames
KINDS: tuple[MotionKind, ...] = get_args(MotionKind)


@dataclass(frozen=True)
class MotionSettings:
    """What the three motion channels of the network hold.

    `ssim`: the map, 1 where nothing changed; `dsim`: 0.5 * (1 - ssim); `flow`: optical flow and change of grey
    (`edge.optical_flow`); `previous`: the previous frame itself; `none`: no motion channels. `shifts=False` compares
    the frames unshifted, and lets flow keep the camera's own motion. `gap` is how many frames back the previous frame
    lies in training (KORSAL: 1); the caller, who holds the frames, applies it, in seconds.
    """

    kind: MotionKind = "ssim"
    shifts: bool = True
    gap: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r}: use one of {', '.join(KINDS)}")
        if not 1 <= self.gap <= LARGEST_GAP:
            raise ValueError(f"gap {self.gap}: the previous frame lies at least 1 frame back, {LARGEST_GAP} at most")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame, checked by `prepare`, and what SSIM needs of it.

    `frame`: (H, W, 3) float32, normalised. `lowest` and `highest`: (3, 3), the extremes of its corners, edges and
    interior, by (top, middle, bottom) x (left, middle, right). `block`: the memory that `windows` fills.
    """

    frame: FloatImage
    lowest: FloatImage
    highest: FloatImage
    block: FloatImage

    @cached_property
    def windows(self) -> Windows:
        """The window statistics, computed when first read and kept for the next comparison."""
        return windows(self.frame, self.block)


def prepare(frame: FloatImage, spare: Prepared | None = None) -> Prepared:
    """Check a frame and prepare it for comparison with the next and the previous one.

    `frame`: (H, W, 3) float32, normalised, finite, at least 7 px each way. It is not copied, so do not modify it.
    `spare`: a prepared frame that is no longer needed (the one before the previous); its memory is reused where it
    fits, because the system maps fresh memory page by page, which takes longer than filling it. Raises ValueError.
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
    lowest, highest = _extremes(frame, np.min), _extremes(frame, np.max)
    if not (np.isfinite(lowest).all() and np.isfinite(highest).all()):
        raise ValueError("a motion map needs finite pixels, this frame has NaN or infinity: check mean and std")
    block = spare.block if spare is not None and spare.frame.shape == frame.shape else allocate(frame)
    return Prepared(np.ascontiguousarray(frame), lowest, highest, block)


def _extremes(frame: FloatImage, extreme: Callable[[FloatImage], Any]) -> FloatImage:
    """(3, 3): the extreme of the frame's corners, edges and interior."""
    parts = (slice(0, 1), slice(1, -1), slice(-1, None))
    top, bottom = ([extreme(row[:, part]) for part in parts] for row in (frame[:1], frame[-1:]))
    left, right = extreme(frame[1:-1, :1]), extreme(frame[1:-1, -1:])
    middle = extreme(frame[1:-1])  # contiguous: three times as fast as without its two columns
    if middle in (left, right):
        middle = extreme(frame[1:-1, 1:-1])
    return np.array([top, [left, middle, right], bottom])


def blank(height: int, width: int) -> Prepared:
    """The frame before the first one: zeros, as in KORSAL."""
    return prepare(np.zeros((height, width, 3), np.float32))


def motion_map(previous: FloatImage, current: FloatImage, settings: MotionSettings) -> tuple[NDArray[np.float32], int]:
    """The motion map between two frames, and the index in SHIFTS of the shift that was chosen.

    Both frames as `prepare` takes them. The map is (H, W, 3) float32, one channel per colour, not clipped: SSIM lies
    in -1..1, DSIM in 0..1; for flow see `edge.optical_flow`. The index is IDENTITY where no shift was searched. Raises
    ValueError, also for kind `none`.
    """
    return compare(prepare(previous), prepare(current), settings)


def compare(previous: Prepared, current: Prepared, settings: MotionSettings) -> tuple[NDArray[np.float32], int]:
    """`motion_map` of prepared frames, so that each frame of a video is prepared once."""
    if settings.kind == "none":
        raise ValueError("motion kind 'none' has no map: give the network the frame alone")
    if previous.frame.shape != current.frame.shape:
        raise ValueError(
            f"frames of {previous.frame.shape[:2]} and {current.frame.shape[:2]} (height, width) have no motion map: "
            "after a change of size start again with `blank`"
        )
    if settings.kind == "previous":
        return previous.frame, IDENTITY
    if settings.kind == "flow":
        return flow_map(previous.frame, current.frame, settings.shifts), IDENTITY
    similarity, shift = _similarity(_pair(previous, current), range(len(SHIFTS)) if settings.shifts else (IDENTITY,))
    if settings.kind == "dsim":
        np.multiply(similarity, -0.5, out=similarity)
        np.add(similarity, 0.5, out=similarity)
    return similarity.astype(np.float32, copy=False), shift


@dataclass(frozen=True, eq=False)
class _FramePair:
    """Two frames to compare; `constants`: SSIM's C1 and C2 for each of SHIFTS."""

    previous: Windows
    current: Windows
    constants: tuple[tuple[float, float], ...]


def _pair(previous: Prepared, current: Prepared) -> _FramePair:
    """The two frames, in float64 where float32 would not keep SSIM within 5e-4.

    Variances are differences of squares, and C2 shrinks with the current frame's range: a current frame of little
    contrast, or a previous one of much more, is where the rounding of float32 shows.
    """
    extremes = (previous.lowest, previous.highest, current.lowest, current.highest)
    magnitude = max(float(np.abs(part).max()) for part in extremes)
    ranges = [_data_range(current, shift) for shift in SHIFTS]
    stable = tuple(constants(max(size, LEAST_RANGE * magnitude) or 1.0) for size in ranges)
    if magnitude <= min(ranges) and 1e-3 <= magnitude <= 1e3:
        return _FramePair(previous.windows, current.windows, stable)
    before, after = previous.frame.astype(np.float64), current.frame.astype(np.float64)
    return _FramePair(windows(before, allocate(before)), windows(after, allocate(after)), stable)


def _data_range(frame: Prepared, shift: tuple[int, int]) -> float:
    """Highest less lowest pixel of the shifted frame: a shift moves a row and a column out of the frame."""
    rows, columns = ((slice(0, 2), slice(0, 3), slice(1, 3))[step + 1] for step in shift)
    return float(frame.highest[rows, columns].max()) - float(frame.lowest[rows, columns].min())


def _similarity(pair: _FramePair, candidates: Sequence[int]) -> tuple[FloatImage, int]:
    """SSIM (H, W, 3) of the candidate shift with the highest mean, and that shift; of equals the first.

    SSIM is at most 1, so the sum of 1 - SSIM over the bands scored so far bounds a shift's loss from below. The shift
    with the lowest bound is scored next; the first to be lowest with no band left has the lowest loss of all. The bands
    of the identity, which wins where the camera stands still, are kept; another winner's are computed once more.
    """
    bands, work = _bands(pair.current), buffers(BAND, pair.current)
    similarity = np.empty_like(pair.current.pixels[2:-2, 1:-1], order="C")
    loss = dict.fromkeys(candidates, 0.0)
    scored = dict.fromkeys(candidates, 0)
    while scored[shift := min(loss, key=loss.__getitem__)] < len(bands):
        first, last = bands[scored[shift]]
        band = inner(pair.previous, pair.current, SHIFTS[shift], (first, last), pair.constants[shift], work)
        loss[shift] += band.size - sum(cv2.sumElems(band))
        scored[shift] += 1
        if shift == IDENTITY:
            similarity[first:last, MARGIN:-MARGIN] = band
    for first, last in bands if shift != IDENTITY else ():
        band = inner(pair.previous, pair.current, SHIFTS[shift], (first, last), pair.constants[shift], work)
        similarity[first:last, MARGIN:-MARGIN] = band
    fill_border(similarity, pair.previous, pair.current, SHIFTS[shift], pair.constants[shift])
    return similarity, shift


def _bands(frame: Windows) -> list[tuple[int, int]]:
    """First row and last + 1 of nearly equal bands of the frame less its margin.

    The most textured come first: there a wrong shift loses soonest.
    """
    rows = frame.variance.shape[0] - 4 - 2 * MARGIN
    count = -(-rows // BAND)
    edges = [MARGIN + rows * index // count for index in range(count + 1)]
    return sorted(pairwise(edges), key=lambda band: -sum(cv2.mean(frame.variance[band[0] + 2 : band[1] + 2])))
