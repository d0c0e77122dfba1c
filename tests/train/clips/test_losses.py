"""What detectors with priors minimise."""

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from train.clips.losses import PriorLossSettings, ciou, cross_entropy, focal, prior_losses
from train.networks.yowo.decoder import PriorMaps, candidates

STRIDES = (32, 16, 8)
PRIORS = torch.tensor([[100.0, 90, 80], [60, 50, 40], [30, 20, 10]]).unsqueeze(2).repeat(1, 1, 2)
PLAIN = PriorLossSettings(kind="cross_entropy")


def boxes(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows)


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ((0.0, 0, 4, 4), (0.0, 0, 4, 4), 1.0),
        ((0.0, 0, 4, 4), (2.0, 0, 6, 4), 8 / 24 - 4 / (36 + 16)),  # middles 2 apart, 6 × 4 around both
        ((0.0, 0, 2, 2), (4.0, 0, 6, 2), 0 - 16 / (36 + 4)),  # apart
    ],
)
def test_ciou(one: tuple[float, ...], other: tuple[float, ...], value: float) -> None:
    assert ciou(boxes(one), boxes(other)).item() == pytest.approx(value, abs=1e-5)


def test_ciou_of_another_shape() -> None:
    """Equal middles: 4 × 2 in 4 × 4; the shape's term is v = 4/π² (atan 2 − atan 1)², weighed v / (1 − IoU + v)."""
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    found = ciou(boxes((0.0, 1, 4, 3)), boxes((0.0, 0, 4, 4))).item()
    assert found == pytest.approx(0.5 - v * v / (0.5 + v), abs=1e-5)


def test_ciou_of_nothing_is_finite_and_has_a_slope() -> None:
    one = boxes((5.0, 5, 5, 5)).requires_grad_()
    value = ciou(one, boxes((0.0, 0, 4, 4)))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert one.grad is not None
    assert torch.isfinite(one.grad).all()
    assert one.grad.abs().sum() > 0


def test_focal_is_the_formula() -> None:
    logits, target = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([1.0, 0, 0])
    p = torch.sigmoid(logits)
    expected = [-0.25 * (1 - p[0]) ** 2 * p[0].log(), -0.75 * p[1] ** 2 * (1 - p[1]).log()]
    found = focal(logits, target, 0.25)
    torch.testing.assert_close(found[:2], torch.stack(expected))
    torch.testing.assert_close(cross_entropy(logits, target, 0.25)[2], -(1 - p[2]).log())


def answer(fill: float = -9.0, classes: int = 3, images: int = 2) -> PriorMaps:
    """Nobody anywhere, on 64 × 96 pixels."""
    maps = []
    for stride in STRIDES:
        x = torch.zeros(images, 3, 5 + classes, 64 // stride, 96 // stride)
        x[:, :, 4:] = fill
        maps.append(x)
    return PriorMaps(tuple(maps), PRIORS, STRIDES)


def batch(*truth: tuple[int, tuple[float, ...], int], images: int = 2, classes: int = 3) -> dict[str, Tensor]:
    """Of (image, box, label)."""
    found = {
        "boxes": torch.zeros(images, 4, 4),
        "labels": torch.full((images, 4), -1),
        "annotated": torch.ones(images, classes),
    }
    for place, (image, box, label) in enumerate(truth):
        found["boxes"][image, place] = torch.tensor(box)
        found["labels"][image, place] = label
    return found


PERSON = (40.0, 28.0, 50.0, 38.0)  # 10 × 10 with its middle at 45, 33: stride 8, row 4, column 5; priors 10 20 30


def test_perfect_answers_cost_nothing() -> None:
    """Of all three priors of the finest map, each as much smaller than the prior as the box is."""
    found = answer()
    x = found.maps[2]
    for prior, side in enumerate((30.0, 20.0, 10.0)):
        x[1, prior, :, 4, 5] = torch.tensor([math.log(5 / 3), -math.log(7), *2 * [math.log(10 / side)], 9, -9, 9, -9])
    decoded, _ = candidates(found)
    assert decoded[1, 3 * 6 + 3 * 24 + 4 * 12 + 5].tolist() == pytest.approx(PERSON, abs=1e-3)
    for kind in ("focal", "cross_entropy"):
        terms = prior_losses(found, batch((1, PERSON, 1)), PriorLossSettings(kind=kind))
        assert terms["box"].item() == pytest.approx(0, abs=1e-3)
        assert sum(float(term) for term in terms.values()) < 0.1
    others = prior_losses(found, batch((1, PERSON, 2)), PLAIN)
    assert others["classes"].item() == pytest.approx(2 * 9, abs=0.01)  # one wrong, one missing, in each answer


def test_two_actions_of_one_person_are_both_right() -> None:
    found = answer()
    found.maps[2][1, :, 4:, 4, 5] = torch.tensor([9.0, -9, 9, 9])
    terms = prior_losses(found, batch((1, PERSON, 1), (1, PERSON, 2)), PLAIN)
    assert terms["classes"].item() < 0.01


def test_a_good_box_that_need_not_answer_is_not_wrong() -> None:
    """The middle map's third prior, 40 × 40, sees the box of 30 × 30 exactly, but only the finest is asked (YOLOv3)."""
    truth, rule = batch((0, (33.0, 9.0, 63.0, 39.0), 0)), PriorLossSettings(kind="cross_entropy", matching="yolov3")
    found = answer()
    found.maps[2][0, 0, 4:, 3, 6] = torch.tensor([9.0, 9, -9, -9])  # who is asked answers
    before = prior_losses(found, truth, rule)["confidence"].item()
    found.maps[1][0, 2, :5, 1, 3] = torch.tensor([0.0, 0.0, math.log(0.75), math.log(0.75), 9.0])  # middle at 56, 24
    assert prior_losses(found, truth, rule)["confidence"].item() == pytest.approx(before, abs=0.01)
    found.maps[1][0, 2, :5, 1, 3] = torch.tensor([0.0, 0.0, 0, 0, 0])
    found.maps[1][0, 2, 4, 1, 5] = 9.0  # another place
    assert prior_losses(found, truth, rule)["confidence"].item() > before + 8


@pytest.mark.parametrize(("known", "share"), [((1.0, 1, 1), 1.0), ((0.0, 0, 1), 1 / 3), ((0.0, 0, 0), 0.0)])
def test_what_was_not_looked_for_is_less_wrong(known: tuple[float, ...], share: float) -> None:
    found, empty = answer(fill=0.0), batch()
    empty["annotated"][:] = torch.tensor(known)
    cells = 2 * 3 * (6 + 24 + 96)
    terms = prior_losses(found, empty, PLAIN)
    assert terms["confidence"].item() == pytest.approx(share * cells * math.log(2), rel=1e-5)
    assert (terms["box"].item(), terms["classes"].item()) == (0, 0)  # and nobody is there


def test_classes_that_were_not_looked_for_count_nothing() -> None:
    truth = batch((1, PERSON, 1))
    truth["annotated"][1] = torch.tensor([0.0, 1, 0])
    found = answer(fill=0.0)
    assert prior_losses(found, truth, PLAIN)["classes"].item() == pytest.approx(math.log(2), rel=1e-5)


@pytest.mark.parametrize("kind", ["focal", "cross_entropy"])
def test_a_few_steps_find_the_box(kind: Literal["focal", "cross_entropy"]) -> None:
    """The maps themselves are what learns."""
    torch.manual_seed(0)
    start = answer(fill=-4.6)
    maps = [torch.nn.Parameter(x) for x in start.maps]
    optimizer = torch.optim.Adam(maps, 0.2)
    truth, settings = batch((0, (20.0, 10.0, 75.0, 55.0), 2), (1, PERSON, 0)), PriorLossSettings(kind=kind)
    losses = []
    for _ in range(100):
        terms = prior_losses(PriorMaps(tuple(maps), PRIORS, STRIDES), truth, settings)
        total = torch.stack([*terms.values()]).sum()
        optimizer.zero_grad()
        total.backward()
        losses.append(total.item())
        optimizer.step()
    assert losses[-1] < 0.05 * losses[0]
    boxes, raw = candidates(PriorMaps(tuple(maps), PRIORS, STRIDES))
    best = raw[:, :, 0].argmax(dim=1)
    torch.testing.assert_close(boxes[0, best[0]], torch.tensor([20.0, 10.0, 75.0, 55.0]), atol=1.5, rtol=0)
    assert raw[1, best[1], 1:].argmax().item() == 0


def test_nothing_is_divided_by_nothing() -> None:
    terms = prior_losses(answer(), batch(), PriorLossSettings())
    assert all(torch.isfinite(term) for term in terms.values())
