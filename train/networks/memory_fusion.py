"""A streaming network's maps, put where a detector's neck has the same place: what to add to it at strides 32 and 16.

What is special about it: both networks see the same frame, one stretched to a square, the other in its letterbox,
augmented while training. Between them lies an affine that is known and does not rotate, so that a map is resampled by
two small matrices, which every runtime multiplies. The last map goes to stride 16 too, channels rearranged into space
(Shi et al. 2016; "scale transfer", Zhou et al. 2018). The last layers are zeros before training: a detector begins as
the one without a memory.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.memory_network import MemoryNetwork
from train.networks.movinet import MapGrid, map_grids

HIDDEN = 128  # channels that the last map's become
TAP_HIDDEN = 64  # and the tap's
STRIDES = (32, 16)  # of the detector's input, pixels


class MemoryFusion(nn.Module):
    """Maps and their placement to (B, width, H/32, W/32) and (B, width, H/16, W/16).

    Beyond the frame, in the letterbox's bars, both are zeros.
    """

    def __init__(self, memory: MemoryNetwork, width: int) -> None:
        super().__init__()
        self.size = memory.size
        self.features = _squeezed(memory.features[0], HIDDEN)
        self.tap = _squeezed(memory.tap[0], TAP_HIDDEN)
        self.coarse = _silent(HIDDEN, width)
        self.fine = _silent(HIDDEN, 4 * width)
        self.beside = _silent(TAP_HIDDEN, width)

    def forward(self, features: Tensor, tap: Tensor, placement: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """`features` (B, 480, h, w), `tap` (B, 56, h', w'), `placement` (B, 4); `size` (H, W) of the input."""
        of_features, of_tap = map_grids(self.size)
        known = self.features(features)  # (B, HIDDEN, h, w)
        coarse, fine = (tuple(side // stride for side in size) for stride in STRIDES)
        at_32 = placed(self.coarse(known), of_features, placement, coarse, self.size)
        at_16 = placed(F.pixel_shuffle(self.fine(known), 2), halved_grid(of_features), placement, fine, self.size)
        return at_32, at_16 + placed(self.beside(self.tap(tap)), of_tap, placement, fine, self.size)


def _squeezed(inputs: int, outputs: int) -> nn.Sequential:
    norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), norm, nn.ReLU6(inplace=True))


def _silent(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1×1 convolution that answers zero before training."""
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def halved_grid(grid: MapGrid) -> MapGrid:
    """The cells of half the stride into which a pixel shuffle rearranges those of a grid."""
    return MapGrid(2 * grid.cells, grid.stride // 2, grid.first - grid.stride / 4)


def placed(x: Tensor, grid: MapGrid, placement: Tensor, cells: tuple[int, ...], size: int) -> Tensor:
    """A map (B, C, h, w) at the middles of the input's cells (rows, columns), linear between its own: (B, C, *cells).

    `grid` is its own, along either axis of the frame stretched to `size` pixels; towards the frame's edge its outermost
    cells go on. Zero beyond the frame.
    """
    rows, columns = (
        _weights(grid, placement[:, 2 * axis : 2 * axis + 2], cells[1 - axis], size).to(x.dtype) for axis in (1, 0)
    )
    resampled: Tensor = rows[:, None] @ x @ columns[:, None].transpose(2, 3)
    return resampled


def _weights(grid: MapGrid, placement: Tensor, cells: int, size: int) -> Tensor:
    """How much of each cell of the map each of the input's takes along one axis: (B, cells, grid.cells)."""
    middles = (torch.arange(cells, device=placement.device) + 0.5) / cells  # of the input's cells, across it
    across = placement[:, :1] * middles + placement[:, 1:]  # (B, cells), across the frame
    position = torch.clamp((across * size - grid.first) / grid.stride, 0, grid.cells - 1)
    distance = position[:, :, None] - torch.arange(grid.cells, device=placement.device)
    inside = (across >= 0) & (across <= 1)
    return torch.clamp(1 - distance.abs(), min=0) * inside[:, :, None]
