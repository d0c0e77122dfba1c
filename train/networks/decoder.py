"""The output of every network, and CenterNet's decoding of it (Zhou et al. 2019), which is exported too."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 4


@dataclass(frozen=True)
class Heads:
    """Network output at stride 4, before decoding."""

    heatmap: Tensor  # (B, classes, H/4, W/4), logits
    size: Tensor  # (B, 2, H/4, W/4), box width and height in cells
    offset: Tensor  # (B, 2, H/4, W/4), of the box centre inside its cell, 0..1


class Decoder(nn.Module):
    """A detector and CenterNet's decoding behind it: what is exported, so that every runtime returns the same.

    Returns `boxes` (B, K, 4) x1 y1 x2 y2 in input pixels, `scores` (B, K) falling, `labels` (B, K) int64 and
    `class_scores` (B, K, classes), the whole sigmoid vector at each peak. A peak is a cell that is the largest
    of its 3×3 neighbourhood in its class; ties are all peaks.
    """

    def __init__(self, detector: nn.Module, top_k: int) -> None:
        super().__init__()
        self.detector = detector
        self.top_k = top_k

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        heads: Heads = self.detector(image)
        probability = torch.sigmoid(heads.heatmap.float())  # (B, classes, h, w)
        classes, h, w = _fixed(probability)
        peaks = probability * (F.max_pool2d(probability, 3, stride=1, padding=1) == probability)
        scores, places = torch.topk(peaks.reshape(-1, classes * h * w), self.top_k)  # (B, K) each
        labels = torch.div(places, h * w, rounding_mode="trunc")
        cells = places - labels * (h * w)
        class_scores = _gather(probability, cells)  # (B, K, classes)
        size = _gather(heads.size.float(), cells)
        offset = _gather(heads.offset.float(), cells)
        row = torch.div(cells, w, rounding_mode="trunc")
        corner = torch.stack([cells - row * w, row], dim=2).float()
        centre = corner + offset  # (B, K, 2), x y in cells
        boxes = torch.cat([centre - size / 2, centre + size / 2], dim=2) * STRIDE
        return boxes, scores, labels, class_scores


def _gather(maps: Tensor, cells: Tensor) -> Tensor:
    """Values of (B, N, h, w) maps at (B, K) flat cells: (B, K, N)."""
    channels, h, w = _fixed(maps)
    flat = maps.reshape(-1, channels, h * w)
    return flat.gather(2, cells.unsqueeze(1).repeat(1, channels, 1)).transpose(1, 2)


def _fixed(maps: Tensor) -> tuple[int, int, int]:
    """Sizes of (B, N, h, w) without the batch, as numbers: constants in an exported graph, not computed."""
    channels, h, w = maps.shape[1:]
    return int(channels), int(h), int(w)
