"""The detector: EfficientNet-Lite0, a top-down neck to stride 4, CenterNet heads.

What is special about it: plain ReLU6 convolutions everywhere (no squeeze-and-excitation, no deformable convolution),
so that INT8 engines run all of it; a small stem of its own for motion, which joins at stride 4, so that ImageNet's
first layers serve as they are; and `Decoder`, which puts CenterNet's decoding into the exported graph.

Backbone: Tan & Le 2019 in its "lite" form; neck: Lin et al. 2017 with additions; heads and
decoding: Zhou et al. 2019.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.memory_network import MemoryNetwork
from train.networks.decoder import Heads
from train.networks.depthwise import DepthwiseConvolution
from train.networks.memory_classifier import MemoryClassifier
from train.networks.memory_fusion import MemoryFusion
from train.networks.second_look import SecondLook

PRIOR_PROBABILITY = 0.01  # of an action's centre at one place, as RetinaNet starts its classifier
INITIAL_SIZE = 12.0  # cells, of a box before anything is learnt; an IoU loss has no slope far from the truth
MAX_LOG_SIZE = 6.0  # 403 cells; keeps FP16 finite

# kernel, stride, expansion, output channels, repeats: EfficientNet-B0 (Tan & Le 2019, table 1);
# the lite variant keeps the width of the first convolution and of the first and last stage.
LiteStage = tuple[int, int, int, int, int]
STAGES: tuple[LiteStage, ...] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
FRAME_CHANNELS = 3  # of the input, the first ones
TAPPED = (1, 2, 4, 6)  # the stages whose outputs the neck reads: strides 4, 8, 16, 32


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias and its batch norm, padded to keep `size / stride`."""
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), _norm(outputs)]


def depthwise(channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """The same with one filter per channel."""
    return [DepthwiseConvolution(channels, kernel, stride), _norm(channels)]


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand, filter per channel, project (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [*convolution(inputs, hidden, 1), nn.ReLU6(inplace=True)]
        layers += [*depthwise(hidden, kernel, stride), nn.ReLU6(inplace=True)]
        layers += convolution(hidden, outputs, 1)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class LiteBackbone(nn.Module):
    """EfficientNet-Lite0 without its classifier; returns the four tapped stages.

    Where there is a motion map, a stem that begins from nothing reads it with the frame, and joins at stride 4.
    `kept`: the stages that it has, as STAGES or less of it; of a shorter one the last takes the last tap's place.
    """

    def __init__(self, channels: int, kept: Sequence[LiteStage] = STAGES) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(FRAME_CHANNELS, 32, 3, 2), nn.ReLU6(inplace=True))
        stages = []
        inputs = 32
        for kernel, stride, expansion, outputs, repeats in kept:
            blocks = []
            for i in range(repeats):
                blocks.append(InvertedResidual(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.tapped = (*TAPPED[:-1], len(stages) - 1)
        self.motion = _motion_stem(channels - FRAME_CHANNELS) if channels > FRAME_CHANNELS else None

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image[:, :FRAME_CHANNELS])  # (B, 32, H/2, W/2)
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i == TAPPED[0] and self.motion is not None:
                x = x + self.motion(image)  # (B, 24, H/4, W/4)
            if i in self.tapped:
                features.append(x)
        return features  # strides 4, 8, 16, 32


def _motion_stem(channels: int) -> nn.Sequential:
    """Frame and motion map (B, 3 + channels, H, W) → what to add to the first tapped stage."""
    return nn.Sequential(
        *convolution(FRAME_CHANNELS + channels, 16, 5, 2),
        nn.ReLU6(inplace=True),
        *convolution(16, 32, 3, 2),
        nn.ReLU6(inplace=True),
        *convolution(32, STAGES[TAPPED[0]][3], 3),
    )


class TopDownNeck(nn.Module):
    """Top-down additions from stride 32 to stride 4; every sum is smoothed by a separable convolution.

    `beside`: what else to add, from stride 32 on.
    """

    def __init__(self, inputs: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Sequential(*convolution(n, width, 1)) for n in inputs)
        self.smooth = nn.ModuleList(
            nn.Sequential(
                *depthwise(width, 5),
                *convolution(width, width, 1),
                nn.ReLU6(inplace=True),
            )
            for _ in inputs[:-1]
        )

    def forward(self, features: list[Tensor], beside: Sequence[Tensor] = ()) -> Tensor:
        lateral = [layer(x) for layer, x in zip(self.lateral, features, strict=True)]  # strides 4, 8, 16, 32
        for number, more in enumerate(beside, 1):
            lateral[-number] = lateral[-number] + more
        x: Tensor = lateral[-1]
        for i in reversed(range(len(features) - 1)):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest") + lateral[i]
            x = self.smooth[i](x)
        return x  # (B, width, H/4, W/4)


class LiteDetector(nn.Module):
    """Six channels (three without a motion map) in, CenterNet heads out.

    `image` is (B, C, H, W) float32, H and W multiples of 32. With a `memory` its maps and their placement follow,
    MEMORY_INPUTS; left out, nothing is added for them. `classifier`, where there is one, reads them too.
    """

    average_centre = True  # see `Decoder`

    def __init__(
        self, classes: int, channels: int, width: int = 64, dropout: float = 0.0, memory: MemoryNetwork | None = None
    ) -> None:
        super().__init__()
        self.backbone = LiteBackbone(channels)
        self.neck = TopDownNeck(tuple(STAGES[i][3] for i in TAPPED), width)
        self.dropout = nn.Dropout2d(dropout)
        self.heatmap = self._head(width, width, classes)
        self.box = self._head(width, width // 2, 4)
        self._initialise_biases()
        self.memory = MemoryFusion(memory, width) if memory is not None else None  # last: draws no number before them
        self.classifier: MemoryClassifier | None = None
        self.second_look: SecondLook | None = None  # which `Decoder` takes
        self.looked_at = width, *(STAGES[i][3] for i in TAPPED[1:3])  # channels of its maps, of strides 4, 8 and 16

    @staticmethod
    def _head(inputs: int, width: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(*convolution(inputs, width, 3), nn.ReLU6(inplace=True), nn.Conv2d(width, outputs, 1))

    def _initialise_biases(self) -> None:
        """The last biases: actions are rare, boxes of USUAL_SIZE."""
        biases = dict(self.named_parameters())
        nn.init.constant_(biases["heatmap.3.bias"], -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY))
        nn.init.constant_(biases["box.3.bias"][:2], math.log(INITIAL_SIZE))

    def forward(self, image: Tensor, *maps: Tensor) -> Heads:
        beside: Sequence[Tensor] = ()
        if self.memory is not None and maps:
            beside = self.memory(*maps[:3], (int(image.shape[2]), int(image.shape[3])))
        features = self.backbone(image)
        x = self.dropout(self.neck(features, beside))
        size, offset = self.box(x).split(2, dim=1)
        heatmap = self.heatmap(x)
        if self.classifier is not None and maps:
            newest, _, placement, average, answers = maps
            cells = int(x.shape[2]), int(x.shape[3])
            heatmap = heatmap + self.classifier(newest, average, answers, placement, cells)
        size, offset = torch.exp(size.clamp(max=MAX_LOG_SIZE)), torch.sigmoid(offset)
        return Heads(heatmap, size, offset, (x, *features[1:3]))
