"""3-D ResNeXt-101 and ResNet-18 (Hara et al. 2018) without pooling and classifier.

What is special about them: all kernels are cubes, and time shrinks as space does, but for the first convolution: from
16 frames one is left. Parameters are named as in Hara's published weights, and in YOWO's.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CARDINALITY = 32
STEM = 64
PLANES = (64, 128, 256, 512)  # of ResNet-18's four stages; of ResNeXt's twice as many, and four times at its outputs
BLOCKS_101 = (3, 4, 23, 3)
BLOCKS_18 = (2, 2, 2, 2)
STAGES = ("layer1", "layer2", "layer3", "layer4")
CHANNELS_101 = 2048
CHANNELS_18 = 512


class Bottleneck3d(nn.Module):
    """1³, 3³ in 32 groups, 1³, added to what came in."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        hidden, outputs = 2 * planes, 4 * planes
        self.conv1 = nn.Conv3d(inputs, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(hidden)
        self.conv2 = nn.Conv3d(hidden, hidden, 3, stride, 1, groups=CARDINALITY, bias=False)
        self.bn2 = nn.BatchNorm3d(hidden)
        self.conv3 = nn.Conv3d(hidden, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            shortcut = nn.Conv3d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, t, h, w) → (B, 4 · planes, ⌈t / stride⌉, ⌈h / stride⌉, ⌈w / stride⌉)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class BasicBlock(nn.Module):
    """Two 3³ convolutions, added to what came in: every second sample, and zeros for the channels it lacks."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added = planes - inputs
        self.conv1 = nn.Conv3d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(planes)
        self.conv2 = nn.Conv3d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(planes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, t, h, w) → (B, planes, ⌈t / stride⌉, ⌈h / stride⌉, ⌈w / stride⌉)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.stride > 1 or self.added:
            x = x[:, :, :: self.stride, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, 0, 0, 0, self.added))
        return F.relu(y + x, inplace=True)


class ResNet3d(nn.Module):
    """A clip (B, 3, L, H, W) → its last map (B, channels, ⌈L/16⌉, H/32, W/32)."""

    def __init__(self, block: Callable[[int, int, int], nn.Module], expansion: int, blocks: tuple[int, ...]) -> None:
        """`block` of inputs, planes and stride has `expansion` · planes outputs."""
        super().__init__()
        self.conv1 = nn.Conv3d(3, STEM, 7, (1, 2, 2), 3, bias=False)
        self.bn1 = nn.BatchNorm3d(STEM)
        inputs = STEM
        for stage, (name, planes, count) in enumerate(zip(STAGES, PLANES, blocks, strict=True)):
            outputs = expansion * planes
            made = [
                block(inputs if i == 0 else outputs, planes, 2 if i == 0 and stage > 0 else 1) for i in range(count)
            ]
            self.add_module(name, nn.Sequential(*made))
            inputs = outputs

    def forward(self, clip: Tensor) -> Tensor:
        """Convolve."""
        x = F.relu(self.bn1(self.conv1(clip)), inplace=True)
        x = F.max_pool3d(x, 3, 2, 1)
        for name in STAGES:
            x = self.get_submodule(name)(x)
        return x


def resnext_101() -> ResNet3d:
    """Cardinality 32; CHANNELS_101."""
    return ResNet3d(Bottleneck3d, 4, BLOCKS_101)


def resnet_18() -> ResNet3d:
    """CHANNELS_18."""
    return ResNet3d(BasicBlock, 1, BLOCKS_18)


def without_time(x: Tensor) -> Tensor:
    """(B, C, t, h, w) → (B, C, h, w), the mean over time."""
    return torch.mean(x, dim=2)
