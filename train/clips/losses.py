"""What detectors with priors minimise: CIoU for boxes, focal loss or plain cross-entropy for confidence and actions."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from train.clips.matching import RULES, ScaleMatches, TrueBoxes, match, unpadded
from train.clips.settings import LossKind, MatchingRule
from train.networks.yowo.decoder import BOX, PriorMaps, candidates, decoded_boxes

IGNORED = 0.5  # IoU with a true box above which a box that need not answer for it is not held to be wrong (YOLOv3)
GAMMA = 2.0
CONFIDENCE_ALPHA, CLASS_ALPHA = 0.5, 0.25


@dataclass(frozen=True)
class PriorLossSettings:
    """What each term counts in the sum, and which rules it goes by."""

    box: float = 1.0
    confidence: float = 1.0
    classes: float = 1.0
    kind: LossKind = "focal"
    matching: MatchingRule = "yowo"


def ciou(one: Tensor, other: Tensor) -> Tensor:
    """(N,) complete IoU of boxes (N, 4), 1 for equal ones, below −1 at worst (Zheng et al. 2020)."""
    size, size_other = one[:, 2:] - one[:, :2], other[:, 2:] - other[:, :2]
    sides = torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])
    common = sides.clamp(min=0).prod(dim=1)
    iou = common / (size.prod(dim=1) + size_other.prod(dim=1) - common).clamp(min=1e-6)
    around = torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])
    apart = ((one[:, :2] + one[:, 2:] - other[:, :2] - other[:, 2:]) / 2).square().sum(dim=1)
    turn = torch.atan(size[:, 0] / size[:, 1].clamp(min=1e-6)) - torch.atan(
        size_other[:, 0] / size_other[:, 1].clamp(min=1e-6)
    )
    shape = 4 / math.pi**2 * turn.square()
    with torch.no_grad():
        weight = shape / (1 - iou + shape).clamp(min=1e-6)
    return iou - apart / around.square().sum(dim=1).clamp(min=1e-6) - weight * shape


def focal(logits: Tensor, target: Tensor, alpha: float) -> Tensor:
    """Binary focal loss of each number (Lin et al. 2017): `alpha` weighs ones, 1 − `alpha` zeros."""
    probability = torch.sigmoid(logits)
    missed = torch.where(target > 0, 1 - probability, probability)
    weight = torch.where(target > 0, alpha, 1 - alpha)
    return weight * missed.pow(GAMMA) * F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def cross_entropy(logits: Tensor, target: Tensor, alpha: float) -> Tensor:
    """Binary cross-entropy of each number; `alpha` is not for it."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


_KINDS: Mapping[LossKind, Callable[[Tensor, Tensor, float], Tensor]] = {"focal": focal, "cross_entropy": cross_entropy}


def prior_losses(answer: PriorMaps, batch: Mapping[str, Tensor], settings: PriorLossSettings) -> dict[str, Tensor]:
    """Weighted terms by name, each divided by the number of answers for true boxes; their sum is what is minimised.

    `batch` holds `boxes` (B, M, 4), input pixels, `labels` (B, M), −1 for none, and `annotated` (B, classes), 0 for
    those that the annotators of a frame did not look for: these count nothing there, and a box that nobody has drawn
    is as wrong as the share of actions that were looked for.
    """
    truth = unpadded(batch["boxes"], batch["labels"])
    matches = match(truth, answer, RULES[settings.matching])
    count = max(sum(len(one.truth) for one in matches), 1)
    spared = torch.split(_spared(answer, truth), [x[0, :, 0].numel() for x in answer.maps], dim=1)
    terms = [
        _of_scale(answer, scale, one, truth, batch["annotated"], spared[scale], _KINDS[settings.kind])
        for scale, one in enumerate(matches)
    ]
    box, confidence, classes = (torch.stack(column).sum() / count for column in zip(*terms, strict=True))
    return {
        "box": settings.box * box,
        "confidence": settings.confidence * confidence,
        "classes": settings.classes * classes,
    }


def _of_scale(
    answer: PriorMaps,
    scale: int,
    found: ScaleMatches,
    truth: TrueBoxes,
    annotated: Tensor,
    spared: Tensor,
    loss: Callable[[Tensor, Tensor, float], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """The sums of the terms over one map."""
    raw = answer.maps[scale].float().permute(0, 1, 3, 4, 2)  # (B, P, h, w, 5 + classes)
    at = (found.image, found.prior, found.row, found.column)
    chosen = raw[at]  # (M, 5 + classes)
    priors, stride = answer.priors[scale][found.prior], answer.strides[scale]
    boxes = decoded_boxes(chosen[:, : BOX - 1], priors, found.column.float(), found.row.float(), stride)
    box = (1 - ciou(boxes, truth.boxes[found.truth])).sum()
    target = torch.zeros_like(raw[..., BOX - 1 :])  # confidence, then classes
    for number in (torch.zeros_like(found.prior), 1 + truth.labels[found.truth]):
        place = (*at, number)
        target[place] = 1
    sure = target[..., 0]
    known = annotated.float().mean(dim=1).view(-1, 1, 1, 1)  # (B, 1, 1, 1)
    counted = torch.where(sure > 0, torch.ones_like(sure), known * ~spared.reshape(sure.shape))
    confidence = (loss(raw[..., BOX - 1], sure, CONFIDENCE_ALPHA) * counted).sum()
    once = sure.nonzero(as_tuple=True)  # a cell that answers for two actions counts once, with both
    classes = loss(raw[once][:, BOX:], target[once][:, 1:], CLASS_ALPHA) * annotated[once[0]]
    return box, confidence, classes.sum()


@torch.no_grad()
def _spared(answer: PriorMaps, truth: TrueBoxes) -> Tensor:
    """(B, all boxes) bool, the boxes that overlap a true one of their image by more than IGNORED."""
    boxes, _ = candidates(answer)
    spared = torch.zeros(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    for image in truth.image.unique().tolist():
        spared[image] = (_overlaps(boxes[image], truth.boxes[truth.image == image]) > IGNORED).any(dim=1)
    return spared


def _overlaps(one: Tensor, other: Tensor) -> Tensor:
    """(N, M) IoU of boxes (N, 4) and (M, 4)."""
    sides = torch.minimum(one[:, None, 2:], other[:, 2:]) - torch.maximum(one[:, None, :2], other[:, :2])
    common = sides.clamp(min=0).prod(dim=2)
    areas = (one[:, 2:] - one[:, :2]).prod(dim=1)[:, None] + (other[:, 2:] - other[:, :2]).prod(dim=1)
    return common / (areas - common).clamp(min=1e-6)
