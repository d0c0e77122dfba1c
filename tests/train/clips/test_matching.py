"""Which priors answer for a true box."""

import pytest
import torch

from train.clips.matching import RULES, PriorRule, ScaleMatches, TrueBoxes, best_alone, match, several_scales, unpadded
from train.networks.yowo.decoder import PriorMaps

# Three scales of 3 priors, the coarsest first; squares whose IoU with a square of side s is (small / large)².
PRIORS = torch.tensor([[100.0, 90, 80], [60, 50, 40], [30, 20, 10]]).unsqueeze(2).repeat(1, 1, 2)


def answer(height: int = 64, width: int = 96) -> PriorMaps:
    strides = (32, 16, 8)
    maps = tuple(torch.zeros(2, 3, 7, height // stride, width // stride) for stride in strides)
    return PriorMaps(maps, PRIORS, strides)


def square(side: float, x: float = 50, y: float = 40) -> TrueBoxes:
    box = torch.tensor([[x - side / 2, y - side / 2, x + side / 2, y + side / 2]])
    return TrueBoxes(torch.tensor([1]), box, torch.tensor([0]))


def priors(found: tuple[ScaleMatches, ...]) -> list[list[int]]:
    return [one.prior.tolist() for one in found]


@pytest.mark.parametrize(
    ("side", "rule", "expected"),
    [
        (100, several_scales, [[0], [], []]),  # ranks 100 90 80: two and three of the best are the coarsest's own
        (82, several_scales, [[2], [], []]),  # 80 90 100
        (62, several_scales, [[], [0, 1], []]),  # 60 50 80: not the coarsest's best, two of the middle
        (70, several_scales, [[2], [0], []]),  # 80 60 (.765 and .735), 90: the middle has the second
        (34, several_scales, [[], [2], [0]]),  # 30 40 (.78, .72), 50: the middle has the second, the finest the first
        (38, several_scales, [[], [2], [0]]),  # 40 30 50
        (8, several_scales, [[], [], [0, 1, 2]]),  # 10 20 30
        (70, best_alone, [[2], [], []]),
        (8, best_alone, [[], [], [2]]),
        (34, best_alone, [[], [], [0]]),
    ],
)
def test_who_is_responsible(side: float, rule: PriorRule, expected: list[list[int]]) -> None:
    assert priors(match(square(side), answer(), rule)) == expected


def test_the_cell_is_that_of_the_middle() -> None:
    found = match(square(8, x=50, y=40), answer(), several_scales)[2]  # stride 8
    assert (found.row.tolist(), found.column.tolist(), found.image.tolist()) == ([5] * 3, [6] * 3, [1] * 3)
    edge = match(square(8, x=96, y=64), answer(), several_scales)[2]  # on the very edge, the last cell
    assert (edge.row.tolist(), edge.column.tolist()) == ([7] * 3, [11] * 3)


def test_every_box_has_somebody_to_answer() -> None:
    sides = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 200 + 1
    truth = TrueBoxes(torch.zeros(200).long(), torch.cat([0 * sides, sides], dim=1), torch.zeros(200).long())
    for rule in RULES.values():
        rows = torch.cat([one.truth for one in match(truth, answer(), rule)])
        assert rows.unique().tolist() == list(range(200))


def test_padding_and_boxes_without_an_area_are_no_truth() -> None:
    boxes = torch.tensor([[[0.0, 0, 5, 5], [1, 1, 2, 2]], [[3, 3, 3, 9], [4, 4, 6, 6]]])
    found = unpadded(boxes, torch.tensor([[2, -1], [0, 1]]))
    assert (found.image.tolist(), found.labels.tolist()) == ([0, 1], [2, 1])
    assert found.boxes.tolist() == [[0, 0, 5, 5], [4, 4, 6, 6]]
    nobody = match(unpadded(boxes[:0], torch.zeros(0, 2).long()), answer(), several_scales)
    assert priors(nobody) == [[], [], []]
