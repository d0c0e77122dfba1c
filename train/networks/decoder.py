"""The output of every network, and CenterNet's decoding of it (Zhou et al. 2019), which is exported too."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4
NEAR_PEAK = 0.6  # of a peak's score: what a cell beside it must have to count, as cells near a centre learn the size
AROUND = 9  # a peak's cell and those around it, row by row


@dataclass(frozen=True)
class Heads:
    """Network output at stride 4, before decoding."""

    heatmap: Tensor  # (B, classes, H/4, W/4), logits
    size: Tensor  # (B, 2, H/4, W/4), box width and height in cells
    offset: Tensor  # (B, 2, H/4, W/4), of the box centre inside its cell, 0..1
    maps: tuple[Tensor, ...] = ()  # (B, C, h, w) each, from which a second look at boxes reads

    @property
    def answers(self) -> tuple[Tensor, Tensor, Tensor]:
        """What is learnt: all but the maps."""
        return self.heatmap, self.size, self.offset


class Decoder(nn.Module):
    """A detector and CenterNet's decoding behind it: what is exported, so that every runtime returns the same.

    Returns `boxes` (B, K, 4) x1 y1 x2 y2 in input pixels, `scores` (B, K) falling, `labels` (B, K) int64 and
    `class_scores` (B, K, classes), the whole sigmoid vector at each peak. A peak is a cell that is the largest
    of its 3×3 neighbourhood in its class; ties are all peaks. Of a detector that says `average_centre`, a box's centre
    is the mean of those that the cells near its peak tell, for the peak itself is often beside it. A `second_look`
    that it has moves the boxes. `memory`: MEMORY_INPUTS, of a detector that takes them.
    """

    def __init__(self, detector: nn.Module, top_k: int) -> None:
        super().__init__()
        self.detector = detector
        self.top_k = top_k
        self.average_centre = bool(getattr(detector, "average_centre", False))

    def forward(self, image: Tensor, *memory: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        heads: Heads = self.detector(image, *memory)
        boxes, scores, labels, class_scores = self.decoded(heads)
        look = getattr(self.detector, "second_look", None)
        return boxes if look is None else look(heads.maps, boxes, class_scores), scores, labels, class_scores

    def decoded(self, heads: Heads) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same of heads, before a second look."""
        probability = torch.sigmoid(heads.heatmap.float())  # (B, classes, h, w)
        classes, h, w = _fixed(probability)
        peaks = probability * (F.max_pool2d(probability, 3, stride=1, padding=1) == probability)
        scores, places = torch.topk(peaks.reshape(-1, classes * h * w), self.top_k)  # (B, K) each
        labels = torch.div(places, h * w, rounding_mode="trunc")
        cells = places - labels * (h * w)
        class_scores = _gather(probability, cells)  # (B, K, classes)
        size = _gather(heads.size.float(), cells)
        row = torch.div(cells, w, rounding_mode="trunc")
        corner = torch.stack([cells - row * w, row], dim=2).float()
        if self.average_centre:
            offset = _mean_offset(probability, heads.offset.float(), labels, cells + row * 2)
        else:
            offset = _gather(heads.offset.float(), cells)
        centre = corner + offset  # (B, K, 2), x y in cells
        boxes = torch.cat([centre - size / 2, centre + size / 2], dim=2) * STRIDE
        return boxes, scores, labels, class_scores


def _mean_offset(probability: Tensor, offset: Tensor, labels: Tensor, corners: Tensor) -> Tensor:
    """(B, K, 2): where the box centre lies from the corner of each peak's cell, by all cells near the peak.

    Each counts by the fourth power of its score, as a share of the peak's. `corners` (B, K) are the flat places of the
    cells up and left of the peaks in maps with a margin of one cell.
    """
    classes, h, w = _fixed(probability)
    peaks = int(corners.shape[1])
    number = torch.arange(AROUND, device=corners.device)  # made there: a CUDA graph takes nothing from the host
    row = torch.div(number, 3, rounding_mode="trunc")
    column = number - row * 3
    places = corners.unsqueeze(2) + row * (w + 2) + column  # (B, K, 9)
    in_class = places + labels.unsqueeze(2) * ((h + 2) * (w + 2))
    margin = F.pad(probability, (1, 1, 1, 1)).reshape(-1, classes * (h + 2) * (w + 2))
    scores = margin.gather(1, in_class.reshape(-1, peaks * AROUND)).reshape(-1, peaks, AROUND)
    share = scores / scores[:, :, AROUND // 2 : AROUND // 2 + 1].clamp(min=1e-6)
    weight = ((share > NEAR_PEAK) * share.square().square()).unsqueeze(3)  # (B, K, 9, 1)
    told = _gather(F.pad(offset, (1, 1, 1, 1)), places.reshape(-1, peaks * AROUND)).reshape(-1, peaks, AROUND, 2)
    steps = torch.stack([column - 1, row - 1], dim=1).to(offset.dtype)  # x y, from the peak's cell
    return ((told + steps) * weight).sum(dim=2) / weight.sum(dim=2).clamp(min=1e-6)


def _gather(maps: Tensor, cells: Tensor) -> Tensor:
    """Values of (B, N, h, w) maps at (B, K) flat cells: (B, K, N)."""
    channels, h, w = _fixed(maps)
    flat = maps.reshape(-1, channels, h * w)
    return flat.gather(2, cells.unsqueeze(1).repeat(1, channels, 1)).transpose(1, 2)


def _fixed(maps: Tensor) -> tuple[int, int, int]:
    """Sizes of (B, N, h, w) without the batch, as numbers: constants in an exported graph, not computed."""
    channels, h, w = maps.shape[1:]
    return int(channels), int(h), int(w)
