"""Layers that the networks for clips share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1  # of LeakyReLU below zero, as in Darknet
REDUCTION = 16  # of channels, inside squeeze-and-excitation
BLOCK = 5  # cells a side that DropBlock drops together, of the 7 that the coarsest map has at 224 pixels


def convolution(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, LeakyReLU: (B, inputs, h, w) → (B, outputs, h / stride, w / stride)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what all of them say on average (Hu et al. 2018): (B, C, h, w) → the same shape."""

    def __init__(self, channels: int, reduction: int = REDUCTION) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh."""
        mean = x.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        weight: Tensor = torch.sigmoid(self.excite(F.relu(self.squeeze(mean))))
        return x * weight


class DropBlock(nn.Module):
    """While training zeroes squares of cells, each channel by itself, and lifts the rest (Ghiasi et al. 2018).

    `probability`: the share of cells that is dropped, about; 0 drops none.
    """

    def __init__(self, probability: float, block: int = BLOCK) -> None:
        super().__init__()
        self.probability = probability
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Drop: (B, C, h, w) → the same shape."""
        if not self.training or self.probability == 0:
            return x
        kept = self._kept(x)
        return x * kept * (kept.numel() / kept.sum().clamp(min=1))

    def _kept(self, x: Tensor) -> Tensor:
        """(B, C, h, w), 0 for cells in a dropped square, 1 for all others; squares lie inside the map."""
        h, w = x.shape[-2:]
        block = min(self.block, h, w)
        places = (h - block + 1, w - block + 1)
        rate = self.probability * h * w / (block**2 * places[0] * places[1])
        corners = (torch.rand(*x.shape[:2], *places, device=x.device) < rate).to(x.dtype)
        spread = F.max_pool2d(F.pad(corners, (block - 1,) * 4), block, stride=1)  # a corner → the square that it begins
        return 1 - spread
