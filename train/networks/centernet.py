"""CenterNet's own heads on a backbone and a neck, as in the networks of the paper.

Zhou et al. 2019: a 3×3 convolution, ReLU, a 1×1 convolution; size and offset are direct outputs, in cells, without
exp or sigmoid, so that weights of CenterNet and KORSAL give what they gave there.
"""

import math

from torch import Tensor, nn

from train.networks.decoder import Heads
from train.networks.lite import INITIAL_SIZE

PRIOR_PROBABILITY = 0.1  # of an action's centre at one place, at the start, as CenterNet has it


class CenterNet(nn.Module):
    """`image` (B, C, H, W) float32, H and W multiples of 32; `neck` gives `width` channels at stride 4."""

    def __init__(
        self, backbone: nn.Module, neck: nn.Module, width: int, classes: int, head_width: int, dropout: float
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.dropout = nn.Dropout2d(dropout)
        self.heatmap = _head(width, head_width, classes, math.log(PRIOR_PROBABILITY / (1 - PRIOR_PROBABILITY)))
        self.size = _head(width, head_width, 2, INITIAL_SIZE)
        self.offset = _head(width, head_width, 2, 0.5)

    def forward(self, image: Tensor) -> Heads:
        """The heads at stride 4."""
        x = self.dropout(self.neck(self.backbone(image)))  # (B, width, H/4, W/4)
        return Heads(self.heatmap(x), self.size(x), self.offset(x))


def _head(inputs: int, width: int, outputs: int, start: float) -> nn.Sequential:
    """A head that answers about `start` before anything is learnt."""
    last = nn.Conv2d(width, outputs, 1)
    nn.init.normal_(last.weight, std=0.001)
    nn.init.constant_(last.bias, start)  # type: ignore[arg-type]  # this one has a bias
    return nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True), last)
