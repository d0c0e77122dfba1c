"""Networks that see clips, in the two parts in which they are exported: together they answer as the whole."""

import pytest
import torch

from edge.clip import ClipInput
from edge.manifest import Manifest
from edge.motion_map import MotionSettings
from train.networks.yowo import clip_networks
from train.networks.yowo.clip_networks import CLIP_NETWORKS, BothParts
from train.networks.yowo.fusion import ALL_PARTS

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
