"""The improved YOWO (Zhuo et al. 2024): a 3-D ResNeXt-101 sees the clip, a CSPDarknet53 the key frame.

What is special about it: the key frame may be any frame of the clip, so both come in; three scales; no attention
between channels.
"""

import torch
from torch import Tensor, nn

from train.networks.yowo import cspdarknet, resnet3d
from train.networks.yowo.decoder import BOX, USUAL_PRIORS, PriorMaps, split_maps, start_biases
from train.networks.yowo.fusion import (
    ALL_PARTS,
    STRIDES,
    Fusion,
    FusionLayers,
    FusionWidths,
    Parts,
    transferred,
    transferred_channels,
)
from train.networks.yowo.layers import convolution

WIDTHS = FusionWidths(narrow=(512, 256, 128), wide=(1024, 512, 256))
LAYERS = FusionLayers(point=convolution, area=lambda inputs, outputs: convolution(inputs, outputs, 3))


class Yowo(nn.Module):
    """Key frame and clip to raw boxes with priors.

    `image` is (B, 3, H, W), `clip` (B, 3, L, H, W) with the oldest frame first, both float32 and normalised alike;
    H and W are multiples of 32.
    """

    def __init__(self, classes: int, parts: Parts = ALL_PARTS) -> None:
        super().__init__()
        self.backbone_2d = cspdarknet.CspDarknet53()
        self.backbone_3d = resnet3d.resnext_101()
        self.register_buffer("priors", shared_priors(USUAL_PRIORS, parts.scales))
        outputs = len(USUAL_PRIORS) // parts.scales * (BOX + classes)
        coarse_first = cspdarknet.CHANNELS[::-1]
        self.fusion = Fusion(coarse_first, transferred_channels(resnet3d.CHANNELS_101), WIDTHS, outputs, LAYERS, parts)
        start_biases([*self.fusion.heads], len(USUAL_PRIORS) // parts.scales)

    def forward(self, image: Tensor, clip: Tensor) -> PriorMaps:
        """Look at both."""
        return self.with_clip_map(image, self.clip_map(clip))

    def clip_map(self, clip: Tensor) -> Tensor:
        """Of a clip its map, (B, 2048, H / 32, W / 32)."""
        return resnet3d.without_time(self.backbone_3d(clip))

    def with_clip_map(self, image: Tensor, clip_map: Tensor) -> PriorMaps:
        """What `forward` gives, for a clip's map that is known."""
        maps = self.fusion(self.backbone_2d(image)[::-1], transferred(clip_map))
        priors: Tensor = self.get_buffer("priors")
        return split_maps(maps, priors, STRIDES)


def shared_priors(sizes: tuple[tuple[float, float], ...], scales: int) -> Tensor:
    """(scales, priors, 2), the largest for the coarsest map; `sizes` by falling area, as many for each scale."""
    return torch.tensor(sizes).reshape(scales, -1, 2)
