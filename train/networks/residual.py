"""The blocks of ResNet and DLA: convolutions with their batch norm, and the residual block.

He et al. 2015 (ResNet), figure 5, left; the same block in Yu et al. 2018 (DLA).
"""

import torch.nn.functional as F
from torch import Tensor, nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias and its batch norm, padded to keep `size / stride`."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a sum with `residual`, which has the output's shape (B, outputs, H / stride, …)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        first, second = convolution(inputs, outputs, 3, stride), convolution(outputs, outputs, 3)
        self.layers = nn.Sequential(*first, nn.ReLU(inplace=True), *second)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H / stride, W / stride)."""
        return F.relu(self.layers(x) + residual)
