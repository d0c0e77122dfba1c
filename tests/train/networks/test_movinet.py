import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from train.networks.movinet import (
    CLASSES,
    FEATURES,
    REACH,
    CausalFilter,
    Classifier,
    Convolution,
    MoViNet,
    halved,
    map_grids,
    memory_network,
    memory_shapes,
    padding,
)

torch.set_num_threads(1)
SIDE = 24


@pytest.fixture(scope="module")
def network() -> MoViNet:
    """Random weights, in 64 bits, so that what differs is no rounding."""
    torch.manual_seed(0)
    return MoViNet().double().eval()


def clip(frames: int, batch: int = 1, height: int = SIDE, width: int = SIDE, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, frames, 3, height, width, generator=generator, dtype=torch.float64)


@torch.inference_mode()
def streamed(network: MoViNet, frames: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, list[Tensor]]:
    """The features when that many frames come at a time, and the memory at the end."""
    memory = network.memory(len(frames), *frames.shape[3:])
    found = []
    for part in frames.split(sizes, dim=1):
        features, memory = network(part, memory)
        found.append(features)
    return torch.cat(found, dim=1), memory


def test_frame_by_frame_is_as_the_whole_clip(network: MoViNet) -> None:
    frames = clip(REACH + 3)
    whole, after_all = streamed(network, frames, (REACH + 3,))
    one_by_one, after_each = streamed(network, frames, (1,) * (REACH + 3))
    torch.testing.assert_close(one_by_one, whole)
    for one, other in zip(after_each, after_all, strict=True):
        torch.testing.assert_close(one, other)
    assert whole.std() > 1e-3


def test_parts_of_any_length_are_as_the_whole_clip(network: MoViNet) -> None:
    frames = clip(9)
    torch.testing.assert_close(streamed(network, frames, (1, 5, 3))[0], streamed(network, frames, (9,))[0])


def test_it_never_looks_ahead_and_not_farther_back_than_its_reach(network: MoViNet) -> None:
    frames = clip(REACH + 2)
    other = frames.clone()
    other[:, 1] = 1 - other[:, 1]
    change = (streamed(network, frames, (REACH + 2,))[0] - streamed(network, other, (REACH + 2,))[0]).abs()
    changed = change.amax(dim=(0, 2, 3, 4)) > 0
    assert changed.tolist() == [False] + [True] * REACH + [False]


def test_a_memory_tells_a_frame_from_the_same_frame_without_it(network: MoViNet) -> None:
    first, second = clip(2, seed=1).split(1, dim=1)
    _, memory = streamed(network, first, (1,))
    with torch.inference_mode():
        with_past, _ = network(second, memory)
    assert not torch.equal(with_past, streamed(network, second, (1,))[0])


def test_streams_of_a_batch_do_not_see_each_other(network: MoViNet) -> None:
    frames = clip(4, batch=2)
    both, memory = streamed(network, frames, (1,) * 4)
    for i in range(2):
        alone, of_one = streamed(network, frames[i : i + 1], (1,) * 4)
        torch.testing.assert_close(both[i : i + 1], alone)
        for one, other in zip(memory, of_one, strict=True):
            torch.testing.assert_close(one[i : i + 1], other)


@pytest.mark.parametrize(("height", "width"), [(172, 172), (33, 47), (1, 1), (96, 128)])
def test_the_shapes(network: MoViNet, height: int, width: int) -> None:
    features, memory = streamed(network, clip(1, 2, height, width), (1,))
    assert features.shape == (2, 1, FEATURES, -(-height // 32), -(-width // 32))
    assert [tuple(part.shape) for part in memory] == memory_shapes(2, height, width)


def test_the_memory_of_one_camera() -> None:
    """11 layers look back: at stride 8 2 frames each, at 16 4, 2, 2 and 4, 2, 2, 2, at 32 4."""
    shapes = memory_shapes(1)
    assert shapes[0] == (1, 2, 80, 22, 22)
    assert shapes[3] == (1, 4, 184, 11, 11)
    assert shapes[-1] == (1, 4, 384, 6, 6)
    assert len(shapes) == 11
    assert REACH == 1 + 3 * 2 + (4 + 2 + 2) + (4 + 2 + 2 + 2) + 4


def test_it_can_be_trained(network: MoViNet) -> None:
    features, _ = network(clip(3), network.memory(1, SIDE, SIDE))
    Classifier().double()(features.mean(dim=(1, 3, 4))).square().mean().backward()
    without = [name for name, value in network.named_parameters() if value.grad is None]
    network.zero_grad()
    assert without == []


def test_the_classifier() -> None:
    assert Classifier()(torch.zeros(3, FEATURES)).shape == (3, CLASSES)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (172, 3, 2, (0, 1)),  # 86 windows reach to 85·2 + 3 = 173
        (86, 5, 2, (1, 2)),  # 43: 42·2 + 5 = 89
        (43, 3, 2, (1, 1)),  # 22: 21·2 + 3 = 45
        (22, 3, 2, (0, 1)),
        (11, 5, 1, (2, 2)),
        (1, 3, 2, (1, 1)),
        (7, 1, 1, (0, 0)),
        (6, 1, 2, (0, 0)),  # the windows leave a pixel out
    ],
)
def test_padding(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert padding(size, kernel, stride) == expected


@given(st.integers(1, 60), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]))
def test_padding_gives_the_size_over_the_stride(size: int, kernel: int, stride: int) -> None:
    convolution = Convolution(1, 1, kernel, stride)
    assert convolution(torch.zeros(1, 1, size, size)).shape[-2:] == (-(-size // stride),) * 2


def test_halved_counts_only_what_is_inside() -> None:
    """Of 2×2 ones every mean is 1; of 1 2 3 in a row, windows around the first and the third pixel."""
    assert halved(torch.ones(1, 1, 2, 2)).flatten().tolist() == [1.0]
    row = halved(torch.tensor([[[[1.0, 2.0, 3.0]]]])).flatten().tolist()
    assert row == pytest.approx([1.5, 2.5])


def test_a_causal_filter_is_a_convolution_over_time() -> None:
    torch.manual_seed(0)
    causal = CausalFilter(2, 3)
    x, past = torch.randn(1, 4, 2, 5, 5), torch.randn(1, 2, 2, 5, 5)
    found, after = causal(x, past)
    seen = torch.cat([past, x], dim=1).transpose(1, 2)  # (1, 2, 6, 5, 5)
    weight = causal.weight.permute(1, 2, 0, 3).unsqueeze(-1)  # (2, 1, 3, 1, 1)
    torch.testing.assert_close(found.transpose(1, 2), F.conv3d(seen, weight, causal.bias.flatten(), groups=2))
    assert torch.equal(after, x[:, 2:])


@pytest.mark.parametrize("size", [172, 192, 75])
def test_grids_have_the_shapes_of_the_maps(size: int) -> None:
    network = MoViNet()
    with torch.inference_mode():
        features, tap, _ = network.maps(torch.zeros(1, 1, 3, size, size), network.memory(1, size, size))
    taken = memory_network("0" * 64, 4, size)
    assert (tuple(features.shape[2:]), tuple(tap.shape[2:])) == (taken.features, taken.tap)


def test_the_middles_of_the_cells_at_the_size_of_its_training() -> None:
    """172 → 86 → 43 → 22 → 11 → 6 cells: padding is uneven where they are even, and moves the middle by a cell there.

    From pixel i of the last to the one before: 2i, 2i + 1, 2i, 2i + 1, 2i + 1; so 32i + 11, whose middle is 0.5 on.
    """
    features, tap = map_grids(172)
    assert (features.cells, features.stride, features.first) == (6, 32, 11.5)
    assert (tap.cells, tap.stride, tap.first) == (11, 16, 11.5)


@pytest.mark.parametrize("width", [1240, 1269])
def test_a_cell_looks_at_pixels_around_its_middle(width: int, network: MoViNet) -> None:
    """The columns that a cell's value depends on lie evenly around it, unless the frame ends before."""
    positive = copy.deepcopy(network)
    for weight in positive.parameters():
        weight.data = weight.data.abs() * 1e-3  # so that no ReLU6 hides a pixel
    frames = torch.rand(1, 1, 3, 32, width, dtype=torch.float64, requires_grad=True)
    features, tap, _ = positive.maps(frames, positive.memory(1, 32, width))
    for found, grid in zip((features, tap), map_grids(width), strict=True):
        cell = grid.cells // 2
        (slope,) = torch.autograd.grad(found[0, 0, 0, 0, cell], frames, retain_graph=True)
        columns = slope[0, 0].abs().sum((0, 1)).nonzero()
        first, last = int(columns.min()), int(columns.max())
        assert 0 < first < last < width - 1
        assert (first + last + 1) / 2 == grid.first + cell * grid.stride
