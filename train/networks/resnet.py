"""ResNet-18 and what enlarges its last maps to stride 4, as CenterNet has them.

He et al. 2015 (ResNet); Xiao et al. 2018 (three transposed convolutions); Zhou et al. 2019 (a deformable
convolution before each of them). Parameter names are our own; `convert/centernet_names.py` maps CenterNet's to them.
"""

from torch import Tensor, nn

from train.networks.deformable import DeformableConvolution
from train.networks.residual import ResidualBlock, convolution

WIDTHS = (64, 128, 256, 512)  # of the stages, at strides 4, 8, 16, 32
PLAIN_WIDTHS = (256, 256, 256)  # of the maps on their way back to stride 4
DEFORMABLE_WIDTHS = (256, 128, 64)


class Block(nn.Module):
    """A residual block with a shortcut: a 1×1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.block = ResidualBlock(inputs, outputs, stride)
        changes = stride > 1 or inputs != outputs
        self.shortcut = nn.Sequential(*convolution(inputs, outputs, 1, stride)) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H / stride, W / stride)."""
        y: Tensor = self.block(x, self.shortcut(x))
        return y


class ResNet18(nn.Module):
    """(B, channels, H, W) → (B, 512, H / 32, W / 32)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first = convolution(channels, WIDTHS[0], 7, 2)
        self.stem = nn.Sequential(*first, nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1))
        stages, inputs = [], WIDTHS[0]
        for number, outputs in enumerate(WIDTHS):
            stages.append(nn.Sequential(Block(inputs, outputs, 2 if number else 1), Block(outputs, outputs, 1)))
            inputs = outputs
        self.stages = nn.Sequential(*stages)

    def forward(self, image: Tensor) -> Tensor:
        """The coarsest map."""
        y: Tensor = self.stages(self.stem(image))
        return y


def plain_neck() -> nn.Sequential:
    """(B, 512, h, w) → (B, 256, 8·h, 8·w)."""
    layers: list[nn.Module] = []
    inputs = WIDTHS[-1]
    for outputs in PLAIN_WIDTHS:
        layers += _enlarged(inputs, outputs)
        inputs = outputs
    return nn.Sequential(*layers)


def deformable_neck() -> nn.Sequential:
    """(B, 512, h, w) → (B, 64, 8·h, 8·w)."""
    layers: list[nn.Module] = []
    inputs = WIDTHS[-1]
    for outputs in DEFORMABLE_WIDTHS:
        layers += [DeformableConvolution(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers += _enlarged(outputs, outputs)
        inputs = outputs
    return nn.Sequential(*layers)


def _enlarged(inputs: int, outputs: int) -> list[nn.Module]:
    """Twice the size."""
    enlarge = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
    return [enlarge, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
