"""The networks that there are, by the name that a manifest carries."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from edge.manifest import LITE
from edge.memory_network import MemoryNetwork
from train.networks import dla, resnet
from train.networks.centernet import CenterNet
from train.networks.lite import LiteDetector

HEAD = "heatmap.0.weight"  # in all of them a convolution with as many outputs as the head is wide


@dataclass(frozen=True)
class Shape:
    """What a network is built for; `head_width` channels stand before the last layer of a head, if that is free."""

    classes: int
    channels: int
    head_width: int
    dropout: float = 0.0
    memory: MemoryNetwork | None = None  # whose maps it takes; only LITE does


@dataclass(frozen=True)
class Architecture:
    """One kind of network and its usual head."""

    build: Callable[[Shape], nn.Module]
    head_width: int


def _lite(shape: Shape) -> nn.Module:
    return LiteDetector(shape.classes, shape.channels, dropout=shape.dropout, memory=shape.memory)


def _res_18(shape: Shape) -> nn.Module:
    return _centernet(resnet.ResNet18(shape.channels), resnet.plain_neck(), resnet.PLAIN_WIDTHS[-1], shape)


def _resdcn_18(shape: Shape) -> nn.Module:
    return _centernet(resnet.ResNet18(shape.channels), resnet.deformable_neck(), resnet.DEFORMABLE_WIDTHS[-1], shape)


def _dla_34(shape: Shape) -> nn.Module:
    return _centernet(dla.Dla34(shape.channels), dla.deformable_neck(), dla.WIDTHS[0], shape)


def _dla_34_plain(shape: Shape) -> nn.Module:
    return _centernet(dla.Dla34(shape.channels), dla.plain_neck(), dla.WIDTHS[0], shape)


def _centernet(backbone: nn.Module, neck: nn.Module, width: int, shape: Shape) -> nn.Module:
    return CenterNet(backbone, neck, width, shape.classes, shape.head_width, shape.dropout)


ARCHITECTURES = {
    LITE: Architecture(_lite, 64),
    "res_18": Architecture(_res_18, 64),
    "resdcn_18": Architecture(_resdcn_18, 64),
    "dla_34": Architecture(_dla_34, 256),
    "dla_34_plain": Architecture(_dla_34_plain, 256),
}


def network(
    name: str,
    classes: int,
    channels: int,
    dropout: float = 0.0,
    head_width: int | None = None,
    memory: MemoryNetwork | None = None,
) -> nn.Module:
    """An untrained network: (B, channels, H, W) → `Heads`. KeyError where there is none of that name."""
    known = ARCHITECTURES[name]
    return known.build(Shape(classes, channels, head_width or known.head_width, dropout, memory))
