"""MobileNetV2 and ShuffleNetV2 with cubes for kernels (Köpüklü et al. 2019), without their classifiers.

Light 3-D branches of the published YOWO; from 16 frames one is left. Parameters are named as in YOWO's files.
"""

import torch
from torch import Tensor, nn

# MobileNetV2: expansion, output channels, repeats, stride in space and time.
MOBILE_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
MOBILE_STEM, MOBILE_CHANNELS = 32, 1280
SHUFFLE_STAGES = ((224, 4), (488, 8), (976, 4))  # output channels, units; of twice the width
SHUFFLE_STEM, SHUFFLE_CHANNELS = 24, 2048
HALVES = (1, 2, 2)  # the stride of both first convolutions: time stays


def convolution(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias, and its batch norm."""
    return [nn.Conv3d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm3d(outputs)]


def depthwise(channels: int, stride: int) -> list[nn.Module]:
    """The same with one filter of 3³ per channel."""
    layer = nn.Conv3d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [layer, nn.BatchNorm3d(channels)]


def stem(outputs: int) -> list[nn.Module]:
    """The convolution that halves height and width of the frames."""
    return [nn.Conv3d(3, outputs, 3, HALVES, 1, bias=False), nn.BatchNorm3d(outputs)]


class InvertedResidual3d(nn.Module):
    """Expand, filter per channel, project; added to what came in where shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [*convolution(inputs, hidden), nn.ReLU6(inplace=True)]
        layers += [*depthwise(hidden, stride), nn.ReLU6(inplace=True), *convolution(hidden, outputs)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, t, h, w) → (B, outputs, ⌈t / stride⌉, ⌈h / stride⌉, ⌈w / stride⌉)."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """(B, 3, L, H, W) → (B, 1280, ⌈L/16⌉, H/32, W/32)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(*stem(MOBILE_STEM), nn.ReLU6(inplace=True))]
        inputs = MOBILE_STEM
        for expansion, outputs, repeats, stride in MOBILE_STAGES:
            for i in range(repeats):
                layers.append(InvertedResidual3d(inputs, outputs, stride if i == 0 else 1, expansion))
                inputs = outputs
        layers.append(nn.Sequential(*convolution(inputs, MOBILE_CHANNELS), nn.ReLU6(inplace=True)))
        self.features = nn.Sequential(*layers)

    def forward(self, clip: Tensor) -> Tensor:
        """Convolve."""
        x: Tensor = self.features(clip)
        return x


class ShuffleUnit(nn.Module):
    """One half of the channels passes, or with stride 2 both are filtered; then the halves are interleaved."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.banch1 = nn.Sequential()
        if stride > 1:
            self.banch1 = nn.Sequential(
                *depthwise(inputs, stride), *convolution(inputs, half), nn.ReLU(inplace=True)
            )  # fmt: skip
        self.banch2 = nn.Sequential(
            *convolution(inputs if stride > 1 else half, half),
            nn.ReLU(inplace=True),
            *depthwise(half, stride),
            *convolution(half, half),
            nn.ReLU(inplace=True),
        )
        self.halved = stride > 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, t, h, w) → (B, outputs, ⌈t / stride⌉, ⌈h / stride⌉, ⌈w / stride⌉)."""
        if self.halved:
            return interleaved(self.banch1(x), self.banch2(x))
        first, second = x.chunk(2, dim=1)
        return interleaved(first, self.banch2(second))


def interleaved(first: Tensor, second: Tensor) -> Tensor:
    """Two tensors (B, C, t, h, w) → (B, 2C, t, h, w), a channel of each in turn."""
    both = torch.stack([first, second], dim=2)
    return both.flatten(1, 2)


class ShuffleNetV2(nn.Module):
    """(B, 3, L, H, W) → (B, 2048, ⌈L/16⌉, H/32, W/32)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*stem(SHUFFLE_STEM), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool3d(3, 2, 1)
        units = []
        inputs = SHUFFLE_STEM
        for outputs, count in SHUFFLE_STAGES:
            for i in range(count):
                units.append(ShuffleUnit(inputs, outputs, 2 if i == 0 else 1))
                inputs = outputs
        self.features = nn.Sequential(*units)
        self.conv_last = nn.Sequential(*convolution(inputs, SHUFFLE_CHANNELS), nn.ReLU(inplace=True))

    def forward(self, clip: Tensor) -> Tensor:
        """Convolve."""
        x: Tensor = self.conv_last(self.features(self.maxpool(self.conv1(clip))))
        return x
