"""What detectors with priors answer, and its decoding as in YOLOv3 (Redmon & Farhadi 2018), which is exported too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

PRIOR_PROBABILITY = 0.01  # of a box at one place before anything is learnt, and of an action in it
MAX_LOG_SIZE = 5.0  # of a side over its prior's, 148 times; keeps FP16 finite
BOX = 5  # numbers before the classes: x, y, width, height, confidence
USUAL_PRIORS = (  # (width, height), pixels at 224 × 224, by falling size: YOLOv3's own, 416 pixels, scaled
    *((201.0, 175.0), (84.0, 107.0), (62.0, 48.0), (32.0, 64.0), (33.0, 24.0)),
    *((16.0, 33.0), (18.0, 12.0), (9.0, 16.0), (5.0, 7.0)),
)


@dataclass(frozen=True, eq=False)
class PriorMaps:
    """Raw answers at each scale, from coarse to fine, before decoding.

    `maps`: (B, P, 5 + classes, h, w) each; `priors`: (scales, P, 2), width and height, pixels; `strides`: pixels.
    """

    maps: tuple[Tensor, ...]
    priors: Tensor
    strides: tuple[int, ...]


def split_maps(maps: Sequence[Tensor], priors: Tensor, strides: Sequence[int]) -> PriorMaps:
    """(B, P · (5 + classes), h, w) at each scale, channels of one prior together → `PriorMaps`."""
    count = int(priors.shape[1])
    shaped = tuple(x.reshape(-1, count, x.shape[1] // count, *map(int, x.shape[2:])) for x in maps)
    return PriorMaps(shaped, priors, tuple(strides[: len(shaped)]))


def start_biases(heads: Sequence[nn.Module], priors: int) -> None:
    """Confidence and classes of each head's last layer begin at PRIOR_PROBABILITY, boxes as their priors."""
    for head in heads:
        last = cast(nn.Conv2d, list(head.children())[-1])
        assert last.bias is not None
        numbers = last.bias.detach().view(priors, -1)
        numbers[:, : BOX - 1] = 0
        numbers[:, BOX - 1 :] = -math.log((1 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY)


def decoded_boxes(
    raw: Tensor, priors: Tensor, columns: Tensor, rows: Tensor, stride: int, limit: float = MAX_LOG_SIZE
) -> Tensor:
    """Raw x, y, width, height (…, 4) → x1 y1 x2 y2 (…, 4) in input pixels.

    `priors` (…, 2), pixels, and the cells' `columns` and `rows` (…) are broadcast against it. `limit`: largest
    logarithm of a side over its prior's.
    """
    middle = (torch.sigmoid(raw[..., :2]) + torch.stack(torch.broadcast_tensors(columns, rows), dim=-1)) * stride
    half = priors * torch.exp(raw[..., 2:4].clamp(max=limit)) / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def candidates(answer: PriorMaps, limit: float = MAX_LOG_SIZE) -> tuple[Tensor, Tensor]:
    """Every box (B, N, 4), x1 y1 x2 y2 in input pixels, and its raw confidence and classes (B, N, 1 + classes).

    N counts scales, then priors, rows and columns. `limit` as in `decoded_boxes`.
    """
    boxes, scores = [], []
    for x, priors, stride in zip(answer.maps, answer.priors, answer.strides, strict=True):
        count, numbers, h, w = (int(side) for side in x.shape[1:])
        raw = x.float().permute(0, 1, 3, 4, 2)  # (B, P, h, w, 5 + classes)
        columns = torch.arange(w, device=x.device).float().view(1, w)
        rows = torch.arange(h, device=x.device).float().view(h, 1)
        box = decoded_boxes(raw[..., : BOX - 1], priors.view(count, 1, 1, 2), columns, rows, stride, limit)
        boxes.append(box.reshape(-1, count * h * w, 4))
        scores.append(raw[..., BOX - 1 :].reshape(-1, count * h * w, numbers - BOX + 1))
    return torch.cat(boxes, dim=1), torch.cat(scores, dim=1)


def strongest(boxes: Tensor, class_scores: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The K best pairs of box and class: boxes (B, K, 4), scores (B, K) falling, labels (B, K), (B, K, classes)."""
    count, classes = int(class_scores.shape[1]), int(class_scores.shape[2])
    scores, places = torch.topk(class_scores.reshape(-1, count * classes), min(top_k, count * classes))
    rows = torch.div(places, classes, rounding_mode="trunc")
    chosen = rows.unsqueeze(2)
    return (
        boxes.gather(1, chosen.repeat(1, 1, 4)),
        scores,
        places - rows * classes,
        class_scores.gather(1, chosen.repeat(1, 1, classes)),
    )


class PriorDecoder(nn.Module):
    """A detector with priors and its decoding: key frame and clip → what `train.networks.decoder.Decoder` gives.

    `scores` are confidence × class. Boxes of one person overlap: suppression is left to what reads them.
    """

    def __init__(self, detector: nn.Module, top_k: int) -> None:
        super().__init__()
        self.detector = detector
        self.top_k = top_k

    def forward(self, image: Tensor, *seen: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`image` (B, 3, H, W) and the clip or a memory's maps, as the detector takes them."""
        boxes, raw = candidates(self.detector(image, *seen))
        probability = torch.sigmoid(raw)
        return strongest(boxes, probability[:, :, :1] * probability[:, :, 1:], self.top_k)
