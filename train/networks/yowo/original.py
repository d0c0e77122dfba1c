"""YOWO as published (Köpüklü et al. 2019): Darknet-19 beside one of four 3-D networks, joined by channel attention.

What is special about it: one map at stride 32 with five priors; classes exclude each other, by a softmax. Parameters
are named as in the published files, so that these fit.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.networks.yowo import darknet19, light3d, resnet3d
from train.networks.yowo.decoder import BOX, candidates, split_maps, strongest

STRIDE = 32
PRIORS = 5
FUSED = 1024  # channels
MOST_FRAMES = 32  # of a clip: of more than that more than two are left in time, which nothing here joins
# Width and height, cells of STRIDE, by the number of actions of the data set that they were made for.
UCF24_PRIORS = (
    *((0.70458, 1.18803), (1.26654, 2.55121), (1.59382, 4.08321), (2.30548, 4.94180)),
    (3.52332, 5.91979),
)
JHMDB21_PRIORS = (
    *((0.95878, 3.10197), (1.67204, 4.0040), (1.75482, 5.64937), (3.09299, 5.80857)),
    (4.91803, 6.25225),
)
KNOWN_PRIORS = {24: UCF24_PRIORS, 21: JHMDB21_PRIORS}
BACKBONES = {  # of the clip, by the names that YOWO's configurations give them, with their channels
    "resnext101": (resnet3d.resnext_101, resnet3d.CHANNELS_101),
    "resnet18": (resnet3d.resnet_18, resnet3d.CHANNELS_18),
    "shufflenetv2_2x": (light3d.ShuffleNetV2, light3d.SHUFFLE_CHANNELS),
    "mobilenetv2_1x": (light3d.MobileNetV2, light3d.MOBILE_CHANNELS),
}

SIGNS = {  # a parameter of each that the others, and other networks of its family, do not have
    "resnext101": "backbone_3d.layer3.22.conv3.weight",
    "resnet18": "backbone_3d.layer4.1.conv2.weight",
    "shufflenetv2_2x": "backbone_3d.features.15.banch2.5.weight",
    "mobilenetv2_1x": "backbone_3d.features.18.0.weight",
}


class ChannelAttention(nn.Module):
    """Mixes into every channel those that are unlike it, as much as `gamma` says: (B, C, h, w) → the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Mix."""
        channels, h, w = (int(side) for side in x.shape[1:])
        flat = x.reshape(-1, channels, h * w)
        likeness = flat @ flat.transpose(1, 2)  # (B, C, C)
        mixed = torch.softmax(-likeness, dim=-1) @ flat
        return self.gamma * mixed.reshape(-1, channels, h, w) + x


class ChannelFusion(nn.Module):
    """(B, inputs, h, w) → (B, FUSED, h, w)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv_bn_relu1 = _convolution(inputs, 1)
        self.conv_bn_relu2 = _convolution(FUSED, 3)
        self.sc = ChannelAttention()
        self.conv_bn_relu3 = _convolution(FUSED, 3)
        self.conv_out = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(FUSED, FUSED, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Join."""
        x = self.sc(self.conv_bn_relu2(self.conv_bn_relu1(x)))
        joined: Tensor = self.conv_out(self.conv_bn_relu3(x))
        return joined


def _convolution(inputs: int, kernel: int) -> nn.Sequential:
    layer = nn.Conv2d(inputs, FUSED, kernel, 1, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(FUSED), nn.ReLU(inplace=True))


class OriginalYowo(nn.Module):
    """Key frame and clip to (B, 5 · (5 + classes), H / 32, W / 32).

    `image` (B, 3, H, W) is the clip's last frame, `clip` (B, 3, L, H, W), oldest frame first, L up to MOST_FRAMES.
    KeyError where `backbone` is none of BACKBONES. `priors` (1, 5, 2), pixels, are filled by what reads a file.
    """

    def __init__(self, classes: int, backbone: str) -> None:
        super().__init__()
        self.backbone = backbone
        build, channels = BACKBONES[backbone]
        self.backbone_2d = darknet19.Darknet19()
        self.backbone_3d = build()
        self.cfam = ChannelFusion(channels + darknet19.CHANNELS)
        self.conv_final = nn.Conv2d(FUSED, PRIORS * (BOX + classes), 1, bias=False)
        self.register_buffer("priors", priors_for(classes))

    def forward(self, image: Tensor, clip: Tensor) -> Tensor:
        """Look at both."""
        return self.with_clip_map(image, self.clip_map(clip))

    def clip_map(self, clip: Tensor) -> Tensor:
        """Of a clip its map, (B, C, H / 32, W / 32)."""
        return resnet3d.without_time(self.backbone_3d(clip))

    def with_clip_map(self, image: Tensor, clip_map: Tensor) -> Tensor:
        """What `forward` gives, for a clip's map that is known."""
        joined = torch.cat([clip_map, self.backbone_2d(image)], dim=1)
        answer: Tensor = self.conv_final(self.cfam(joined))
        return answer


def priors_for(classes: int) -> Tensor:
    """(1, 5, 2), pixels: of the data set with so many actions, else those of UCF101-24."""
    return torch.tensor(KNOWN_PRIORS.get(classes, UCF24_PRIORS)).unsqueeze(0) * STRIDE


def recognised(names: Iterable[str], inputs: int) -> str | None:
    """The backbone of a file by its parameters' names, where the fusion has so many `inputs`; None: none of ours."""
    known = set(names)
    return next(
        (
            name
            for name, (_, channels) in BACKBONES.items()
            if SIGNS[name] in known and channels + darknet19.CHANNELS == inputs
        ),
        None,
    )


class OriginalDecoder(nn.Module):
    """The detector and its decoding, as `PriorDecoder`, but that classes exclude each other."""

    def __init__(self, detector: nn.Module, priors: Tensor, top_k: int) -> None:
        super().__init__()
        self.detector = detector
        self.register_buffer("priors", priors, persistent=False)
        self.top_k = top_k

    def forward(self, image: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `PriorDecoder.forward`."""
        boxes, confidence, classes = decoded(self.detector(image, seen), self.get_buffer("priors"))
        return strongest(boxes, confidence.unsqueeze(2) * classes, self.top_k)


def decoded(answer: Tensor, priors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The answer of `OriginalYowo` → boxes (B, N, 4), confidence (B, N), probabilities of classes (B, N, classes).

    Boxes are x1 y1 x2 y2 in input pixels; N counts priors, then rows and columns.
    """
    boxes, raw = candidates(split_maps([answer], priors, (STRIDE,)), math.inf)
    return boxes, torch.sigmoid(raw[:, :, 0]), F.softmax(raw[:, :, 1:], dim=2)
