"""The letterbox of `edge.detector.fit` as ONNX: a uint8 frame of any size → grey levels at the network's size. Pure.

cv2.warpAffine reads at multiples of 1/32 px, which it computes in parts of 1/1024 px, and rounds halves up. The affine
neither turns nor mirrors, so both axes are interpolated by themselves. Positions depend on the frame's size, which only
the running graph knows: they are computed from its shape in whole numbers, exactly, and small enough for int32, to
which TensorRT 8.6 narrows int64.
"""

from dataclasses import dataclass
from math import gcd

import numpy as np

from convert.graph_nodes import GraphNodes
from edge.letterbox import PRECISION, STEPS
from edge.manifest import INPUT_MULTIPLE, Manifest

OFFSET = 1 << 20  # px, added to positions and taken off again: whole numbers are divided towards 0, not down
HALFWAY = (
    2 * PRECISION
)  # px; at an input's side of a multiple of it, a position may lie just between two of these parts
LARGEST_INTEGER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class _Axis:
    """One axis of the fit: its `index` in a frame (B, H, W, 3) and the input's `size`.

    `other`: the input's other side, both divided by what they have in common.
    """

    index: int
    size: int
    other: int


def fits_as_cv2(manifest: Manifest) -> bool:
    """Whether `fit` reads every frame where cv2 does, in int32 too.

    Not at sides where a position may lie halfway: there cv2 rounds as its own double's rounding error has it.
    """
    sides = manifest.height, manifest.width
    largest = 2 * PRECISION // INPUT_MULTIPLE * max(sides) * _denominator(manifest)
    return largest <= LARGEST_INTEGER and all(side % HALFWAY for side in sides)


def _denominator(manifest: Manifest) -> int:
    height, width = (side // INPUT_MULTIPLE for side in (manifest.height, manifest.width))
    return height * width // gcd(height, width)


def fit(nodes: GraphNodes, frame: str, manifest: Manifest) -> str:
    """A frame (B, H, W, 3) uint8 → (B, 3, h, w) float32 of whole grey levels; outside of the frame is black."""
    height, width = (side // INPUT_MULTIPLE for side in (manifest.height, manifest.width))
    common = gcd(height, width)
    rows = _Axis(1, manifest.height, width // common)
    columns = _Axis(2, manifest.width, height // common)
    image = nodes.cast(frame, "float")  # before all else: TensorRT reads uint8 in a cast alone, its shape too
    shape = nodes.add("Shape", image)
    sizes = {axis: nodes.pick(shape, [axis.index], 0) for axis in (rows, columns)}
    # The frame's px for one of the input's are longest / (INPUT_MULTIPLE * denominator), as `edge.letterbox` has it.
    scaled = {axis: nodes.add("Mul", sizes[axis], nodes.integers(axis.other)) for axis in (rows, columns)}
    longest = nodes.add("Max", scaled[rows], scaled[columns])
    denominator = _denominator(manifest)
    for axis in (rows, columns):
        border = nodes.add("Sub", longest, scaled[axis])
        parts = _parts_of_rows if axis is rows else _parts_of_columns
        image = _interpolated(nodes, image, axis, sizes[axis], parts(nodes, axis, longest, border, denominator))
    levels = nodes.add("Floor", nodes.times(nodes.plus(image, STEPS**2 / 2), 1 / STEPS**2))
    return nodes.add("Transpose", levels, perm=[0, 3, 1, 2])


def _parts_of_columns(nodes: GraphNodes, axis: _Axis, longest: str, border: str, denominator: int) -> str:
    """The column of the frame that each of the input is read at, 1/1024 px: the margin is rounded by itself."""
    whole, rest = _steps(nodes, axis, longest, denominator)
    rounded = _quotient(nodes, nodes.add("Add", rest, nodes.integers(denominator)), 2 * denominator)
    doubled = nodes.add("Mul", border, nodes.integers(PRECISION))
    margin = _quotient(nodes, nodes.add("Add", doubled, nodes.integers(axis.other)), 2 * axis.other)
    return nodes.add("Sub", nodes.add("Add", whole, rounded), margin)


def _parts_of_rows(nodes: GraphNodes, axis: _Axis, longest: str, border: str, denominator: int) -> str:
    """The row of the frame that each of the input is read at, 1/1024 px: rounded together with the margin."""
    whole, rest = _steps(nodes, axis, longest, denominator)
    halved = nodes.add("Mul", border, nodes.integers(PRECISION // 2))
    margin = _quotient(nodes, halved, axis.other)
    left = nodes.add("Sub", halved, nodes.add("Mul", margin, nodes.integers(axis.other)))
    left = nodes.add("Mul", left, nodes.integers(2 * denominator // axis.other))
    offset = nodes.integers(3 * denominator)  # a half to round, and one so that nothing is below 0
    rounded = _quotient(nodes, nodes.add("Sub", nodes.add("Add", rest, offset), left), 2 * denominator)
    parts = nodes.add("Sub", nodes.add("Add", whole, rounded), margin)
    return nodes.add("Sub", parts, nodes.integers(1))


def _steps(nodes: GraphNodes, axis: _Axis, longest: str, denominator: int) -> tuple[str, str]:
    """Each index times the scale, 1/1024 px: whole ones, and the rest in 1 / (2 * denominator)."""
    quotient = _quotient(nodes, longest, denominator)
    remainder = nodes.add("Sub", longest, nodes.add("Mul", quotient, nodes.integers(denominator)))
    step = PRECISION // INPUT_MULTIPLE
    indices = np.arange(axis.size)
    whole = nodes.add("Mul", quotient, nodes.integers(*step * indices))
    return whole, nodes.add("Mul", remainder, nodes.integers(*2 * step * indices))


def _quotient(nodes: GraphNodes, numerator: str, divisor: int) -> str:
    """A quotient of whole numbers, none below 0, rounded down."""
    return nodes.add("Div", numerator, nodes.integers(divisor))


def _interpolated(nodes: GraphNodes, image: str, axis: _Axis, size: str, parts: str) -> str:
    """The image read at these positions along the axis, times STEPS."""
    step = PRECISION // STEPS
    above = nodes.add("Add", parts, nodes.integers(step // 2 + OFFSET * PRECISION))
    steps = _quotient(nodes, above, step)
    pixels = _quotient(nodes, steps, STEPS)
    fraction = nodes.add("Sub", steps, nodes.add("Mul", pixels, nodes.integers(STEPS)))
    first = nodes.add("Sub", pixels, nodes.integers(OFFSET))
    weights = nodes.add("Sub", nodes.integers(STEPS), fraction), fraction
    near = _weighted(nodes, image, axis, size, first, weights[0])
    far = _weighted(nodes, image, axis, size, nodes.add("Add", first, nodes.integers(1)), weights[1])
    return nodes.add("Add", near, far)


def _weighted(nodes: GraphNodes, image: str, axis: _Axis, size: str, index: str, weight: str) -> str:
    """The rows or columns of these indices times their weights, 0 outside of the image."""
    one, zero = nodes.integers(1), nodes.integers(0)
    beyond = nodes.add("Min", nodes.add("Max", index, nodes.integers(-1)), size)
    inside = nodes.add("Min", nodes.add("Max", beyond, zero), nodes.add("Sub", size, one))
    outside = nodes.square(nodes.add("Sub", beyond, inside))  # 1 or 0
    kept = nodes.add("Mul", weight, nodes.add("Sub", one, outside))
    factor = nodes.reshape(nodes.cast(kept, "float"), *(-1 if place == axis.index else 1 for place in range(4)))
    return nodes.add("Mul", nodes.add("Gather", image, inside, axis=axis.index), factor)
