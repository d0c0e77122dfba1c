"""YOWO in small, for CPUs: most of EfficientNet-Lite0 sees the key frame, MoViNet-A0-Stream the clip.

What is special about it: MoViNet only looks back, so a stream's map costs one frame; fusion and heads are separable
convolutions with ReLU6, which INT8 engines run whole. Both branches have been trained: one on ImageNet, one on
Kinetics-600. Lite0's last blocks, a third of its weights, are left out: what they add at stride 32 MoViNet's map has
too, and so both networks' files are 12 MB at most.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edge.manifest import CENTERNET_MEAN, CENTERNET_STD
from edge.memory_network import MemoryNetwork
from train.networks.lite import STAGES, TAPPED, LiteBackbone, LiteStage, convolution, depthwise
from train.networks.memory_fusion import halved_grid, placed
from train.networks.movinet import FEATURES, TAP, MoViNet, map_grids
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
from train.networks.yowo.network import shared_priors

NEW_MOMENTUM = 0.1  # of norms that begin with nothing: ten in a row, which at Lite0's 0.01 lag for hundreds of steps
KEY_STAGES: tuple[LiteStage, ...] = (*STAGES[:-2], (*STAGES[-2][:-1], 3))  # three blocks at stride 32 instead of five
WIDTHS = FusionWidths(narrow=(128, 104, 80), wide=(192, 144, 112))


def _point(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*convolution(inputs, outputs, 1), nn.ReLU6(inplace=True))


def _area(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*depthwise(inputs, 5), *convolution(inputs, outputs, 1), nn.ReLU6(inplace=True))


class YowoLite(nn.Module):
    """Key frame and clip to raw boxes with priors, as `Yowo` takes and gives them.

    Both are BGR, normalised by CenterNet's mean and deviation. With a `memory` there is no clip: maps of MoViNet, as
    that memory carries them along a stream, and their placement follow the key frame, MEMORY_INPUTS. It has a second
    map then, at stride 16, which joins there.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, parts: Parts = ALL_PARTS, memory: MemoryNetwork | None = None) -> None:
        super().__init__()
        self.backbone_2d = LiteBackbone(3, KEY_STAGES)
        self.backbone_3d = MoViNet() if memory is None else None
        self.memory = memory
        self.register_buffer("priors", shared_priors(USUAL_PRIORS, parts.scales))
        for name, values in (("mean", CENTERNET_MEAN), ("std", CENTERNET_STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        key_channels = [stage[3] for stage in (KEY_STAGES[-1], KEY_STAGES[TAPPED[2]], KEY_STAGES[TAPPED[1]])]
        clip_channels = transferred_channels(FEATURES)
        if memory is not None:
            clip_channels[1] += TAP
        count = len(USUAL_PRIORS) // parts.scales
        layers = FusionLayers(_point, _area)
        self.fusion = Fusion(key_channels, clip_channels, WIDTHS, count * (BOX + classes), layers, parts)
        start_biases([*self.fusion.heads], count)
        for norm in self.fusion.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = NEW_MOMENTUM

    def forward(self, image: Tensor, *seen: Tensor) -> PriorMaps:
        """Look at both; `seen`: the clip, or MEMORY_INPUTS."""
        if self.backbone_3d is not None:
            return self.with_clip_map(image, self.clip_map(*seen))
        return self.with_maps(image, self._placed((int(image.shape[2]), int(image.shape[3])), *seen))

    def clip_map(self, clip: Tensor) -> Tensor:
        """Of a clip (B, 3, L, H, W) the last map, (B, 480, H / 32, W / 32), of a network without a memory."""
        assert self.backbone_3d is not None
        return self._newest(self.backbone_3d, clip)

    def with_clip_map(self, image: Tensor, clip_map: Tensor) -> PriorMaps:
        """What `forward` gives, for a clip's map that is known."""
        return self.with_maps(image, transferred(clip_map))

    def with_maps(self, image: Tensor, clip_maps: Sequence[Tensor]) -> PriorMaps:
        """The same, for maps of the clip that are known, at each of STRIDES."""
        maps = self.fusion(self.backbone_2d(image)[: -len(STRIDES) - 1 : -1], clip_maps)
        priors: Tensor = self.get_buffer("priors")
        return split_maps(maps, priors, STRIDES)

    def _newest(self, branch: MoViNet, clip: Tensor) -> Tensor:
        """Of a clip (B, 3, L, H, W) the last map (B, 480, H / 32, W / 32)."""
        frames = (clip.transpose(1, 2) * self.std + self.mean).flip(2)  # (B, L, 3, H, W), RGB from 0 to 1
        memory = [
            part.expand(clip.shape[0], -1, -1, -1, -1)  # of any batch, in an exported graph too
            for part in branch.memory(1, *map(int, clip.shape[-2:]))
        ]
        maps, _ = branch(frames, memory)
        newest: Tensor = maps[:, -1]
        return newest

    def _placed(self, size: tuple[int, int], features: Tensor, tap: Tensor, placement: Tensor) -> list[Tensor]:
        """A memory's maps at each of STRIDES of an input of `size` (H, W)."""
        assert self.memory is not None
        grid, tap_grid = map_grids(self.memory.size)
        cells = [tuple(side // stride for side in size) for stride in STRIDES]
        maps = []
        for x, at in zip(transferred(features), cells, strict=True):
            maps.append(placed(x, grid, placement, at, self.memory.size))
            grid = halved_grid(grid)
        maps[1] = torch.cat([maps[1], placed(tap, tap_grid, placement, cells[1], self.memory.size)], dim=1)
        return maps
