"""What is read around a box, and where it goes then."""

import pytest
import torch
import torch.nn.functional as F

from train.networks.decoder import Decoder
from train.networks.lite import LiteDetector
from train.networks.second_look import AROUND, BOXES, POINTS, SHARE, SecondLook, read, shifted

torch.set_num_threads(1)
CLASSES = 3


def random_boxes(count: int) -> torch.Tensor:
    """(2, count, 4) in cells of a map of 9 x 12, some of them partly outside."""
    corner = torch.rand(2, count, 2) * torch.tensor([12.0, 9.0]) - 1
    return torch.cat([corner, corner + torch.rand(2, count, 2) * 6 + 0.1], dim=2)


def test_what_is_read_is_what_lies_there() -> None:
    """As torch's own sampling, which knows no boxes."""
    torch.manual_seed(0)
    maps, boxes = torch.randn(2, 4, 9, 12), random_boxes(5)
    steps = (torch.arange(POINTS) + 0.5) / POINTS - 0.5
    centre, side = (boxes[:, :, :2] + boxes[:, :, 2:]) / 2, (boxes[:, :, 2:] - boxes[:, :, :2]) * AROUND
    x, y = (centre[:, :, axis, None] + side[:, :, axis, None] * steps for axis in (0, 1))  # (2, 5, POINTS)
    points = torch.stack(torch.broadcast_tensors(x[:, :, None], y[:, :, :, None]), dim=-1)
    grid = points / torch.tensor([12.0, 9.0]) * 2 - 1
    expected = F.grid_sample(maps, grid.flatten(1, 2), align_corners=False, padding_mode="border")
    found = read(maps, boxes)
    assert found.shape == (2, 5, 4, POINTS, POINTS)
    torch.testing.assert_close(found, expected.reshape(2, 4, 5, POINTS, POINTS).transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_a_box_moves_by_its_sides_and_is_stretched_about_its_middle() -> None:
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    changes = torch.tensor([[0.5, -0.25, torch.log(torch.tensor(2.0)), 0.0]])
    torch.testing.assert_close(shifted(boxes, changes), torch.tensor([[10.0, 10.0, 50.0, 50.0]]))
    far = shifted(boxes, torch.tensor([[0.0, 0.0, 1e9, -1e9]]))
    assert torch.isfinite(far).all()


def test_before_training_every_box_stays() -> None:
    look = SecondLook((8, 4), CLASSES).eval()
    maps = (torch.randn(2, 8, 16, 16), torch.randn(2, 4, 8, 8))
    boxes = random_boxes(7) * 4
    torch.testing.assert_close(look(maps, boxes, torch.rand(2, 7, CLASSES)), boxes)


def test_the_best_boxes_move_by_a_share_and_the_rest_stays() -> None:
    torch.manual_seed(1)
    look = SecondLook((8,), CLASSES).eval()
    torch.nn.init.normal_(look.last.weight, std=0.1)
    maps, boxes, scores = (torch.randn(2, 8, 16, 16),), random_boxes(BOXES + 3) * 4, torch.rand(2, BOXES + 3, CLASSES)
    found = look(maps, boxes, scores)
    assert torch.equal(found[:, BOXES:], boxes[:, BOXES:])
    changes = look.changes(maps, boxes[:, :BOXES], scores[:, :BOXES])
    assert changes.abs().min() > 0
    torch.testing.assert_close(found[:, :BOXES], shifted(boxes[:, :BOXES], SHARE * changes))
    other = look.changes(maps, boxes[:, :BOXES], 1 - scores[:, :BOXES])
    assert not torch.allclose(changes, other)  # which actions are seen there counts


@pytest.mark.parametrize("looks", [False, True])
def test_a_decoder_takes_it_where_there_is_one(looks: bool) -> None:
    torch.manual_seed(2)
    network = LiteDetector(CLASSES, 3).eval()
    image = torch.randn(1, 3, 64, 96)
    decoder = Decoder(network, 40)
    with torch.inference_mode():
        before = decoder(image)
        if looks:
            network.second_look = SecondLook(network.looked_at, CLASSES).eval()
            torch.nn.init.constant_(network.second_look.last.bias, 0.2)  # type: ignore[arg-type]
        after = decoder(image)
    for one, other in zip(before[1:], after[1:], strict=True):
        assert torch.equal(one, other)
    expected = shifted(before[0], torch.full((4,), 0.2 * SHARE)) if looks else before[0]
    torch.testing.assert_close(after[0][:, :BOXES], expected[:, :BOXES], rtol=1e-4, atol=1e-3)
    assert torch.equal(after[0][:, BOXES:], before[0][:, BOXES:])
