"""The motion map of `edge.motion_map` with torch, for batches of grey levels. Pure.

As in `convert/graph_motion.py` windows are summed over whole grey levels, exactly; only scaling and division round. All
nine shifts are scored.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edge.manifest import Manifest
from edge.motion_map import IDENTITY, LEAST_RANGE, SHIFTS
from edge.ssim import K1, K2, MARGIN, SAMPLE, WINDOW

AREA = WINDOW**2
CENTRE = 128  # a grey level taken off all: variances stay, and sums of squares grow less
TIE = 1e-6  # of the highest score; within it another equals it, for sums depend on their order
AT_ONCE = 16  # frames of which all shifts are in memory together
KINDS_HERE = ("ssim", "dsim", "previous", "none")  # not optical flow, which OpenCV computes on the CPU


@dataclass(frozen=True, eq=False)
class _WindowTotals:
    """Of windows (..., 3, h, w): `total` of the levels and `spread`, AREA² times the variance, int32; `mean`."""

    total: Tensor
    spread: Tensor
    mean: Tensor

    def part(self, rows: slice, columns: slice) -> "_WindowTotals":
        return _WindowTotals(*(one[..., rows, columns] for one in (self.total, self.spread, self.mean)))


class MotionMaps:
    """Computes the motion channels of one model's input, and normalises its frames."""

    def __init__(self, manifest: Manifest, device: torch.device) -> None:
        self.motion = manifest.motion
        mean, std = np.array(manifest.mean), np.array(manifest.std)
        self._gain, self._lift = (
            torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]  # (3, 1, 1)
            for values in (1 / (255 * std), -mean / std)
        )

    def normalised(self, levels: Tensor) -> Tensor:
        """Grey levels (B, 3, h, w) as the network takes them, float32."""
        return levels * self._gain + self._lift

    def maps(self, before: Tensor, known: Tensor, after: Tensor) -> Tensor:
        """The motion channels (B, 3, h, w) float32 of two frames each, grey levels (B, 3, h, w).

        `known` (B,) bool: whether there is a frame before; it is zeros where there is none.
        """
        if self.motion.kind == "previous":
            return self.normalised(before) * known[:, None, None, None]
        parts = zip(before.split(AT_ONCE), known.split(AT_ONCE), after.split(AT_ONCE), strict=True)
        similarity = torch.cat([self.similarity(*part)[0] for part in parts])
        return 0.5 - 0.5 * similarity if self.motion.kind == "dsim" else similarity

    def similarity(self, before: Tensor, known: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """SSIM (B, 3, h, w) float32 of the best shift, and its index in SHIFTS (B,)."""
        earlier = (before - CENTRE).float() * known[:, None, None, None]
        bordered = _bordered(earlier)
        here = self._statistics(bordered)
        here = _WindowTotals(here.total, here.spread, here.mean * known[:, None, None, None])
        mirrored = _mirrored((after - CENTRE).float())
        moved = _moved(mirrored)  # (B, 9, 3, h, w)
        ranges = self._ranges(earlier, known, moved)
        shift = torch.full_like(known, IDENTITY, dtype=torch.int64)
        if self.motion.shifts:
            shift = self._choice(here, earlier, self._statistics(mirrored), moved, ranges)
        number = torch.arange(len(shift), device=shift.device)
        chosen = _bordered(moved[number, shift])
        there = self._statistics(chosen)
        return self._ssim(here, there, _sums(bordered * chosen), ranges[number, shift][:, None, None, None]), shift

    def _choice(
        self, here: _WindowTotals, earlier: Tensor, mirrored: _WindowTotals, moved: Tensor, ranges: Tensor
    ) -> Tensor:
        """The first of the shifts with the highest mean SSIM, (B,); the mean leaves out the margin."""
        inner = slice(MARGIN, -MARGIN)
        products = _sums((moved * earlier[:, None]).flatten(1, 2)).unflatten(1, moved.shape[1:3])
        there = _WindowTotals(*(_moved(one) for one in vars(mirrored).values()))
        before = _WindowTotals(*(one[:, None] for one in vars(here.part(inner, inner)).values()))
        scores = self._ssim(before, there, products, ranges[:, :, None, None, None]).mean(
            (2, 3, 4), dtype=torch.float64
        )
        highest = scores.amax(1, keepdim=True)
        return (highest - scores <= TIE * highest.abs()).int().argmax(1)  # of equals the first

    def _ssim(self, here: _WindowTotals, there: _WindowTotals, products: Tensor, ranges: Tensor) -> Tensor:
        """Wang et al. 2004, eq. 13, second factors divided by SAMPLE; `products`: window totals of both multiplied."""
        c1, c2 = (K1 * ranges).square(), (K2 * ranges).square() / SAMPLE
        scale = (self._gain / AREA).square()
        covariance = (AREA * products.int() - here.total * there.total) * (2 * scale)
        variance = (here.spread + there.spread) * scale
        luminance = (2 * here.mean * there.mean + c1) / (here.mean.square() + there.mean.square() + c1)
        return luminance * (covariance + c2) / (variance + c2)

    def _statistics(self, levels: Tensor) -> _WindowTotals:
        """Of each window that lies in an image of grey levels less CENTRE."""
        total = _sums(levels)
        spread = AREA * _sums(levels.square()).int() - total.int().square()
        return _WindowTotals(total.int(), spread, self._pixel(total / AREA))

    def _pixel(self, centred: Tensor) -> Tensor:
        return centred * self._gain + (CENTRE * self._gain + self._lift)

    def _ranges(self, earlier: Tensor, known: Tensor, moved: Tensor) -> Tensor:
        """Highest less lowest pixel of each shifted frame, as `edge.motion_map` keeps it from 0: (B, 9)."""
        highest, lowest = (
            self._pixel(extreme(moved, (3, 4))[..., None, None])[..., 0, 0] for extreme in (torch.amax, torch.amin)
        )  # (B, 9, 3)
        before = self._pixel(earlier).abs().amax((1, 2, 3)) * known
        magnitude = torch.maximum(torch.maximum(highest.abs(), lowest.abs()).amax((1, 2)), before)
        ranges = torch.maximum(highest.amax(2) - lowest.amin(2), LEAST_RANGE * magnitude[:, None])
        return torch.where(ranges == 0, 1.0, ranges)


def _sums(images: Tensor) -> Tensor:
    """Of each window that lies in images (B, N, h, w) of whole numbers; exact, for they stay below 2**24."""
    return F.avg_pool2d(images, WINDOW, 1, divisor_override=1)


def _bordered(images: Tensor) -> Tensor:
    """With MARGIN px more at each side, as scipy's `reflect`."""
    for axis in (-2, -1):
        size = images.shape[axis]
        place = torch.arange(-MARGIN, size + MARGIN, device=images.device)
        place = torch.where(place < 0, -1 - place, torch.where(place < size, place, 2 * size - 1 - place))
        images = images.index_select(axis, place)
    return images


def _mirrored(images: Tensor) -> Tensor:
    """With 1 px more at each side, as cv2.filter2D's default, so that a shift is a part of it."""
    return F.pad(images, (1, 1, 1, 1), mode="reflect")


def _moved(mirrored: Tensor) -> Tensor:
    """The nine shifted images (B, 9, 3, h, w) of those with a mirrored border (B, 3, h + 2, w + 2)."""
    height, width = mirrored.shape[2] - 2, mirrored.shape[3] - 2
    parts = [mirrored[:, :, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in SHIFTS]
    return torch.stack(parts, 1)
