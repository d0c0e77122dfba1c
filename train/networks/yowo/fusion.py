"""Secondary fusion (Zhuo et al. 2024): maps of key frame and clip, joined at each scale, then from coarse to fine.

What is special about it: the clip has one map, at stride 32; at strides 16 and 8 stand the same numbers, channels
rearranged into space ("scale transfer", Zhou et al. 2018), which has no parameters. Lists of maps go from coarse to
fine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.networks.yowo.layers import DropBlock, SqueezeExcitation

STRIDES = (32, 16, 8)  # of the maps, pixels
KNOWN_SCALES = (1, 3)  # how many of them may be predicted on
RATIOS = tuple(STRIDES[0] // stride for stride in STRIDES)  # by which the clip's map is enlarged for each

MakeLayer = Callable[[int, int], nn.Module]  # of so many channels to so many


@dataclass(frozen=True)
class FusionWidths:
    """Channels at each scale, from coarse to fine: `narrow` where 1×1 convolutions squeeze, `wide` elsewhere."""

    narrow: tuple[int, ...]
    wide: tuple[int, ...]


@dataclass(frozen=True)
class FusionLayers:
    """What convolutions are made of: `point` is 1×1, `area` sees a cell's surroundings."""

    point: MakeLayer
    area: MakeLayer


@dataclass(frozen=True)
class Parts:
    """What of the paper's improvements a network has; all of them unless an ablation leaves one away.

    `scales`: 3, or 1, the coarsest alone; `drop_block`: the share of cells dropped while training.
    """

    scales: int = 3
    drop_block: float = 0.1
    squeeze: bool = True


ALL_PARTS = Parts()


class Fusion(nn.Module):
    """Key frame's maps and the clip's map → `outputs` channels at each scale, from coarse to fine."""

    def __init__(
        self,
        key_channels: Sequence[int],
        clip_channels: Sequence[int],
        widths: FusionWidths,
        outputs: int,
        layers: FusionLayers,
        parts: Parts,
    ) -> None:
        """Channels from coarse to fine."""
        super().__init__()
        scales = range(parts.scales)
        inputs = [key_channels[i] + clip_channels[i] for i in scales]
        narrow, wide = widths.narrow, widths.wide
        self.join = nn.ModuleList(
            nn.Sequential(layers.point(inputs[i], narrow[i]), layers.area(narrow[i], wide[i])) for i in scales
        )
        below = [0, *(narrow[i + 1] for i in scales[:-1])]  # channels that come up from the coarser map
        self.up = nn.ModuleList(layers.point(narrow[i], narrow[i + 1]) for i in scales[:-1])
        self.pyramid = nn.ModuleList(
            nn.Sequential(
                layers.point(wide[i] + below[i], narrow[i]),
                layers.area(narrow[i], wide[i]),
                DropBlock(parts.drop_block),
                layers.point(wide[i], narrow[i]),
            )
            for i in scales
        )
        self.heads = nn.ModuleList(_head(narrow[i], wide[i], outputs, layers, parts.squeeze) for i in scales)

    def forward(self, key: Sequence[Tensor], clip: Sequence[Tensor]) -> list[Tensor]:
        """Both: (B, C, H / stride, W / stride) at each of STRIDES, or more of them than there are scales."""
        maps: list[Tensor] = []
        x: Tensor | None = None
        for i, join in enumerate(self.join):
            fused = join(torch.cat([key[i], clip[i]], dim=1))
            if x is not None:
                fused = torch.cat([fused, F.interpolate(self.up[i - 1](x), scale_factor=2.0, mode="nearest")], dim=1)
            x = self.pyramid[i](fused)
            maps.append(self.heads[i](x))
        return maps


def transferred(clip: Tensor) -> list[Tensor]:
    """The clip's map (B, C, H / 32, W / 32) at each of STRIDES; C is a multiple of 16."""
    return [F.pixel_shuffle(clip, ratio) for ratio in RATIOS]


def transferred_channels(channels: int) -> list[int]:
    """Of what `transferred` gives."""
    return [channels // ratio**2 for ratio in RATIOS]


def _head(inputs: int, width: int, outputs: int, layers: FusionLayers, squeeze: bool) -> nn.Sequential:
    first = [SqueezeExcitation(inputs)] if squeeze else []
    return nn.Sequential(*first, layers.area(inputs, width), nn.Conv2d(width, outputs, 1))
