import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from train.networks.decoder import NEAR_PEAK, STRIDE, Decoder, Heads
from train.networks.lite import INITIAL_SIZE, LiteBackbone, LiteDetector
from train.targets import targets

torch.set_num_threads(1)
GRID = (16, 24)  # (h, w)


class Fixed(nn.Module):
    """Says the same whatever it sees."""

    def __init__(self, heads: Heads, average_centre: bool) -> None:
        super().__init__()
        self.heads = heads
        self.average_centre = average_centre

    def forward(self, image: Tensor) -> Heads:
        return self.heads


def decode(heads: Heads, top_k: int, average_centre: bool = False) -> list[np.ndarray]:
    decoder = Decoder(Fixed(heads, average_centre), top_k)
    return [value.numpy() for value in decoder(torch.zeros(1))]


def heads_of(boxes: np.ndarray, labels: np.ndarray, classes: int) -> Heads:
    """What a perfect network would say."""
    goal = targets(boxes, labels, classes, GRID, STRIDE)
    heatmap, size, offset = (torch.from_numpy(a)[None] for a in (goal.heatmap, goal.size, goal.offset))
    return Heads(torch.logit(heatmap, eps=1e-6), size, offset)


def test_the_decoder_undoes_the_targets() -> None:
    boxes = np.array([[10.5, 8.25, 50, 28], [60, 30, 90, 60], [3, 40, 9, 63]], np.float32)
    found, scores, labels, class_scores = decode(heads_of(boxes, np.array([1, 0, 1]), 2), 3)
    order = np.argsort(found[0, :, 0])
    np.testing.assert_allclose(found[0][order], boxes[np.argsort(boxes[:, 0])], atol=1e-3)
    assert labels[0][order].tolist() == [1, 1, 0]
    np.testing.assert_allclose(scores, 1, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(class_scores[0], labels[0][:, None], 1)[:, 0], scores[0])


@given(st.floats(0, 90), st.floats(0, 60), st.floats(1, 60), st.floats(1, 60), st.integers(0, 2))
def test_the_decoder_undoes_the_targets_of_any_box(x: float, y: float, width: float, height: float, label: int) -> None:
    """Wherever its centre lies inside the grid."""
    box = np.array([[x - width / 2, y - height / 2, x + width / 2, y + height / 2]], np.float32)
    found, scores, labels, _ = decode(heads_of(box, np.array([label]), 3), 1)
    np.testing.assert_allclose(found[0], box, atol=1e-3)
    assert (labels[0, 0], round(float(scores[0, 0]), 4)) == (label, 1)


def test_only_the_largest_of_a_neighbourhood_is_a_peak() -> None:
    logits = torch.full((1, 1, 5, 5), -20.0)
    logits[0, 0, 1, 1], logits[0, 0, 1, 2], logits[0, 0, 4, 4] = 2.0, 1.0, 0.0
    heads = Heads(logits, torch.ones(1, 2, 5, 5), torch.zeros(1, 2, 5, 5))
    boxes, scores, _, _ = decode(heads, 3)
    # corners of cells (1, 1) and (4, 4), sizes of one cell: centre ± 2 px
    assert boxes[0, :2].tolist() == [[2, 2, 6, 6], [14, 14, 18, 18]]
    assert scores[0, :2].tolist() == pytest.approx([1 / (1 + math.exp(-2)), 0.5])
    assert scores[0, 2] < 1e-6


def slow_centre(heads: Heads, label: int, row: int, column: int) -> np.ndarray:
    """x y in cells: the mean of what the peak and the cells around it tell, one cell after the other."""
    scores, offset = heads.heatmap.sigmoid()[0, label].numpy(), heads.offset[0].numpy()
    total, places = 0.0, np.zeros(2)
    for y in range(max(row - 1, 0), min(row + 2, scores.shape[0])):
        for x in range(max(column - 1, 0), min(column + 2, scores.shape[1])):
            share = scores[y, x] / scores[row, column]
            if share > NEAR_PEAK:
                total += share**4
                places += share**4 * (offset[:, y, x] + [x, y])
    return places / total


def test_centres_are_averaged_over_the_cells_near_a_peak() -> None:
    """Where the network says so; at the borders too, and each label by its own scores."""
    generator = torch.Generator().manual_seed(0)
    heat, size, offset = (torch.randn(1, n, 7, 5, generator=generator) for n in (3, 2, 2))
    heads = Heads(heat, size.exp(), offset.sigmoid())
    boxes, scores, labels, _ = decode(heads, 12, average_centre=True)
    plain, *same = decode(heads, 12)
    np.testing.assert_array_equal(scores, same[0])
    np.testing.assert_allclose(boxes[0, :, 2:] - boxes[0, :, :2], plain[0, :, 2:] - plain[0, :, :2], atol=1e-4)
    found = np.flatnonzero(scores[0] > 0)
    assert len(found) >= 9
    for peak in found:
        column, row = ((plain[0, peak, :2] + plain[0, peak, 2:]) / 2 / STRIDE).astype(int)
        centre = (boxes[0, peak, :2] + boxes[0, peak, 2:]) / 2 / STRIDE
        np.testing.assert_allclose(centre, slow_centre(heads, labels[0, peak], row, column), atol=1e-5)


def test_a_centre_beside_a_peak_is_found_where_all_cells_tell_it() -> None:
    """As cells do that learnt whole boxes: the peak may be off by a cell."""
    goal = targets(np.array([[2, 2, 166, 166]], np.float32), np.array([0]), 1, (42, 42), STRIDE)
    heatmap, size = torch.from_numpy(goal.heatmap)[None], torch.full((1, 2, 42, 42), 41.0)
    offset = 21 - torch.stack(torch.meshgrid(torch.arange(42), torch.arange(42), indexing="xy"))[None]
    row, column = np.argwhere(goal.centre)[0]
    heatmap[0, 0, row, column], heatmap[0, 0, row, column - 1] = heatmap[0, 0, row, column - 1], 1.0
    boxes, *_ = decode(Heads(torch.logit(heatmap, eps=1e-6), size, offset), 1, average_centre=True)
    np.testing.assert_allclose(boxes[0, 0], [2, 2, 166, 166], atol=1e-3)


def test_without_any_score_nothing_is_undefined() -> None:
    heads = Heads(torch.full((1, 2, 4, 4), -200.0), torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))
    assert all(np.isfinite(value).all() for value in decode(heads, 5, average_centre=True))


def test_scores_fall_and_ties_are_all_peaks() -> None:
    heads = Heads(torch.zeros(2, 3, 4, 4), torch.ones(2, 2, 4, 4), torch.zeros(2, 2, 4, 4))
    _, scores, labels, class_scores = decode(heads, 48)
    assert (scores == 0.5).all()
    assert sorted(labels[1].tolist()) == [0] * 16 + [1] * 16 + [2] * 16
    assert class_scores.shape == (2, 48, 3)


@pytest.mark.parametrize(("channels", "size"), [(3, (64, 64)), (6, (64, 96))])
def test_shapes(channels: int, size: tuple[int, int]) -> None:
    network = LiteDetector(5, channels).eval()
    with torch.inference_mode():
        heads = network(torch.zeros(2, channels, *size))
    h, w = size[0] // 4, size[1] // 4
    assert heads.heatmap.shape == (2, 5, h, w)
    assert heads.size.shape == heads.offset.shape == (2, 2, h, w)


def test_the_backbone_taps_strides_4_to_32() -> None:
    with torch.inference_mode():
        features = LiteBackbone(3).eval()(torch.zeros(1, 3, 64, 64))
    assert [tuple(f.shape[1:]) for f in features] == [(24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]


def test_it_begins_with_low_scores_and_boxes_of_usual_size() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        heads = LiteDetector(2, 3).eval()(torch.zeros(1, 3, 64, 64))
    assert heads.heatmap.sigmoid().mean().item() == pytest.approx(0.01, rel=0.5)
    assert heads.size.mean().item() == pytest.approx(INITIAL_SIZE, rel=0.5)


def test_sizes_stay_finite_in_half_precision() -> None:
    network = LiteDetector(2, 3).eval()
    with torch.no_grad():
        network.box[-1].bias.fill_(100)  # type: ignore[operator]
        assert network(torch.zeros(1, 3, 64, 64)).size.half().isfinite().all()


def test_the_names_of_the_parameters_stay() -> None:
    """Checkpoints of earlier versions must load: a change here needs a new checkpoint version."""
    names = set(LiteDetector(2, 6).state_dict())
    assert len(names) == 382
    assert {
        "backbone.stem.0.weight",
        "backbone.stages.1.0.layers.4.running_var",
        "backbone.stages.6.0.layers.7.bias",
        "neck.lateral.3.1.weight",
        "neck.smooth.0.2.weight",
        "heatmap.3.bias",
        "box.0.weight",
    } <= names
