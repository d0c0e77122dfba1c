"""Which priors at which cells answer for a true box (Zhuo et al. 2024, and YOLOv3's rule beside it)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from train.networks.yowo.decoder import PriorMaps


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """The true boxes of a batch.

    `image` (N,) is their number in the batch, `boxes` (N, 4) are x1 y1 x2 y2 in input pixels, `labels` (N,).
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class ScaleMatches:
    """What answers at one scale, each (M,): the row of `TrueBoxes`, and image, prior, row and column in the map."""

    truth: Tensor
    image: Tensor
    prior: Tensor
    row: Tensor
    column: Tensor


PriorRule = Callable[[Tensor, int, int], Tensor]
"""Ranks (N, all priors), scales and priors of each scale → which are responsible, bool, of the same shape."""


def unpadded(boxes: Tensor, labels: Tensor) -> TrueBoxes:
    """The true boxes of (B, M, 4) and (B, M), where label −1 stands for none; boxes without an area are none."""
    real = (labels >= 0) & (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
    image, place = real.nonzero(as_tuple=True)
    return TrueBoxes(image, boxes[image, place], labels[image, place])


def several_scales(ranks: Tensor, scales: int, count: int) -> Tensor:
    """The paper's: the coarsest map answers with the best prior, if its own, the next with those of the best two, …"""
    reach = torch.arange(1, scales + 1, device=ranks.device).repeat_interleave(count)
    return ranks < reach


def best_alone(ranks: Tensor, scales: int, count: int) -> Tensor:
    """YOLOv3's: the best prior of all answers, wherever it belongs."""
    return ranks < 1


def match(truth: TrueBoxes, answer: PriorMaps, rule: PriorRule) -> tuple[ScaleMatches, ...]:
    """What answers for each true box, by scale; priors are ranked by the IoU of shapes, the first of equals first."""
    scales, count = (int(side) for side in answer.priors.shape[:2])
    overlap = shape_overlap(truth.boxes[:, 2:] - truth.boxes[:, :2], answer.priors.reshape(-1, 2))
    ranks = overlap.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # (N, all priors)
    chosen = rule(ranks, scales, count).reshape(-1, scales, count)
    middle = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    found = []
    for scale, (x, stride) in enumerate(zip(answer.maps, answer.strides, strict=True)):
        h, w = (int(side) for side in x.shape[-2:])
        rows, prior = chosen[:, scale].nonzero(as_tuple=True)
        cell = (middle[rows] / stride).long()
        row, column = cell[:, 1].clamp(0, h - 1), cell[:, 0].clamp(0, w - 1)
        found.append(ScaleMatches(rows, truth.image[rows], prior, row, column))
    return tuple(found)


def shape_overlap(sizes: Tensor, priors: Tensor) -> Tensor:
    """(N, M) IoU of sizes (N, 2) and (M, 2), width and height, as if all boxes had one middle."""
    common = torch.minimum(sizes[:, None], priors).prod(dim=2)
    return common / (sizes.prod(dim=1)[:, None] + priors.prod(dim=1) - common).clamp(min=1e-9)


RULES: dict[str, PriorRule] = {"yowo": several_scales, "yolov3": best_alone}
