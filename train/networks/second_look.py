"""A second look at each box: what lies around it, and by how much that says to move and stretch it.

What is special about it: CenterNet reads a box off one cell, which sees little of where a person ends. Here seven by
seven points over the box, a little enlarged, are read from three maps of the network, as by RoIAlign (He et al. 2017),
by two small matrices, which every runtime multiplies. The scores of the actions there are read too, for one data set
draws its boxes close to the body and another does not. It is learnt apart from the detector, whose weights stay as they
are, and moves a box by a SHARE of what it says, for people whom it has not learnt from stand differently.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HIDDEN = 16, 48  # channels of the map that is read, and of what is made of it
POINTS = 7  # along either side of a box
AROUND = 1.3  # sides of what is looked at, of the box's
BOXES = 32  # the best of an image; those after them stay
SHARE = 0.75
MOST_STRETCH = 1.0  # logarithm of a side's change; keeps untrained ones finite
PREFIX = "second_look."  # of its weights in a detector's


class SecondLook(nn.Module):
    """Maps (B, C, h, w) of falling size, boxes (B, K, 4) and class scores (B, K, classes) to boxes (B, K, 4).

    Boxes are x1 y1 x2 y2 in input pixels, the best first; `channels` of the maps, `stride` of the first.
    """

    def __init__(self, channels: Sequence[int], classes: int, stride: int = 4) -> None:
        super().__init__()
        self.stride = stride
        self.lateral = nn.ModuleList(nn.Sequential(*_normed(count, WIDTH, 1)) for count in channels)
        self.inner = nn.Sequential(*_normed(WIDTH, WIDTH, 3), nn.ReLU6(inplace=True))
        self.outer = nn.Sequential(*_normed(WIDTH, WIDTH, 3), nn.ReLU6(inplace=True))
        self.flat = nn.Conv2d(WIDTH, HIDDEN, POINTS - 4)
        self.actions = nn.Conv2d(classes, HIDDEN, 1, bias=False)
        self.last = nn.Conv2d(HIDDEN, 4, 1)
        nn.init.zeros_(self.last.weight)  # before training every box stays
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]  # this one has a bias

    def forward(self, maps: Sequence[Tensor], boxes: Tensor, class_scores: Tensor) -> Tensor:
        """All boxes, the best of them moved."""
        best, rest = boxes[:, :BOXES], boxes[:, BOXES:]
        moved = shifted(best, self.changes(maps, best, class_scores[:, :BOXES]) * SHARE)
        return torch.cat([moved, rest], dim=1)

    def changes(self, maps: Sequence[Tensor], boxes: Tensor, class_scores: Tensor) -> Tensor:
        """(B, K, 4): by what part of its sides a centre is off, x y, and the logarithms of what to stretch them by."""
        seen = F.relu6(self._map(maps))
        classes, count = class_scores.shape[2], boxes.shape[1]
        x = read(seen, boxes / self.stride).flatten(0, 1)  # (B · K, WIDTH, POINTS, POINTS)
        x = self.flat(self.outer(self.inner(x))) + self.actions(class_scores.reshape(-1, classes, 1, 1))
        found: Tensor = self.last(F.relu6(x))
        return found.reshape(-1, count, 4)

    def _map(self, maps: Sequence[Tensor]) -> Tensor:
        """The sum of all, at the size of the first."""
        first, *others = (layer(x) for layer, x in zip(self.lateral, maps, strict=True))
        size = [int(side) for side in first.shape[2:]]
        for one in others:
            first = first + F.interpolate(one, size=size, mode="bilinear", align_corners=False)
        summed: Tensor = first
        return summed


def _normed(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Without padding: what lies beyond the points is not known."""
    return [nn.Conv2d(inputs, outputs, kernel, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)]


def read(x: Tensor, boxes: Tensor) -> Tensor:
    """A map (B, C, h, w) at POINTS by POINTS points over boxes (B, K, 4), in cells: (B, K, C, POINTS, POINTS).

    Linear between the middles of cells; beyond the outermost ones these go on.
    """
    rows, columns = (_weights(boxes[:, :, axis::2], int(x.shape[3 - axis])) for axis in (1, 0))
    batch, count = boxes.shape[:2]
    channels, width = int(x.shape[1]), int(x.shape[3])
    along = rows.reshape(batch, 1, count * POINTS, -1) @ x  # (B, C, K · POINTS, w)
    points = along.reshape(batch, channels, count, POINTS, width) @ columns.transpose(2, 3)[:, None]
    return points.transpose(1, 2)


def _weights(ends: Tensor, cells: int) -> Tensor:
    """How much of each cell each point takes along one axis, (B, K, POINTS, cells); `ends` (B, K, 2) of the boxes."""
    first, last = ends.unbind(dim=2)
    across = (torch.arange(POINTS, device=ends.device) + 0.5) / POINTS - 0.5
    position = (first + last)[:, :, None] / 2 + (last - first)[:, :, None] * (AROUND * across) - 0.5
    distance = position.clamp(0, cells - 1)[:, :, :, None] - torch.arange(cells, device=ends.device)
    return torch.clamp(1 - distance.abs(), min=0)


def shifted(boxes: Tensor, changes: Tensor) -> Tensor:
    """Boxes (…, 4) after such changes (…, 4)."""
    low, high = boxes.split(2, dim=-1)
    move, stretch = changes.split(2, dim=-1)
    side = high - low
    centre = (low + high) / 2 + move * side
    side = side * torch.exp(stretch.clamp(-MOST_STRETCH, MOST_STRETCH))
    return torch.cat([centre - side / 2, centre + side / 2], dim=-1)


def of_weights(weights: Mapping[str, Any], channels: Sequence[int], classes: int) -> SecondLook | None:
    """That of a detector with such maps and so many classes that has one, its weights still to be loaded."""
    return SecondLook(channels, classes) if any(name.startswith(PREFIX) for name in weights) else None
