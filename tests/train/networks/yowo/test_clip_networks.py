"""Networks that see clips, in the two parts in which they are exported: together they answer as the whole."""

import pytest
import torch

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from train.networks.yowo import clip_networks
from train.networks.yowo.clip_networks import CLIP_NETWORKS, BothParts
from train.networks.yowo.fusion import ALL_PARTS, Parts

torch.set_num_threads(1)


@pytest.mark.parametrize(("name", "channels"), [("yowo_lite", 480), ("yowo_original_shufflenetv2_2x", 2048)])
def test_both_parts_are_the_whole(name: str, channels: int) -> None:
    torch.manual_seed(0)
    network = CLIP_NETWORKS[name](2, ALL_PARTS, None).eval()
    plain = Manifest("tiny", ("Run", "Jump"), 64, 64, MotionSettings("none"), architecture=name, clip=ClipInput(8))
    manifest = clip_networks.described(network, plain)
    assert manifest.clip == ClipInput(8, channels=channels)
    image, clip = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 8, 64, 64)
    both = BothParts(network, manifest).eval()
    with torch.inference_mode():
        whole = clip_networks.decoder(network, manifest).eval()(image, clip)
        *_, made = both(image, torch.zeros(1, channels, 2, 2), clip)
        assert made.shape == (1, channels, 2, 2)
        *parts, again = both(image, made, clip)
    torch.testing.assert_close(again, made)
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other)


def test_other_networks_have_one_part() -> None:
    plain = Manifest("tiny", ("Run", "Jump"), 64, 64)
    assert clip_networks.described(torch.nn.Identity(), plain) is plain


@pytest.mark.parametrize(
    ("name", "parts", "actions", "expected"),
    [
        ("yowo_lite", Parts(scales=1), 1, 54),  # nine priors in 2 · 3 cells
        ("yowo_lite", Parts(scales=1), 2, 100),  # 108
        ("yowo_lite", ALL_PARTS, 1, 100),  # 3 · (6 + 24 + 96)
        ("yowo_original_resnet18", ALL_PARTS, 3, 90),  # five priors, in 6 cells, and three actions
    ],
)
def test_a_small_input_has_fewer_answers_than_are_asked_for(
    name: str, parts: Parts, actions: int, expected: int
) -> None:
    """And so it says: the checkpoint and what is exported of it are then alike, and `check` compares them."""
    labels = ("Run", "Jump", "Dive")[:actions]
    plain = Manifest("tiny", labels, 64, 96, MotionSettings("none"), architecture=name, clip=ClipInput(1))
    network = CLIP_NETWORKS[name](actions, parts, None).eval()
    manifest = clip_networks.described(network, plain)
    assert manifest.top_k == expected
    decoder = clip_networks.decoder(network, manifest).eval()
    with torch.inference_mode():
        _, scores, *_ = decoder(torch.zeros(1, 3, 64, 96), torch.zeros(1, 3, 1, 64, 96))
    assert scores.shape == (1, expected)
