"""Darknet-19 with YOLOv2's detection layers (Redmon & Farhadi 2017), the 2-D branch of the published YOWO.

What is special about it: an earlier map, rearranged into channels, joins the last one; and the detection layer for
COCO's 80 classes stays, its answers a feature map of 425 channels. Parameters are named as in YOWO's files, which count
Darknet's layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.networks.yowo.layers import SLOPE

CHANNELS = 425
POOLED = (1, 3, 7, 11, 17)  # the layers that halve height and width
# Layer: inputs, outputs, kernel, of those that convolve; all but the last with batch norm and LeakyReLU.
CONVOLUTIONS = {
    0: (3, 32, 3),
    2: (32, 64, 3),
    4: (64, 128, 3),
    5: (128, 64, 1),
    6: (64, 128, 3),
    8: (128, 256, 3),
    9: (256, 128, 1),
    10: (128, 256, 3),
    12: (256, 512, 3),
    13: (512, 256, 1),
    14: (256, 512, 3),
    15: (512, 256, 1),
    16: (256, 512, 3),
    18: (512, 1024, 3),
    19: (1024, 512, 1),
    20: (512, 1024, 3),
    21: (1024, 512, 1),
    22: (512, 1024, 3),
    23: (1024, 1024, 3),
    24: (1024, 1024, 3),
    26: (512, 64, 1),
    29: (1280, 1024, 3),
    30: (1024, CHANNELS, 1),
}
EARLIER = 16  # the layer whose map joins the last one
JOINING = 26  # what it passes through first
JOINED = 29  # the first layer after that
LAST = 30


class Darknet19(nn.Module):
    """(B, 3, H, W) → (B, 425, H / 32, W / 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.models = nn.ModuleDict({str(i): _layer(number, i) for number, i in enumerate(CONVOLUTIONS, 1)})

    def forward(self, image: Tensor) -> Tensor:
        """Convolve."""
        x, earlier = image, image
        for i in range(JOINING - 1):
            x = F.max_pool2d(x, 2) if i in POOLED else self.models[str(i)](x)
            earlier = x if i == EARLIER else earlier
        joining = rearranged(self.models[str(JOINING)](earlier))
        x = torch.cat([joining, x], dim=1)  # (B, 1280, h, w)
        answer: Tensor = self.models[str(LAST)](self.models[str(JOINED)](x))
        return answer


def rearranged(x: Tensor) -> Tensor:
    """(B, C, 2h, 2w) → (B, 4C, h, w): channel (2 · dy + dx) · C + c is c at row 2i + dy, column 2j + dx."""
    channels, rows, columns = (int(side) for side in x.shape[1:])
    cells = x.reshape(-1, channels, rows // 2, 2, columns // 2, 2)
    return cells.permute(0, 3, 5, 1, 2, 4).reshape(-1, 4 * channels, rows // 2, columns // 2)


def _layer(number: int, i: int) -> nn.Sequential:
    """Convolution `number`, counted from 1, which is layer `i`."""
    inputs, outputs, kernel = CONVOLUTIONS[i]
    layer = nn.Sequential()
    layer.add_module(f"conv{number}", nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=i == LAST))
    if i != LAST:
        layer.add_module(f"bn{number}", nn.BatchNorm2d(outputs))
        layer.add_module(f"leaky{number}", nn.LeakyReLU(SLOPE, inplace=True))
    return layer
