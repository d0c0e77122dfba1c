"""What a network is made of: its parameters, and the multiplications of its convolutions, counted by shapes alone."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn


def parameters(network: nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def multiplications(network: nn.Module, *shapes: tuple[int, ...]) -> Counter[str]:
    """By the first part of the module's name, for inputs of these shapes, batch 1; the network must be on "meta"."""
    counts: Counter[str] = Counter()
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            place = name.partition(".")[0]

            def count(layer: nn.Module, inputs: Any, output: Tensor, place: str = place) -> None:
                weight = layer.get_parameter("weight")
                counts[place] += output.numel() * weight[0].numel()

            handles.append(module.register_forward_hook(count))
    network(*(torch.empty(shape, device="meta") for shape in shapes))
    for handle in handles:
        handle.remove()
    return counts
