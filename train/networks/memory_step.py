"""One picture of each stream through MoViNet: what a memory's file does, and what stands for it in torch.

With MoViNet's own classifier it also gives out its answers, of the average of its last map. Each step counts KEPT times
as much as the one after it; before the first one there is nothing to average.
"""

import torch
from torch import Tensor, nn

from edge.memory_network import ANSWERS, AVERAGE, FEATURES, TAP
from train.networks.movinet import CLASSES, Classifier, MoViNet, map_grids, memory_shapes
from train.networks.movinet import FEATURES as CHANNELS

KEPT = 0.8  # of the average, at each step: half of it is of the last three steps, half a second of video


class MemoryStep(nn.Module):
    """Pictures (B, 3, size, size) and the parts of the memory → `names` and the parts after them."""

    def __init__(self, network: MoViNet, classifier: Classifier | None = None) -> None:
        super().__init__()
        self.network = network
        self.classifier = classifier

    @property
    def answers(self) -> int:
        """How many answers it gives out."""
        return CLASSES if self.classifier is not None else 0

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs before the parts."""
        return (FEATURES, TAP, AVERAGE, ANSWERS) if self.classifier is not None else (FEATURES, TAP)

    def part_shapes(self, batch: int, height: int, width: int) -> list[tuple[int, ...]]:
        """Of the parts for pictures of that size, pixels; zeros before the first one."""
        shapes = memory_shapes(batch, height, width)
        if self.classifier is None:
            return shapes
        rows, columns = (map_grids(side)[0].cells for side in (height, width))
        return [*shapes, (batch, CHANNELS, rows, columns), (batch, 1, 1, 1)]

    def forward(self, image: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        """Take the next picture of each stream."""
        of_network = parts if self.classifier is None else parts[:-2]
        features, tap, after = self.network.maps(image[:, None], of_network)
        features, tap = features[:, 0], tap[:, 0]
        if self.classifier is None:
            return features, tap, *after
        average, sums, weight = averaged(features, *parts[-2:])
        return features, tap, average, self.classifier(average.mean(dim=(2, 3))), *after, sums, weight


def averaged(features: Tensor, sums: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The average of maps (B, C, h, w) with the one that came, and its sum and weight (B, 1, 1, 1) for the next one."""
    sums = KEPT * sums + (1 - KEPT) * features
    weight = KEPT * weight + (1 - KEPT)
    return sums / weight, sums, weight


@torch.inference_mode()
def averages(features: Tensor) -> Tensor:
    """The average after each of the steps of one stream, (T, C, h, w) as they come."""
    sums, weight = torch.zeros_like(features[:1]), features.new_zeros(1, 1, 1, 1)
    found = []
    for one in features.split(1):
        average, sums, weight = averaged(one, sums, weight)
        found.append(average)
    return torch.cat(found)
