"""The improved YOWO: that it is the network of the paper, by what the paper says of its size, and what it answers."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.support.counted import multiplications, parameters
from train.networks.yowo.cspdarknet import CspDarknet53
from train.networks.yowo.decoder import PRIOR_PROBABILITY, USUAL_PRIORS
from train.networks.yowo.fusion import STRIDES, Parts
from train.networks.yowo.network import Yowo
from train.networks.yowo.resnet3d import resnext_101

CLASSES = 24  # of UCF101-24
PUBLISHED = 97.8e6  # parameters; in the paper 373 MiB of float32
PUBLISHED_GMAC = {16: 45.8, 8: 27.0}
TOLERANCE = 0.03


@pytest.fixture(scope="module")
def network() -> Yowo:
    """Shapes without numbers."""
    with torch.device("meta"):
        return Yowo(CLASSES)


def test_it_has_as_many_parameters_as_the_paper_says(network: Yowo) -> None:
    """96.4 million: 1.4 % fewer."""
    assert parameters(network) == pytest.approx(PUBLISHED, rel=TOLERANCE)


@pytest.mark.parametrize("frames", PUBLISHED_GMAC)
def test_it_costs_what_the_paper_says(network: Yowo, frames: int) -> None:
    """45.5 and 26.9: 0.6 and 0.5 % less."""
    counts = multiplications(network, (1, 3, 224, 224), (1, 3, frames, 224, 224))
    assert counts.total() / 1e9 == pytest.approx(PUBLISHED_GMAC[frames], rel=TOLERANCE)
    assert counts["backbone_3d"] / 1e9 == pytest.approx({16: 38.039, 8: 19.393}[frames], abs=0.001)  # as YOWO's own


@pytest.mark.parametrize(("build", "published"), [(CspDarknet53, 26_617_184), (resnext_101, 47_521_216)])
def test_its_backbones_are_those_that_are_published(build: Callable[[], nn.Module], published: int) -> None:
    with torch.device("meta"):
        assert parameters(build()) == published


@pytest.mark.parametrize(("height", "width", "frames"), [(224, 224, 8), (64, 96, 1), (32, 32, 17)])
def test_three_maps_of_three_priors_at_any_size(network: Yowo, height: int, width: int, frames: int) -> None:
    image = torch.empty(2, 3, height, width, device="meta")
    answer = network(image, torch.empty(2, 3, frames, height, width, device="meta"))
    expected = [(2, 3, 5 + CLASSES, height // stride, width // stride) for stride in STRIDES]
    assert [tuple(x.shape) for x in answer.maps] == expected
    assert tuple(answer.priors.shape) == (3, 3, 2)


def test_an_ablation_has_one_map_of_nine_priors() -> None:
    with torch.device("meta"):
        network = Yowo(CLASSES, Parts(scales=1, drop_block=0, squeeze=False))
        answer = network(torch.empty(1, 3, 64, 64), torch.empty(1, 3, 8, 64, 64))
    assert [tuple(x.shape) for x in answer.maps] == [(1, len(USUAL_PRIORS), 5 + CLASSES, 2, 2)]


def test_before_training_it_is_as_sure_of_nothing_as_it_should_be() -> None:
    """And the clip matters, and so does the key frame."""
    torch.manual_seed(0)
    network = Yowo(2).eval()
    image, clip = torch.randn(1, 3, 32, 32), torch.randn(1, 3, 4, 32, 32)
    with torch.inference_mode():
        answers = [network(*given).maps[2] for given in ((image, clip), (image + 1, clip), (image, clip + 1))]
    assert answers[0][:, :, 4:].sigmoid().mean().item() == pytest.approx(PRIOR_PROBABILITY, rel=0.5)
    assert not torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])
