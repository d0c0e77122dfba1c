"""The networks that see a clip, by the name that a manifest carries."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from edge.manifest import Manifest
from edge.memory_network import MemoryNetwork
from train.networks.decoder import Decoder
from train.networks.yowo import original
from train.networks.yowo.decoder import PriorDecoder
from train.networks.yowo.fusion import STRIDES, Parts
from train.networks.yowo.lite import YowoLite
from train.networks.yowo.names import YOWO, YOWO_LITE, original_name
from train.networks.yowo.network import Yowo
from train.networks.yowo.original import OriginalDecoder, OriginalYowo

BuildNetwork = Callable[[int, Parts, MemoryNetwork | None], nn.Module]  # for so many classes


def _whole(classes: int, parts: Parts, memory: MemoryNetwork | None) -> nn.Module:
    return Yowo(classes, parts)


def _original(backbone: str, classes: int, parts: Parts, memory: MemoryNetwork | None) -> nn.Module:
    return OriginalYowo(classes, backbone)


CLIP_NETWORKS: Mapping[str, BuildNetwork] = {
    YOWO: _whole,
    YOWO_LITE: YowoLite,
    **{original_name(backbone): partial(_original, backbone) for backbone in original.BACKBONES},
}


def parts_of(weights: Mapping[str, Any]) -> Parts:
    """The parts of the network that has these weights; what is dropped while training they do not tell."""
    scales = sum(f"fusion.join.{i}.0.0.weight" in weights for i in range(len(STRIDES)))
    return Parts(scales=max(scales, 1), squeeze="fusion.heads.0.0.squeeze.weight" in weights)


def decoder(network: nn.Module, manifest: Manifest) -> nn.Module:
    """A network, of this kind or another, and its decoding: network inputs to OUTPUTS, what is exported."""
    if isinstance(network, OriginalYowo):
        return OriginalDecoder(network, manifest.top_k)
    return (PriorDecoder if manifest.architecture in CLIP_NETWORKS else Decoder)(network, manifest.top_k)
