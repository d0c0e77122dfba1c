import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.losses import box_loss, centernet_losses, centre_loss, focal_loss, losses, offset_loss, size_loss
from train.networks.decoder import Heads
from train.train_settings import CENTERNET_LOSSES, LossWeights

torch.set_num_threads(1)


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def slow_focal_loss(logits: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Zhou et al. 2019, eq. 1, one cell after the other."""
    total = 0.0
    for x, y in zip(logits.ravel(), target.ravel(), strict=True):
        p = 1 / (1 + math.exp(-x))
        if y == 1:
            total -= (1 - p) ** 2 * math.log(p)
        else:
            total -= (1 - y) ** 4 * p**2 * math.log(1 - p)
    return total / max((target == 1).sum(), 1)


def test_focal_loss_by_hand() -> None:
    # p = 0.5 everywhere. Centre: (1 − .5)²·ln 2; beside it y = .5: (1 − .5)⁴·.5²·ln 2; far away y = 0: .5²·ln 2
    target = torch.tensor([1.0, 0.5, 0.0]).view(1, 1, 1, 3)
    expected = math.log(2) * (0.25 + 0.25 / 16 + 0.25)
    assert focal_loss(torch.zeros(1, 1, 1, 3), target, torch.ones(1, 1)).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("positives", [0, 1, 4])
def test_focal_loss_against_the_slow_one(positives: int) -> None:
    logits, target = 2 * random(0, 2, 3, 4, 5), random(1, 2, 3, 4, 5).sigmoid()
    target.view(-1)[:positives] = 1
    expected = slow_focal_loss(logits.double().numpy(), target.double().numpy())
    assert focal_loss(logits, target, torch.ones(2, 3)).item() == pytest.approx(expected, rel=1e-5)


def test_channels_that_were_not_annotated_count_nothing() -> None:
    """In the first image the annotators looked for classes 0 and 1 alone, in the second for 2 alone."""
    logits, target = (2 * random(0, 2, 3, 4, 5)).requires_grad_(), random(1, 2, 3, 4, 5).sigmoid()
    target[0, 0, 1, 1] = target[1, 2, 2, 2] = 1
    annotated = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    loss = focal_loss(logits, target, annotated)
    loss.backward()
    assert logits.grad is not None
    assert [[bool(channel.any()) for channel in image] for image in logits.grad] == [
        [True, True, False],
        [False, False, True],
    ]
    known = [focal_loss(logits[:1, :2], target[:1, :2], torch.ones(1, 2)),
             focal_loss(logits[1:, 2:], target[1:, 2:], torch.ones(1, 1))]  # fmt: skip
    assert loss.item() == pytest.approx(sum(one.item() for one in known) / 2)  # each has one of the two centres


def test_focal_loss_is_finite_where_sigmoid_is_not_exact() -> None:
    logits = torch.tensor([-200.0, 200.0, 200.0, -200.0]).view(1, 1, 2, 2).requires_grad_()
    target = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 2, 2)
    loss = focal_loss(logits, target, torch.ones(1, 1))
    loss.backward()
    assert loss.item() == pytest.approx(200)  # (200 + 200) / 2 centres
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4, 6), 0.0),
        ((2, 6), 0.5),  # 12 of 24
        ((8, 6), 0.5),  # 24 of 48
        ((2, 12), 1 - 12 / 36),  # common 2 × 6; union 24 + 24 − 12
    ],
)
def test_size_loss_by_hand(size: tuple[float, float], expected: float) -> None:
    predicted, true = (torch.tensor(pair, dtype=torch.float32).view(1, 2, 1, 1) for pair in (size, (4, 6)))
    assert size_loss(predicted, true, torch.ones(1, 1, 1)).item() == pytest.approx(expected, abs=1e-6)


def test_size_loss_is_a_weighted_mean() -> None:
    # 1 − IoU is 0.5 and 0 at the two cells; weights 1 and 3: (0.5 · 1 + 0 · 3) / 4
    predicted = torch.tensor([[2.0, 4.0], [6.0, 6.0]]).view(1, 2, 1, 2)
    true = torch.tensor([[4.0, 4.0], [6.0, 6.0]]).view(1, 2, 1, 2)
    assert size_loss(predicted, true, torch.tensor([1.0, 3.0]).view(1, 1, 2)).item() == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("centre", "size", "expected"),
    [
        ((0.5, 0.5), (4, 6), 0.0),
        ((0.5, 0.5), (2, 6), 0.5),  # 12 of 24, and the hull is the larger of both
        ((2.5, 0.5), (4, 6), 1 - 12 / 36),  # half of it beside; hull 6 × 6, as large as the union
        ((6.5, 0.5), (4, 6), 1 + (60 - 48) / 60),  # 2 apart: nothing in common, hull 10 × 6
        ((-1.5, 2.5), (4, 6), 1 - (8 / 40 - (48 - 40) / 48)),  # 2 × 4 in common; hull 6 × 8
    ],
)
def test_box_loss_by_hand(centre: tuple[float, float], size: tuple[float, float], expected: float) -> None:
    where, how_large, true_centre, true_size = (
        torch.tensor(pair, dtype=torch.float32).view(1, 2, 1, 1) for pair in (centre, size, (0.5, 0.5), (4, 6))
    )
    loss = box_loss(how_large, where, true_size, true_centre, torch.ones(1, 1, 1))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_box_loss_teaches_the_cells_beside_a_centre_where_it_lies() -> None:
    """The centre lies in the cell on the right; the cell's answer, the middle of itself, is to move there."""
    truth = batch()
    truth["size"][:], truth["size_weight"][0, 1, 1], truth["shift"][0, 0, 1, 1] = 4.0, 1.0, 1.5
    truth["shift"][0, 1, 1, 1] = 0.5
    offset = torch.full((2, 2, 4, 4), 0.5, requires_grad=True)
    heads = Heads(torch.zeros(2, 3, 4, 4), torch.full((2, 2, 4, 4), 4.0), offset)
    plain = losses(heads, truth, LossWeights())
    whole = losses(heads, truth, LossWeights(box=2.0))
    whole["size"].backward()
    assert (plain["size"].item(), whole["size"].item()) == (0, pytest.approx(2 * (1 - 12 / 20)))
    assert offset.grad is not None
    assert offset.grad[0, 0, 1, 1] < 0
    assert int((offset.grad != 0).sum()) == 1


def test_offset_loss_by_hand() -> None:
    # |.3 − .5| + |.9 − .5| = .6 at the one centre; the other cell does not count
    predicted = torch.tensor([[0.3, 0.0], [0.9, 0.0]]).view(1, 2, 1, 2)
    true = torch.tensor([[0.5, 9.0], [0.5, 9.0]]).view(1, 2, 1, 2)
    assert offset_loss(predicted, true, torch.tensor([1.0, 0.0]).view(1, 1, 2)).item() == pytest.approx(0.6)


def test_a_batch_without_boxes_trains_the_background_only() -> None:
    heads = Heads(random(0, 2, 3, 4, 4), random(1, 2, 2, 4, 4).exp(), random(2, 2, 2, 4, 4).sigmoid())
    terms = losses(heads, batch(), LossWeights())
    assert terms["heatmap"] > 0
    assert (terms["size"].item(), terms["offset"].item()) == (0, 0)


def test_the_weights_weigh() -> None:
    heads = Heads(random(0, 2, 3, 4, 4), random(1, 2, 2, 4, 4).exp(), random(2, 2, 2, 4, 4).sigmoid())
    ones = {
        **batch(),
        "size": torch.ones(2, 2, 4, 4),
        "size_weight": torch.ones(2, 4, 4),
        "centre": torch.ones(2, 4, 4),
    }
    plain = losses(heads, ones, LossWeights(1, 1, 1))
    weighed = losses(heads, ones, LossWeights(heatmap=2, size=3, offset=5))
    assert [weighed[name].item() / plain[name].item() for name in plain] == pytest.approx([2, 3, 5])


def test_centernets_losses_use_centres_only() -> None:
    """Sizes 3 × 5 where 7 × 4 is said, twice: mean of 4 and 1; a tenth counts. Offsets are 0.5 off, both numbers."""
    truth = batch()
    truth["centre"][0, 1, 2] = truth["centre"][1, 3, 3] = 1
    truth["size"][:, 0], truth["size"][:, 1] = 3, 5
    predicted = torch.tensor([7.0, 4.0])[:, None, None].expand(2, 2, 4, 4)
    heads = Heads(torch.zeros(2, 3, 4, 4), predicted, torch.full((2, 2, 4, 4), 0.5))
    terms = centernet_losses(heads, truth, CENTERNET_LOSSES)
    assert terms["size"].item() == pytest.approx(0.1 * 2.5)
    assert terms["offset"].item() == pytest.approx(0.5)
    assert terms["heatmap"].item() == pytest.approx(
        focal_loss(heads.heatmap, truth["heatmap"], truth["annotated"]).item()
    )


def test_no_centre_no_loss() -> None:
    assert centre_loss(random(0, 2, 2, 4, 4), torch.zeros(2, 2, 4, 4), torch.zeros(2, 4, 4)).item() == 0


def batch() -> dict[str, Tensor]:
    return {
        "heatmap": torch.zeros(2, 3, 4, 4),
        "size": torch.zeros(2, 2, 4, 4),
        "size_weight": torch.zeros(2, 4, 4),
        "shift": torch.zeros(2, 2, 4, 4),
        "offset": torch.zeros(2, 2, 4, 4),
        "centre": torch.zeros(2, 4, 4),
        "annotated": torch.ones(2, 3),
    }
