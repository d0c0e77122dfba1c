"""YOWO in small, for CPUs: EfficientNet-Lite0 sees the key frame, MoViNet-A0-Stream the clip.

What is special about it: MoViNet only looks back, so a stream's map costs one frame; fusion and heads are separable
convolutions with ReLU6, which INT8 engines run whole. Both branches have been trained: one on ImageNet, one on
Kinetics-600.
"""

import torch
from torch import Tensor, nn

from edge.manifest import CENTERNET_MEAN, CENTERNET_STD
from train.networks.lite import STAGES, TAPPED, LiteBackbone, convolution, depthwise
from train.networks.movinet import FEATURES, MoViNet
from train.networks.yowo.decoder import BOX, USUAL_PRIORS, PriorMaps, split_maps, start_biases
from train.networks.yowo.fusion import ALL_PARTS, STRIDES, Fusion, FusionLayers, FusionWidths, Parts
from train.networks.yowo.network import shared_priors

WIDTHS = FusionWidths(narrow=(160, 128, 96), wide=(224, 160, 128))


def _point(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*convolution(inputs, outputs, 1), nn.ReLU6(inplace=True))


def _area(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*depthwise(inputs, 5), *convolution(inputs, outputs, 1), nn.ReLU6(inplace=True))


class YowoLite(nn.Module):
    """Key frame and clip to raw boxes with priors, as `Yowo` takes and gives them.

    Both are BGR, normalised by CenterNet's mean and deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, parts: Parts = ALL_PARTS) -> None:
        super().__init__()
        self.backbone_2d = LiteBackbone(3)
        self.backbone_3d = MoViNet()
        self.register_buffer("priors", shared_priors(USUAL_PRIORS, parts.scales))
        for name, values in (("mean", CENTERNET_MEAN), ("std", CENTERNET_STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        key_channels = [STAGES[i][3] for i in reversed(TAPPED)][: len(STRIDES)]
        count = len(USUAL_PRIORS) // parts.scales
        layers = FusionLayers(_point, _area)
        self.fusion = Fusion(key_channels, FEATURES, WIDTHS, count * (BOX + classes), layers, parts)
        start_biases([*self.fusion.heads], count)

    def forward(self, image: Tensor, clip: Tensor) -> PriorMaps:
        """Look at both."""
        frames = (clip.transpose(1, 2) * self.std + self.mean).flip(2)  # (B, L, 3, H, W), RGB from 0 to 1
        memory = [
            part.expand(clip.shape[0], -1, -1, -1, -1)  # of any batch, in an exported graph too
            for part in self.backbone_3d.memory(1, *map(int, clip.shape[-2:]))
        ]
        maps, _ = self.backbone_3d(frames, memory)
        return self.with_map(image, maps[:, -1])

    def with_map(self, image: Tensor, clip_map: Tensor) -> PriorMaps:
        """The same, for a map (B, 480, H / 32, W / 32) of the clip that is known."""
        maps = self.fusion(self.backbone_2d(image)[: -len(STRIDES) - 1 : -1], clip_map)
        priors: Tensor = self.get_buffer("priors")
        return split_maps(maps, priors, STRIDES)
