"""DLA-34 and the neck that merges its maps down to stride 4, as CenterNet has them, with or without deformation.

Yu et al. 2018 (deep layer aggregation): residual blocks in pairs, each pair closed by a root, a 1×1 convolution over
all that should not be forgotten; then the maps are merged pairwise, from coarse to fine, again and again. Zhou et al.
2019 puts deformable convolutions into the merging. Names of parameters are our own; CenterNet's are known to
`convert/centernet_names.py`.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.networks.deformable import DeformableConvolution
from train.networks.residual import ResidualBlock, convolution

WIDTHS = (64, 128, 256, 512)  # of the maps at strides 4, 8, 16, 32
STEM = (16, 16, 32)  # of the first three convolutions, at strides 1, 1, 2
PAIRS = (1, 2, 2, 1)  # of residual blocks, in each stage

Smooth = Callable[[int, int], nn.Module]  # inputs, outputs → a layer that keeps the size
Enlarge = Callable[[int, int], nn.Module]  # channels, factor → a layer that multiplies the size


class Pair(nn.Module):
    """Two residual blocks and their root, which also reads `before`, maps of `joined` channels together."""

    def __init__(self, inputs: int, outputs: int, stride: int, joined: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = ResidualBlock(inputs, outputs, stride)
        self.second = ResidualBlock(outputs, outputs)
        self.project = nn.Sequential(*convolution(inputs, outputs, 1)) if inputs != outputs else nn.Identity()
        self.root = nn.Sequential(*convolution(2 * outputs + joined, outputs, 1), nn.ReLU(inplace=True))

    def forward(self, x: Tensor, *before: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H / stride, W / stride)."""
        first = self.first(x, self.project(_pooled(x, self.stride)))
        second = self.second(first, first)
        y: Tensor = self.root(torch.cat([second, first, *before], dim=1))
        return y


class DlaStage(nn.Module):
    """Pairs in a row, at half the size. The last root also reads the other pairs, and the input if `keeps_input`."""

    def __init__(self, inputs: int, outputs: int, pairs: int, keeps_input: bool) -> None:
        super().__init__()
        self.keeps_input = keeps_input
        joined = (inputs if keeps_input else 0) + outputs * (pairs - 1)
        made = [Pair(inputs, outputs, 2, joined if pairs == 1 else 0)]
        made += [Pair(outputs, outputs, 1, joined if i == pairs - 1 else 0) for i in range(1, pairs)]
        self.pairs = nn.ModuleList(made)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H / 2, W / 2)."""
        before = [_pooled(x, 2)] if self.keeps_input else []
        for pair in self.pairs[:-1]:
            x = pair(x)
            before.append(x)
        y: Tensor = self.pairs[-1](x, *before)
        return y


class Dla34(nn.Module):
    """(B, channels, H, W) → maps at strides 4, 8, 16, 32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for outputs, kernel, stride in zip(STEM, (7, 3, 3), (1, 1, 2), strict=True):
            layers += [*convolution(inputs, outputs, kernel, stride), nn.ReLU(inplace=True)]
            inputs = outputs
        self.stem = nn.Sequential(*layers)
        stages = []
        for number, (outputs, pairs) in enumerate(zip(WIDTHS, PAIRS, strict=True)):
            stages.append(DlaStage(inputs, outputs, pairs, keeps_input=number > 0))
            inputs = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Four maps of WIDTHS channels, fine to coarse."""
        x = self.stem(image)  # (B, 32, H/2, W/2)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Join(nn.Module):
    """A coarser map, projected and enlarged, is added to a finer one; the sum is smoothed."""

    def __init__(self, inputs: int, width: int, factor: int, smooth: Smooth, enlarge: Enlarge) -> None:
        super().__init__()
        self.project = smooth(inputs, width)
        self.enlarge = enlarge(width, factor)
        self.smooth = smooth(width, width)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(B, inputs, h, w) and (B, width, factor · h, factor · w) → as the second."""
        y: Tensor = self.smooth(self.enlarge(self.project(coarse)) + fine)
        return y


class Merge(nn.Module):
    """All maps but the first come to the first one's size, each joined to what became of the one before."""

    def __init__(
        self, width: int, inputs: Sequence[int], factors: Sequence[int], smooth: Smooth, enlarge: Enlarge
    ) -> None:
        super().__init__()
        pairs = zip(inputs, factors, strict=True)
        self.joins = nn.ModuleList(Join(channels, width, factor, smooth, enlarge) for channels, factor in pairs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """As many maps as came in, all of the first one's shape."""
        merged = [maps[0]]
        for join, coarse in zip(self.joins, maps[1:], strict=True):
            merged.append(join(coarse, merged[-1]))
        return merged


class DlaNeck(nn.Module):
    """Maps at strides 4, 8, 16, 32 → (B, 64, H / 4, W / 4)."""

    def __init__(self, smooth: Smooth, enlarge: Enlarge) -> None:
        super().__init__()
        merges = []
        for i in range(len(WIDTHS) - 1):
            width, coarser = WIDTHS[-2 - i], WIDTHS[-1 - i]
            inputs = (coarser,) * (i + 1)  # what is left of the merges before has that width already
            merges.append(Merge(width, inputs, (2,) * (i + 1), smooth, enlarge))
        self.merges = nn.ModuleList(merges)
        self.last = Merge(WIDTHS[0], WIDTHS[1:-1], (2, 4), smooth, enlarge)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """The map that has seen all others."""
        merged = [maps[-1]]
        finished: list[Tensor] = []  # fine to coarse
        for merge, finer in zip(self.merges, reversed(maps[:-1]), strict=True):
            merged = merge([finer, *merged])
            finished.insert(0, merged[-1])
        y: Tensor = self.last(finished)[-1]
        return y


def deformable_neck() -> DlaNeck:
    """As CenterNet's."""
    return DlaNeck(_deformable, _transposed)


def plain_neck() -> DlaNeck:
    """The same with ordinary convolutions and repeated pixels, which INT8 engines take whole."""
    return DlaNeck(_plain, _repeated)


def _deformable(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(DeformableConvolution(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _plain(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(*convolution(inputs, outputs, 3), nn.ReLU(inplace=True))


def _transposed(channels: int, factor: int) -> nn.Module:
    """A transposed convolution, one filter per channel, that begins as bilinear interpolation."""
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, stride=factor, padding=factor // 2, groups=channels, bias=False
    )
    slope = 1 - ((torch.arange(2 * factor) + 0.5) / factor - 1).abs()
    with torch.no_grad():
        layer.weight.copy_(slope[:, None] * slope)
    return layer


def _repeated(channels: int, factor: int) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode="nearest")


def _pooled(x: Tensor, factor: int) -> Tensor:
    return F.max_pool2d(x, factor) if factor > 1 else x
