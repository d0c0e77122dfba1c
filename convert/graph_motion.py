"""The motion map of `edge.motion_map` as ONNX: all nine shifts scored, the best one's map computed whole. Pure.

Both frames are whole grey levels, normalised. SSIM is made of differences of nearly equal sums, and in float32 they
keep too little of a scene without contrast; therefore the sums over a window are taken of grey levels and are whole
numbers, exact in float32, and their products and differences are taken in int32. What is left to float32 is scaling
and division, in a scene of little contrast too, and when a light goes out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.graph_nodes import GraphNodes
from edge.manifest import Manifest
from edge.motion_map import IDENTITY, LEAST_RANGE, SHIFTS
from edge.ssim import K1, K2, MARGIN, SAMPLE, WINDOW

AREA = WINDOW**2
CENTRE = 128  # a grey level taken off all: variances stay, and sums of squares grow less
SPATIAL = (2, 3)
EVERY = (1, 2, 3)  # axes of one frame
TIE = 1e-6
"""The part of the highest score within which another equals it: rounding depends on where a number lies in memory."""
LONG_AGO = np.iinfo(np.int64).max  # as the end of a slice: all that is left


@dataclass(frozen=True)
class Normalisation:
    """Grey level → pixel: level * gain + lift, each (3, 1, 1)."""

    gain: NDArray[np.float64]
    lift: NDArray[np.float64]


@dataclass(frozen=True)
class _WindowSums:
    """Of windows, as names of tensors: `total` of the levels and `spread`, AREA² times the variance, int32; `mean`."""

    total: str
    spread: str
    mean: str


@dataclass(frozen=True)
class _Images:
    """The previous frame and the current one moved by some shifts, as names of tensors that broadcast.

    `product`: window totals of the levels of one times those of the other.
    """

    before: _WindowSums
    after: _WindowSums
    product: str


def normalisation(manifest: Manifest) -> Normalisation:
    """That of `edge.detector.standardise`."""
    std, mean = (np.array(values).reshape(3, 1, 1) for values in (manifest.std, manifest.mean))
    return Normalisation(1 / (255 * std), -mean / std)


class MotionGraph:
    """Adds the map of one model's frames to a graph."""

    def __init__(self, nodes: GraphNodes, manifest: Manifest) -> None:
        self._nodes, self._manifest = nodes, manifest
        self._scale = normalisation(manifest)

    def similarity(self, previous: str, current: str, levels: str) -> tuple[str, str | None]:
        """The map (B, 3, h, w) and the chosen shift (B, 1) float32, None where there is no choice.

        `previous` and `current` are normalised, (B, 3, h, w) float32; `levels` are the grey levels of `current`.
        """
        nodes = self._nodes
        restored = nodes.add("Sub", previous, nodes.constant(self._scale.lift))
        before = nodes.plus(nodes.nearest(nodes.times(restored, 1 / self._scale.gain)), -CENTRE)
        after = nodes.plus(levels, -CENTRE)
        bordered = self._bordered(before)
        mean = self._average(self._bordered(previous))
        statistics = self._statistics(bordered, mean)
        ranges = self._ranges(previous, current)
        if not self._manifest.motion.shifts:
            return self._map(statistics, bordered, after, self._constants(nodes.pick(ranges, [IDENTITY], 1), 4)), None
        mirrored = self._mirrored(after)
        chosen = self._choice(statistics, before, mirrored, self._constants(ranges, 5))
        index = nodes.cast(chosen, "int64")
        moved = nodes.add("GatherND", self._moved(mirrored, 0), index, batch_dims=1)
        own_range = nodes.reshape(nodes.add("GatherND", ranges, index, batch_dims=1), -1, 1)
        return self._map(statistics, bordered, moved, self._constants(own_range, 4)), chosen

    def _map(self, before: _WindowSums, bordered: str, after: str, constants: tuple[str, str]) -> str:
        """SSIM (B, 3, h, w), border included; `bordered` and `after`: levels of the previous and the moved frame."""
        own = self._bordered(after)
        product = self._total(self._nodes.add("Mul", bordered, own))
        return self._ssim(_Images(before, self._statistics(own), product), constants, ())

    def _choice(self, before: _WindowSums, levels: str, mirrored: str, constants: tuple[str, str]) -> str:
        """The first of the shifts with the highest mean SSIM, (B, 1) float32; the mean leaves out the margin."""
        nodes, count = self._nodes, len(SHIFTS)
        height, width = self._manifest.height, self._manifest.width
        whole = nodes.reshape(levels, 0, 1, 3, height, width)
        products = nodes.reshape(nodes.add("Mul", self._moved(mirrored, 0), whole), 0, 3 * count, height, width)
        totals = self._total(products)
        inner = (0, count, 3, height - 2 * MARGIN, width - 2 * MARGIN)
        statistics = self._statistics(mirrored)
        after = _WindowSums(*(self._moved(one, 2 * MARGIN) for one in vars(statistics).values()))
        here = _WindowSums(*(self._inner(one) for one in vars(before).values()))
        scored = self._ssim(_Images(here, after, nodes.reshape(totals, *inner)), constants, (1,))
        for axis in (4, 3, 2):  # one by one: float32 adds up a few hundred numbers better than a hundred thousand
            scored = nodes.reduce("ReduceMean", scored, [axis], keep=False)
        highest = nodes.reduce("ReduceMax", scored, [1])
        loss = nodes.add("Sub", highest, scored)
        worse = nodes.add("Greater", loss, nodes.times(nodes.add("Max", highest, nodes.times(highest, -1)), TIE))
        others = nodes.times(nodes.cast(worse, "float"), count)
        return nodes.reduce("ReduceMin", nodes.plus(others, np.arange(count)), [1])

    def _ssim(self, images: _Images, constants: tuple[str, str], lead: tuple[int, ...]) -> str:
        """Wang et al. 2004, eq. 13, second factors divided by SAMPLE; `lead`: axes that follow the batch."""
        nodes, (before, after), (c1, c2) = self._nodes, (images.before, images.after), constants
        totals = nodes.add("Mul", before.total, after.total)
        common = nodes.add("Sub", self._area_times(images.product), totals)
        scale = (self._scale.gain / AREA) ** 2
        scale = scale.reshape(*lead, 3, 1, 1)
        covariance = nodes.times(nodes.cast(common, "float"), 2 * scale)
        variance = nodes.times(nodes.cast(nodes.add("Add", before.spread, after.spread), "float"), scale)
        structure = nodes.add("Div", nodes.add("Add", covariance, c2), nodes.add("Add", variance, c2))
        means = nodes.times(nodes.add("Mul", before.mean, after.mean), 2)
        squares = nodes.add("Add", nodes.square(before.mean), nodes.square(after.mean))
        luminance = nodes.add("Div", nodes.add("Add", means, c1), nodes.add("Add", squares, c1))
        return nodes.add("Mul", luminance, structure)

    def _statistics(self, levels: str, mean: str = "") -> _WindowSums:
        """Of each window that lies in an image of grey levels less CENTRE; `mean` where that is known better."""
        nodes = self._nodes
        sums = self._sum(levels)
        total = nodes.cast(sums, "int32")
        spread = nodes.add("Sub", self._area_times(self._total(nodes.square(levels))), nodes.square(total))
        if not mean:
            gain, lift = self._scale.gain, self._scale.lift
            mean = nodes.plus(nodes.times(sums, gain / AREA), gain * CENTRE + lift)
        return _WindowSums(total, spread, mean)

    def _area_times(self, total: str) -> str:
        return self._nodes.add("Mul", total, self._nodes.constant(AREA, np.int32))

    def _total(self, image: str) -> str:
        return self._nodes.cast(self._sum(image), "int32")

    def _sum(self, image: str) -> str:
        """Of each window of whole numbers, exact: an average comes within 0.3 of it and is rounded."""
        return self._nodes.nearest(self._nodes.times(self._average(image), AREA))

    def _average(self, image: str) -> str:
        """Of each window that lies in the image."""
        return self._nodes.add("AveragePool", image, kernel_shape=[WINDOW, WINDOW])

    def _bordered(self, image: str) -> str:
        """With MARGIN px more at each side, as scipy's `reflect`."""
        return self._padded(image, MARGIN, "symmetric")

    def _mirrored(self, image: str) -> str:
        """With 1 px more at each side, as cv2.filter2D's default, so that a shift is a part of it."""
        return self._padded(image, 1, "reflect")

    def _padded(self, image: str, border: int, mode: str) -> str:
        for axis, size in zip(SPATIAL, (self._manifest.height, self._manifest.width), strict=True):
            index = np.pad(np.arange(size), border, mode=mode)  # type: ignore[call-overload]  # NumPy names the modes
            image = self._nodes.pick(image, index, axis)
        return image

    def _inner(self, image: str) -> str:
        """An image without its margin, (B, 1, 3, h - 6, w - 6)."""
        height, width = self._manifest.height, self._manifest.width
        inside = self._nodes.part(image, (MARGIN, MARGIN), (height - MARGIN, width - MARGIN), SPATIAL)
        return self._nodes.reshape(inside, 0, 1, 3, height - 2 * MARGIN, width - 2 * MARGIN)

    def _moved(self, mirrored: str, less: int) -> str:
        """The nine shifted images (B, 9, 3, h - less, w - less) of one with a mirrored border."""
        height, width = self._manifest.height - less, self._manifest.width - less
        parts = [
            self._nodes.part(mirrored, (1 + dy, 1 + dx), (1 + dy + height, 1 + dx + width), SPATIAL)
            for dy, dx in SHIFTS
        ]
        return self._nodes.reshape(self._nodes.add("Concat", *parts, axis=1), 0, len(SHIFTS), 3, height, width)

    def _ranges(self, previous: str, current: str) -> str:
        """Highest less lowest pixel of each shifted frame, as `edge.motion_map` keeps it from 0, (B, 9)."""
        nodes = self._nodes
        highest, lowest = self._extremes(current, "Max"), self._extremes(current, "Min")
        sides = [
            nodes.reshape(nodes.reduce(f"Reduce{which}", frame, EVERY), -1, 1)
            for frame in (previous, current)
            for which in ("Max", "Min")
        ]
        magnitude = nodes.add("Max", sides[0], nodes.times(sides[1], -1), sides[2], nodes.times(sides[3], -1))
        stable = nodes.add("Max", nodes.add("Sub", highest, lowest), nodes.times(magnitude, LEAST_RANGE))
        absent = nodes.add("Equal", stable, nodes.constant(0.0))
        return nodes.add("Add", stable, nodes.cast(absent, "float"))

    def _extremes(self, frame: str, which: str) -> str:
        """The highest or lowest pixel (B, 9) of each shifted frame: a shift moves a row and a column out of it."""
        nodes = self._nodes
        image = nodes.reduce(f"Reduce{which}", frame, [1])
        for axis in SPATIAL:
            ends = ((0, 1), (1, -1), (-1, LONG_AGO))
            first, middle, last = (
                nodes.reduce(f"Reduce{which}", nodes.part(image, [start], [stop], [axis]), [axis])
                for start, stop in ends
            )
            both = [
                nodes.add(which, first, middle),
                nodes.add(which, first, middle, last),
                nodes.add(which, middle, last),
            ]
            image = nodes.add("Concat", *both, axis=axis)
        flat = nodes.reshape(image, 0, 9)
        return nodes.pick(flat, [3 * (dy + 1) + dx + 1 for dy, dx in SHIFTS], 1)

    def _constants(self, ranges: str, rank: int) -> tuple[str, str]:
        """C1 and C2 / SAMPLE of data ranges (B, N), to broadcast to images of that rank."""
        shaped = self._nodes.reshape(ranges, 0, -1, *(1,) * (rank - 2))
        squared = self._nodes.square(shaped)
        return self._nodes.times(squared, K1**2), self._nodes.times(squared, K2**2 / SAMPLE)
