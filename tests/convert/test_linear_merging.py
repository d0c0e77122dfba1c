"""Two convolutions made one: a smaller network that answers the same."""

from pathlib import Path

import torch

from convert.linear_merging import merge_last_projection
from tests.support.untrained_model import write_untrained_checkpoint
from train import checkpoint as checkpoints
from train.networks import architectures


def test_the_network_answers_as_before_with_fewer_weights(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    checkpoint = checkpoints.load(write_untrained_checkpoint(tmp_path / "a.pt"))
    exact, merged = checkpoints.detector(checkpoint), checkpoints.detector(checkpoint)
    merge_last_projection(merged)
    image = torch.randn(2, 6, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, got = exact(image), merged(image)
    for name in ("heatmap", "size", "offset"):
        torch.testing.assert_close(getattr(got, name), getattr(expected, name), rtol=1e-4, atol=1e-4)
    weights = [sum(value.numel() for value in network.parameters()) for network in (exact, merged)]
    # 320 x 1152 and 64 x 320, and four norms' vectors of 320 and 64, become 64 x 1152 and 64
    assert weights[0] - weights[1] == 320 * 1152 + 64 * 320 + 2 * (320 + 64) - (64 * 1152 + 64)


def test_other_networks_stay_as_they_are() -> None:
    network = architectures.network("res_18", 3, 6)
    before = list(network.state_dict())
    merge_last_projection(network)
    assert list(network.state_dict()) == before
