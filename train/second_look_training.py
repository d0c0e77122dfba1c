"""Learns a second look at boxes; the detector's weights stay as they are.

It learns from boxes that the detector finds, and from true ones that are moved and stretched by chance, for in videos
that it has learnt from the detector is seldom far off.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.batches import loaded, network_inputs
from train.networks.decoder import Decoder, Heads
from train.networks.lite import LiteDetector
from train.networks.second_look import SecondLook, shifted
from train.samples import Samples
from train.training_step import TrainingError

BATCH, RATE, DECAY = 8, 2e-3, 0.02
AGAIN, KEPT = 3, 32  # how often a batch is learnt from besides, of how many at a time: 440 MB at 288×224
PEAKS = 32  # of an image
TRUE_BOXES = 4  # of an image, that is learnt from
FOUND, MOVED = 8, 4  # examples of each image
LEAST_OVERLAP, LEAST_SCORE = 0.35, 0.02  # of a box that was found
SHIFT, STRETCH = 0.1, 0.2  # standard deviations: of a box's sides, of their logarithms
LEAST_SIDE = 4.0  # pixels
BOXES, LABELS = "boxes", "labels"  # of a sample: (TRUE_BOXES, 4), zeros where there are fewer; (TRUE_BOXES,), -1


class BoxedSamples:
    """Numbered samples with their true boxes too."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> dict[str, NDArray[Any]]:
        boxes, labels = np.zeros((TRUE_BOXES, 4), np.float32), np.full(TRUE_BOXES, -1)
        drawn = self.samples.draw(number)
        count = min(len(drawn.boxes), TRUE_BOXES)
        boxes[:count], labels[:count] = drawn.boxes[:count], drawn.labels[:count]
        return {**self.samples[number], BOXES: boxes, LABELS: labels}


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a detector makes of a batch: its maps, where their boxes are to be read, and its scores of the actions."""

    maps: tuple[Tensor, ...]
    heatmap: Tensor
    truth: Tensor
    boxes: Tensor
    scores: Tensor


def learn(network: LiteDetector, look: SecondLook, batches: Iterable[Mapping[str, Tensor]], count: int) -> None:
    """Fill a second look in place from so many batches of BoxedSamples: AdamW, one cycle, 1 − IoU of boxes.

    Each is learnt from as it comes, and others of the last KEPT of them again, for the detector, which they have passed
    through once, takes most of the time. `network`: in evaluation mode. Draws from torch's own random numbers. Raises
    TrainingError where no batch has anything to learn from.
    """
    decoder = Decoder(network, PEAKS)
    optimizer = torch.optim.AdamW(look.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=count * (1 + AGAIN) + 1)
    kept: deque[_Seen] = deque(maxlen=KEPT)
    look.train()
    shown = False
    for batch in batches:
        kept.append(_seen(decoder, batch))
        shown = shown or bool(_known(batch[BOXES]).any())
        for number in (len(kept) - 1, *torch.randint(len(kept), (AGAIN,)).tolist()):
            optimizer.zero_grad()
            _loss(look, kept[number]).backward()
            optimizer.step()
            schedule.step()
    look.eval()
    if not shown:
        raise TrainingError(
            f"no sample shows a person of {LEAST_SIDE:g} pixels or more; look at the annotations with korsal-train "
            "check, or give more --samples"
        )


def _known(truth: Tensor) -> Tensor:
    """Which of the true boxes (B, TRUE_BOXES, 4) are large enough to learn from."""
    return (truth[:, :, 2:] - truth[:, :, :2]).amin(dim=2) >= LEAST_SIDE


@torch.no_grad()
def _seen(decoder: Decoder, batch: Mapping[str, Tensor]) -> _Seen:
    heads: Heads = decoder.detector(*network_inputs(batch))
    boxes, scores, _, _ = decoder.decoded(heads)
    return _Seen(heads.maps, torch.sigmoid(heads.heatmap.float()), batch[BOXES], boxes, scores)


def _loss(look: SecondLook, seen: _Seen) -> Tensor:
    """Of examples that are drawn anew."""
    there, goal, weight = examples(seen.truth, seen.boxes, seen.scores)
    class_scores = at_middles(seen.heatmap, there / look.stride)
    moved = shifted(there, look.changes(seen.maps, there, class_scores))
    return ((1 - overlap(moved, goal)) * weight).sum() / weight.sum().clamp(min=1)


def examples(truth: Tensor, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What to look at and where it should be, (B, FOUND + MOVED, 4) each, and a weight for each, 0 for what fills up.

    `truth` (B, TRUE_BOXES, 4), zeros where there are fewer; `boxes` (B, K, 4) and `scores` (B, K) as they were found.
    """
    known = _known(truth)  # (B, TRUE_BOXES)
    overlaps = overlap(boxes[:, :, None], truth[:, None]) * known[:, None]
    nearest, which = overlaps.max(dim=2)  # (B, K)
    good = (nearest > LEAST_OVERLAP) & (scores > LEAST_SCORE)
    first = torch.argsort((~good).int(), dim=1, stable=True)[:, :FOUND]  # the best of them
    found = boxes.gather(1, first[:, :, None].expand(-1, -1, 4))
    theirs = truth.gather(1, which.gather(1, first)[:, :, None].expand(-1, -1, 4))
    chosen = torch.arange(MOVED) % known.sum(dim=1, keepdim=True).clamp(min=1)  # in turns, (B, MOVED)
    order = torch.argsort((~known).int(), dim=1, stable=True).gather(1, chosen)
    mine = truth.gather(1, order[:, :, None].expand(-1, -1, 4))
    moved = shifted(mine, torch.randn(mine.shape) * torch.tensor([SHIFT, SHIFT, STRETCH, STRETCH]))
    weight = torch.cat([good.gather(1, first), known.any(dim=1, keepdim=True).expand(-1, MOVED)], dim=1)
    return torch.cat([found, moved], dim=1), torch.cat([theirs, mine], dim=1), weight.float()


@torch.no_grad()
def tightness(network: LiteDetector, look: SecondLook, frames: Samples) -> tuple[Tensor, Tensor]:
    """The overlap of true boxes with those found, without and with a second look, (n,) each.

    Of each the best that was found of its action, among those that lie on it by LEAST_OVERLAP at least, if any.
    """
    decoder = Decoder(network, PEAKS)
    rows = []
    for batch in loaded(BoxedSamples(frames), range(len(frames)), BATCH, 0):
        heads: Heads = network(*network_inputs(batch))
        boxes, _, _, class_scores = decoder.decoded(heads)
        moved = look(heads.maps, boxes, class_scores)
        for truth, labels, *found in zip(batch[BOXES], batch[LABELS], boxes, moved, class_scores, strict=True):
            before, after = (overlap(truth[:, None], one[None]) for one in found[:2])  # (TRUE_BOXES, K)
            score = found[2][:, labels.clamp(min=0)].T * (before > LEAST_OVERLAP) * (labels >= 0)[:, None]
            best = score.argmax(dim=1, keepdim=True)
            shown = score.gather(1, best)[:, 0] > 0
            rows.append(torch.cat([one.gather(1, best) for one in (before, after)], dim=1)[shown])
    together = torch.cat(rows) if rows else torch.zeros(0, 2)
    return together[:, 0], together[:, 1]


def at_middles(maps: Tensor, boxes: Tensor) -> Tensor:
    """Of maps (B, C, h, w) what they hold in the cells of the middles of boxes (B, K, 4), in cells: (B, K, C)."""
    h, w = maps.shape[2:]
    middle = ((boxes[:, :, :2] + boxes[:, :, 2:]) / 2).floor().long()
    cells = middle[:, :, 1].clamp(0, h - 1) * w + middle[:, :, 0].clamp(0, w - 1)
    return maps.flatten(2).gather(2, cells[:, None].expand(-1, maps.shape[1], -1)).transpose(1, 2)


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes (…, 4) with those in the same places; 0 without an area."""
    sides = (torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])).clamp(
        min=0
    )
    common = sides.prod(dim=-1)
    areas = ((one[..., 2:] - one[..., :2]).prod(dim=-1) for one in (first, second))
    return common / (sum(areas) - common).clamp(min=1e-6)
