"""CenterNet targets: boxes of one frame → heatmap, sizes and offsets on the stride-4 grid. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINIMUM_IOU = 0.7  # of a box whose corners are off by one radius: CornerNet's choice, kept by CenterNet
NEAR_CENTRE = 0.6  # cells with at least this heatmap value learn the size too


@dataclass(frozen=True, eq=False)
class Targets:
    """What the network should answer for one frame, on a grid of h × w cells."""

    heatmap: NDArray[np.float32]  # (classes, h, w), 1 at box centres, Gaussian around
    size: NDArray[np.float32]  # (2, h, w), box width and height in cells, where size_weight > 0
    size_weight: NDArray[np.float32]  # (h, w), 1 at centres, falling to NEAR_CENTRE around, 0 elsewhere
    shift: NDArray[np.float32]  # (2, h, w), x y of the box centre from the cell's corner, cells, where size_weight > 0
    offset: NDArray[np.float32]  # (2, h, w), centre inside its cell, 0..1, where centre > 0
    centre: NDArray[np.float32]  # (h, w), 1 in the cells that hold a box centre
    annotated: NDArray[np.float32]  # (classes,), 1 for those whose absence is known too, 0 for the others


def gaussian_radius(height: float, width: float, minimum_iou: float = MINIMUM_IOU) -> float:
    """How far, in cells, both corners of a box may be off so that its IoU stays at least `minimum_iou`.

    The smallest of the three cases of Law & Deng 2018 (CornerNet, section 3.2): both corners
    shifted the same way, both inside, both outside; each the smaller root of its quadratic.
    """
    perimeter = height + width
    area = height * width
    shifted = _smaller_root(1.0, perimeter, area * (1 - minimum_iou) / (1 + minimum_iou))
    inside = _smaller_root(4.0, 2 * perimeter, (1 - minimum_iou) * area)
    outside = (-perimeter + np.sqrt(perimeter**2 + 4 * area * (1 / minimum_iou - 1))) / 4
    return float(max(min(shifted, inside, outside), 0.0))


def _smaller_root(a: float, b: float, c: float) -> float:
    """Smaller root of a·r² − b·r + c = 0."""
    return float((b - np.sqrt(b * b - 4 * a * c)) / (2 * a))


@dataclass(frozen=True, eq=False)
class PlacedBoxes:
    """The boxes of one frame that have a centre on the grid, the largest first: a later one overwrites."""

    labels: NDArray[np.int64]  # (N,)
    cells: NDArray[np.int64]  # (N, 2), row and column of the centre
    offsets: NDArray[np.float32]  # (N, 2), x y of the centre inside its cell, 0..1
    sizes: NDArray[np.float32]  # (N, 2), width and height in cells
    radii: NDArray[np.int64]  # (N,), of the Gaussian, cells


def place(boxes: NDArray[np.float32], labels: NDArray[np.int64], grid: tuple[int, int], stride: int) -> PlacedBoxes:
    """Boxes (N, 4), x1 y1 x2 y2 in input pixels, on `grid` = (h, w) cells of `stride` pixels.

    Boxes whose centre lies outside the grid, and empty boxes, are left out.
    """
    scaled = boxes.astype(np.float32) / stride
    sizes = scaled[:, 2:] - scaled[:, :2]
    centres = (scaled[:, :2] + scaled[:, 2:]) * np.float32(0.5)
    columns_rows = np.floor(centres).astype(np.int64)
    inside = (sizes > 0).all(axis=1) & (columns_rows >= 0).all(axis=1) & (columns_rows < grid[::-1]).all(axis=1)
    order = np.argsort(-sizes.prod(axis=1), kind="stable")
    kept = order[inside[order]]
    radii = [int(gaussian_radius(float(height), float(width))) for width, height in np.ceil(sizes[kept])]
    return PlacedBoxes(
        labels[kept],
        columns_rows[kept, ::-1],
        (centres - columns_rows)[kept].astype(np.float32),
        sizes[kept],
        np.array(radii, np.int64),
    )


def looked_for(classes: int, annotated: Sequence[int] | None) -> NDArray[np.float32]:
    """(classes,): 1 for those that an annotator has looked for, None: all; 0 for the others."""
    known = np.zeros(classes, np.float32)
    known[slice(None) if annotated is None else list(annotated)] = 1.0
    return known


def targets(
    boxes: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    grid: tuple[int, int],
    stride: int,
    annotated: Sequence[int] | None = None,
) -> Targets:
    """Targets for `boxes` (N, 4), x1 y1 x2 y2 in input pixels, on `grid` = (h, w) cells of `stride` pixels.

    `annotated`: the classes that an annotator has looked for, None: all; of others nothing is known without a box.

    Boxes whose centre lies outside the grid, and empty boxes, leave no trace. Where two boxes of
    one class overlap, the heatmap takes the larger value; where two claim one cell's size, the
    smaller box wins, for it is the one that would else be lost.
    """
    h, w = grid
    out = Targets(
        heatmap=np.zeros((classes, h, w), np.float32),
        size=np.zeros((2, h, w), np.float32),
        size_weight=np.zeros((h, w), np.float32),
        shift=np.zeros((2, h, w), np.float32),
        offset=np.zeros((2, h, w), np.float32),
        centre=np.zeros((h, w), np.float32),
        annotated=looked_for(classes, annotated),
    )
    placed = place(boxes, labels, grid, stride)
    for i in range(len(placed.labels)):
        _draw(out, placed, i)
    return out


def _draw(out: Targets, placed: PlacedBoxes, i: int) -> None:
    """Write one box into `out`."""
    (row, column), radius, heatmap = placed.cells[i], int(placed.radii[i]), out.heatmap[placed.labels[i]]
    h, w = out.centre.shape
    sigma = (2 * radius + 1) / 6
    top, bottom = max(row - radius, 0), min(row + radius + 1, h)
    left, right = max(column - radius, 0), min(column + radius + 1, w)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(row)
    x = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(column)
    gaussian = np.exp(-(x * x + y * y) / (2 * sigma * sigma)).astype(np.float32)
    window = (slice(top, bottom), slice(left, right))
    np.maximum(heatmap[window], gaussian, out=heatmap[window])
    near = gaussian >= NEAR_CENTRE
    out.size_weight[window][near] = gaussian[near]
    out.size[:, top:bottom, left:right][:, near] = placed.sizes[i][:, None]
    shift = placed.offsets[i][:, None, None] - np.stack(np.broadcast_arrays(x, y))
    out.shift[:, top:bottom, left:right][:, near] = shift[:, near]
    out.offset[:, row, column] = placed.offsets[i]
    out.centre[row, column] = 1.0
