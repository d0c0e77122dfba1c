"""The networks that see a clip, by the name that a manifest carries."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from edge.manifest import Manifest
from edge.memory_network import MemoryNetwork
from train.networks import movinet
from train.networks.decoder import Decoder
from train.networks.yowo import original, resnet3d
from train.networks.yowo.decoder import PriorDecoder, PriorMaps
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
    """A network, of this kind or another, and its decoding: what it is shown to OUTPUTS."""
    return _decoding(network, network, manifest)


def exported_decoder(network: nn.Module, manifest: Manifest) -> nn.Module:
    """The same as it is exported: of a network that sees clips, INPUT and CLIP_MAP to OUTPUTS."""
    return _decoding(network, _WithClipMap(network) if manifest.clip is not None else network, manifest)


def _decoding(network: nn.Module, detector: nn.Module, manifest: Manifest) -> nn.Module:
    """`detector`: the network, or what runs it."""
    if isinstance(network, OriginalYowo):
        return OriginalDecoder(detector, network.get_buffer("priors"), manifest.top_k)
    return (PriorDecoder if manifest.architecture in CLIP_NETWORKS else Decoder)(detector, manifest.top_k)


class _WithClipMap(nn.Module):
    """A network that sees clips, for a map that is known."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, clip_map: Tensor) -> PriorMaps | Tensor:
        found: PriorMaps | Tensor = self.network.with_clip_map(image, clip_map)  # type: ignore[operator]
        return found


class ClipMap(nn.Module):
    """Of such a network the part that makes the map of a clip: CLIP to NEWEST_MAP."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clip: Tensor) -> Tensor:
        """Look at it."""
        found: Tensor = self.network.clip_map(clip)  # type: ignore[operator]
        return found


class BothParts(nn.Module):
    """Both parts of such a network beside each other, as they are exported: they share nothing."""

    def __init__(self, network: nn.Module, manifest: Manifest) -> None:
        super().__init__()
        self.detector = exported_decoder(network, manifest)
        self.branch = ClipMap(network)

    def forward(self, image: Tensor, clip_map: Tensor, clip: Tensor) -> tuple[Tensor, ...]:
        """OUTPUTS and NEWEST_MAP."""
        return (*self.detector(image, clip_map), self.branch(clip))


def described(network: nn.Module, manifest: Manifest) -> Manifest:
    """The manifest of its model: of one that sees clips with the channels of their map.

    Of one with priors `top_k` is no more than the pairs of box and action that there are at its size.
    """
    if manifest.architecture in CLIP_NETWORKS:
        manifest = replace(manifest, top_k=min(manifest.top_k, _places(network, manifest) * len(manifest.labels)))
    if manifest.clip is None:
        return manifest
    return replace(manifest, clip=replace(manifest.clip, channels=_map_channels(network)))


def _places(network: nn.Module, manifest: Manifest) -> int:
    """How many boxes a network with priors gives."""
    scales, count, _ = network.get_buffer("priors").shape
    cells = [(manifest.height // stride) * (manifest.width // stride) for stride in STRIDES[:scales]]
    return int(count) * sum(cells)


def _map_channels(network: nn.Module) -> int:
    if isinstance(network, OriginalYowo):
        return original.BACKBONES[network.backbone][1]
    return movinet.FEATURES if isinstance(network, YowoLite) else resnet3d.CHANNELS_101
