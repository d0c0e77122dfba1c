"""The targets of `train.targets` for a batch, drawn with torch. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.targets import NEAR_CENTRE, PlacedBoxes

ABSENT = -1  # the radius in a row that holds no box


@dataclass(frozen=True, eq=False)
class BatchBoxes:
    """`PlacedBoxes` of a batch, on its device, M rows for each frame; the last ones may hold no box."""

    labels: Tensor  # (B, M) int64
    cells: Tensor  # (B, M, 2) int64
    offsets: Tensor  # (B, M, 2) float32
    sizes: Tensor  # (B, M, 2) float32
    radii: Tensor  # (B, M) int64, ABSENT where there is no box


def stacked(frames: Sequence[PlacedBoxes]) -> dict[str, NDArray[np.generic]]:
    """The arrays of `BatchBoxes` by name, of the boxes of each frame."""
    rows = max(len(one.labels) for one in frames)
    return {one.name: np.stack([_filled(one.name, frame, rows) for frame in frames]) for one in fields(BatchBoxes)}


def _filled(name: str, frame: PlacedBoxes, rows: int) -> NDArray[np.generic]:
    values: NDArray[np.generic] = getattr(frame, name)
    missing = np.full((rows - len(values), *values.shape[1:]), ABSENT if name == "radii" else 0, values.dtype)
    return np.concatenate([values, missing])


def drawn(boxes: BatchBoxes, classes: int, grid: tuple[int, int]) -> dict[str, Tensor]:
    """The arrays of `Targets` by name, stacked; `grid` is (h, w)."""
    h, w = grid
    device, batch = boxes.labels.device, len(boxes.labels)
    heatmap = torch.zeros((batch, classes, h, w), device=device)
    size, shift, offset = (torch.zeros((batch, 2, h, w), device=device) for _ in range(3))
    weight, centre = (torch.zeros((batch, h, w), device=device) for _ in range(2))
    number = torch.arange(batch, device=device)
    for m in range(boxes.labels.shape[1]):
        gaussian, here, away = _gaussian(boxes.cells[:, m], boxes.radii[:, m], grid)
        label = boxes.labels[:, m]
        heatmap[number, label] = torch.maximum(heatmap[number, label], gaussian)
        near = gaussian >= NEAR_CENTRE
        weight = torch.where(near, gaussian, weight)
        size = torch.where(near[:, None], boxes.sizes[:, m, :, None, None], size)
        shift = torch.where(near[:, None], boxes.offsets[:, m, :, None, None] - away, shift)
        offset = torch.where(here[:, None], boxes.offsets[:, m, :, None, None], offset)
        centre = torch.where(here, 1.0, centre)
    return {"heatmap": heatmap, "size": size, "size_weight": weight, "shift": shift, "offset": offset, "centre": centre}


def _gaussian(cells: Tensor, radii: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Around one cell of each frame, (B, h, w), 0 beyond its radius; which cell that is, bool; and how far from it.

    The last is (B, 2, h, w), x y in cells.
    """
    row, column = (torch.arange(side, device=cells.device) for side in grid)
    y, x = row - cells[:, :1], column - cells[:, 1:]  # (B, h) and (B, w)
    inside = (y.abs() <= radii[:, None])[:, :, None] & (x.abs() <= radii[:, None])[:, None, :]
    sigma = (2 * radii + 1) / 6
    squared = (y * y)[:, :, None] + (x * x)[:, None, :]
    gaussian = torch.exp(-squared / (2 * sigma * sigma)[:, None, None]) * inside
    away = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), 1)
    return gaussian, inside & (squared == 0), away
