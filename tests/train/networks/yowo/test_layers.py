"""DropBlock and squeeze-and-excitation."""

import pytest
import torch

from train.networks.yowo.layers import DropBlock, SqueezeExcitation

torch.set_num_threads(1)


def test_nothing_is_dropped_but_while_training() -> None:
    x = torch.ones(2, 3, 8, 8)
    assert torch.equal(DropBlock(0.5).eval()(x), x)
    assert torch.equal(DropBlock(0.0).train()(x), x)


@pytest.mark.parametrize("size", [7, 28])
def test_squares_are_dropped_and_the_mean_stays(size: int) -> None:
    torch.manual_seed(0)
    dropped = DropBlock(0.1, block=3).train()(torch.ones(8, 64, size, size))
    zeros = dropped == 0
    assert zeros.float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert dropped.mean().item() == pytest.approx(1, abs=1e-4)
    assert len(dropped.unique()) == 2  # all others are lifted alike
    alone = torch.nn.functional.avg_pool2d(zeros.float(), 3, stride=1).amax(dim=(2, 3))
    assert ((alone - 1).abs() < 1e-6)[zeros.any(dim=3).any(dim=2)].all()  # wherever one is zero, so is a whole square


def test_a_square_larger_than_the_map_drops_a_channel_whole() -> None:
    torch.manual_seed(0)
    dropped = DropBlock(0.5, block=7).train()(torch.ones(1, 64, 3, 3)).flatten(2)
    assert ((dropped == 0).all(dim=2) | (dropped > 0).all(dim=2)).all()
    assert (dropped == 0).any()


def test_all_dropped_is_zero_and_finite() -> None:
    assert torch.equal(DropBlock(1.0, block=9).train()(torch.ones(1, 1, 4, 4)), torch.zeros(1, 1, 4, 4))


def test_a_channel_is_weighed_as_a_whole() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 32, 4, 5) + 0.5
    weights = SqueezeExcitation(32)(x) / x
    assert torch.allclose(weights, weights[:, :, :1, :1].expand_as(weights))
    assert ((weights > 0) & (weights < 1)).all()
