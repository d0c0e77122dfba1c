import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from train.networks.lite import LiteDetector
from train.networks.memory_fusion import MemoryFusion, halved_grid, placed
from train.networks.movinet import MapGrid, map_grids, memory_network

torch.set_num_threads(1)
MEMORY = memory_network("0" * 64, interval=4)
HEIGHT, WIDTH = 64, 96


def maps(batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        6 * torch.rand(batch, *MEMORY.features, generator=generator),
        torch.randn(batch, *MEMORY.tap, generator=generator),
    )


def anywhere(batch: int = 2) -> Tensor:
    return torch.tensor([[1.0, 0, 1, 0], [-0.8, 0.9, 1.2, -0.1]])[:batch]


def with_weights(fusion: MemoryFusion) -> MemoryFusion:
    """As if it had been trained."""
    torch.manual_seed(2)
    for layer in (fusion.coarse, fusion.fine, fusion.beside):
        torch.nn.init.normal_(layer.weight, std=0.2)
    return fusion.eval()


def test_before_training_the_detector_is_the_one_without_a_memory() -> None:
    torch.manual_seed(0)
    without = LiteDetector(2, 3).eval()
    torch.manual_seed(0)
    detector = LiteDetector(2, 3, memory=MEMORY).eval()
    image = torch.randn(2, 3, HEIGHT, WIDTH)
    with torch.inference_mode():
        expected, got = without(image), detector(image, *maps(), anywhere())
    for one, other in zip(expected.answers, got.answers, strict=True):
        assert torch.equal(one, other)


def test_every_layer_learns_after_a_step() -> None:
    detector = LiteDetector(2, 3, memory=MEMORY).train()
    step = torch.optim.SGD(detector.parameters(), 0.1)
    for _ in range(2):  # the last layers first, which were zeros; then the ones behind them
        step.zero_grad()
        detector(torch.randn(2, 3, HEIGHT, WIDTH), *maps(), anywhere()).heatmap.sum().backward()
        step.step()
    assert detector.memory is not None
    for name, weight in detector.memory.named_parameters():
        assert weight.grad is not None
        assert weight.grad.any(), name


@pytest.mark.parametrize("scale", [1.0, 0.6, -0.9])
def test_maps_are_sampled_as_grid_sample_does(scale: float) -> None:
    """On a grid that covers the frame evenly, as grid_sample's does; but zeros beyond the frame."""
    even = MapGrid(6, 32, 16.0)  # over 192 pixels
    x, places = torch.randn(1, 5, 6, 6), torch.tensor([[scale, 0.3, 1.1, -0.2]])
    rows, columns = ((torch.arange(cells) + 0.5) / cells for cells in (7, 9))
    grid = torch.stack(torch.meshgrid(scale * columns + 0.3, 1.1 * rows - 0.2, indexing="xy"), dim=-1)
    inside = ((grid >= 0) & (grid <= 1)).all(dim=-1)
    assert 0 < inside.sum() < inside.numel()
    expected = inside * F.grid_sample(x, 2 * grid[None] - 1, padding_mode="border", align_corners=False)
    torch.testing.assert_close(placed(x, even, places, (7, 9), 192), expected, atol=1e-5, rtol=1e-5)


def test_a_ramp_over_the_frame_keeps_its_place() -> None:
    """A map that holds where its cells lie tells where the input's cells lie, wherever the map has some around."""
    for grid in (*map_grids(172), halved_grid(map_grids(172)[0])):
        ramp = (grid.first + grid.stride * torch.arange(grid.cells)).expand(1, 1, grid.cells, grid.cells)
        found = placed(ramp, grid, torch.tensor([[0.5, 0.25, 0.5, 0.25]]), (4, 4), 172)[0, 0]
        expected = 172 * (0.25 + 0.5 * (torch.arange(4) + 0.5) / 4)
        torch.testing.assert_close(found, expected.expand(4, 4))


def test_a_mirrored_input_gets_mirrored_maps() -> None:
    fusion = with_weights(MemoryFusion(MEMORY, 8))
    with torch.inference_mode():
        plain = fusion(*maps(1), torch.tensor([[0.7, 0.1, 1, 0]]), (HEIGHT, WIDTH))
        mirrored = fusion(*maps(1), torch.tensor([[-0.7, 0.8, 1, 0]]), (HEIGHT, WIDTH))
    assert [tuple(one.shape) for one in plain] == [(1, 8, 2, 3), (1, 8, 4, 6)]
    for one, other in zip(plain, mirrored, strict=True):
        assert one.std() > 0.01
        torch.testing.assert_close(one.flip(3), other)


def test_nothing_is_added_beyond_the_frame() -> None:
    fusion = with_weights(MemoryFusion(MEMORY, 8))
    with torch.inference_mode():
        _, fine = fusion(*maps(1), torch.tensor([[3.0, -1, 1, 0]]), (HEIGHT, 192))  # a third of the width is frame
    assert fine[..., 4:8].any()
    assert not fine[..., :3].any()
    assert not fine[..., 9:].any()


def test_its_weights_have_the_names_of_checkpoints() -> None:
    """Runs have written them: another name or shape would leave these runs behind."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {f"{part}.1.{name}" for part in ("features", "tap") for name in norm}
    shapes = {name: tuple(value.shape) for name, value in MemoryFusion(MEMORY, 64).state_dict().items()}
    assert {name: shape for name, shape in shapes.items() if name not in expected} == {
        "features.0.weight": (128, 480, 1, 1),
        "tap.0.weight": (64, 56, 1, 1),
        "coarse.weight": (64, 128, 1, 1),
        "fine.weight": (256, 128, 1, 1),
        "beside.weight": (64, 64, 1, 1),
    }
    assert expected < shapes.keys()
