"""CenterNet's losses; for our own network an IoU loss in the place of L1 for the size."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from train.networks.decoder import Heads
from train.train_settings import LossWeights


def focal_loss(logits: Tensor, target: Tensor, annotated: Tensor) -> Tensor:
    """Penalty-reduced pixel-wise focal loss, alpha 2, beta 4 (Zhou et al. 2019, eq. 1).

    `logits` and `target` are (B, classes, h, w); places with target 1 are the positives. The sum
    is divided by the number of positives in the batch, or by 1 where there is none. `annotated` (B, classes) is 0 for
    the classes that the annotators of a frame did not look for: their channels count nothing there.
    """
    known = annotated[:, :, None, None]
    positive = (target == 1).float() * known
    probability = torch.sigmoid(logits)
    found = F.logsigmoid(logits) * (1 - probability).square() * positive
    silent = F.logsigmoid(-logits) * probability.square() * (1 - target).pow(4) * (known - positive)
    return -(found.sum() + silent.sum()) / positive.sum().clamp(min=1)


def size_loss(size: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 − IoU of boxes that share their centre, weighted mean; sizes (B, 2, h, w), weight (B, h, w)."""
    intersection = torch.minimum(size, target).prod(dim=1)
    union = size.prod(dim=1) + target.prod(dim=1) - intersection
    iou = intersection / union.clamp(min=1e-6)
    return ((1 - iou) * weight).sum() / weight.sum().clamp(min=1)


def box_loss(size: Tensor, offset: Tensor, target: Tensor, shift: Tensor, weight: Tensor) -> Tensor:
    """1 − GIoU of whole boxes (Rezatofighi et al. 2019), weighted mean; maps (B, 2, h, w), weight (B, h, w).

    `offset` is the predicted centre and `shift` the true one, both from the cell's corner: a cell beside the centre
    learns the box too, as a peak may lie there.
    """
    ours, theirs = (offset - size / 2, offset + size / 2), (shift - target / 2, shift + target / 2)
    low, high = torch.maximum(ours[0], theirs[0]), torch.minimum(ours[1], theirs[1])
    left, right = torch.minimum(ours[0], theirs[0]), torch.maximum(ours[1], theirs[1])
    common, around = (high - low).clamp(min=0).prod(dim=1), (right - left).prod(dim=1).clamp(min=1e-6)
    union = (size.prod(dim=1) + target.prod(dim=1) - common).clamp(min=1e-6)
    lost = 2 - common / union - union / around
    return (lost * weight).sum() / weight.sum().clamp(min=1)


def offset_loss(offset: Tensor, target: Tensor, centre: Tensor) -> Tensor:
    """L1 at the cells that hold a centre; offsets (B, 2, h, w), centre (B, h, w)."""
    distance = (offset - target).abs().sum(dim=1)
    return (distance * centre).sum() / centre.sum().clamp(min=1)


def centre_loss(predicted: Tensor, target: Tensor, centre: Tensor) -> Tensor:
    """Mean L1 over both numbers at the cells that hold a centre (Zhou et al. 2019, eq. 2 and 3).

    `predicted` and `target` are (B, 2, h, w), `centre` is (B, h, w); 0 where there is none.
    """
    return offset_loss(predicted, target, centre) / 2


def _heatmap_loss(heads: Heads, batch: Mapping[str, Tensor]) -> Tensor:
    return focal_loss(heads.heatmap.float(), batch["heatmap"], batch["annotated"])


def losses(heads: Heads, batch: Mapping[str, Tensor], weights: LossWeights) -> dict[str, Tensor]:
    """Weighted terms by name; their sum is what is minimised. `batch` holds `Targets`, stacked."""
    size, offset = heads.size.float(), heads.offset.float()
    of_size = weights.size * size_loss(size, batch["size"], batch["size_weight"])
    if weights.box:
        of_size = of_size + weights.box * box_loss(size, offset, batch["size"], batch["shift"], batch["size_weight"])
    return {
        "heatmap": weights.heatmap * _heatmap_loss(heads, batch),
        "size": of_size,
        "offset": weights.offset * offset_loss(offset, batch["offset"], batch["centre"]),
    }


def centernet_losses(heads: Heads, batch: Mapping[str, Tensor], weights: LossWeights) -> dict[str, Tensor]:
    """The same as Zhou et al. 2019 have it, for networks whose size and offset are direct outputs."""
    return {
        "heatmap": weights.heatmap * _heatmap_loss(heads, batch),
        "size": weights.size * centre_loss(heads.size.float(), batch["size"], batch["centre"]),
        "offset": weights.offset * centre_loss(heads.offset.float(), batch["offset"], batch["centre"]),
    }
