import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import boxes as box_ops
from train.targets import MINIMUM_IOU, NEAR_CENTRE, Targets, gaussian_radius, targets

GRID = (16, 24)  # (h, w): 64 × 96 pixels at stride 4


def of(*boxes: tuple[float, float, float, float], labels: tuple[int, ...] | None = None) -> Targets:
    numbers = np.array(labels if labels is not None else (0,) * len(boxes), np.int64)
    return targets(np.array(boxes, np.float32).reshape(-1, 4), numbers, 2, GRID, 4)


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(box_ops.iou(a[None], b[None])[0, 0])


def test_no_box_leaves_no_trace() -> None:
    empty = of()
    assert not any(array.any() for name, array in vars(empty).items() if name != "annotated")
    assert {name: array.shape for name, array in vars(empty).items()} == {
        "heatmap": (2, 16, 24),
        "size": (2, 16, 24),
        "size_weight": (16, 24),
        "shift": (2, 16, 24),
        "offset": (2, 16, 24),
        "centre": (16, 24),
        "annotated": (2,),
    }
    assert all(array.dtype == np.float32 for array in vars(empty).values())


def test_one_box() -> None:
    # x 10..50, y 8..28: centre (30, 18) px = (7.5, 4.5) cells, size 10 × 5 cells
    found = of((10, 8, 50, 28), labels=(1,))
    assert np.argwhere(found.centre).tolist() == [[4, 7]]
    assert found.offset[:, 4, 7].tolist() == [0.5, 0.5]
    assert found.size[:, 4, 7].tolist() == [10, 5]
    assert (found.heatmap[1, 4, 7], found.size_weight[4, 7]) == (1, 1)
    assert not found.heatmap[0].any()
    assert (found.heatmap[1] == 1).sum() == 1


def test_the_gaussian_around_a_centre() -> None:
    # 40 × 40 cells: the radius below is 3, sigma (2·3 + 1) / 6 = 7/6
    assert int(gaussian_radius(40, 40)) == 3
    found = targets(np.array([[0, 0, 160, 160]], np.float32), np.array([0]), 1, (41, 41), 4)
    y, x = np.mgrid[:41, :41] - 20
    expected = np.exp(-(x**2 + y**2) / (2 * (7 / 6) ** 2)) * (np.maximum(abs(x), abs(y)) <= 3)
    np.testing.assert_allclose(found.heatmap[0], expected, atol=1e-6)
    near = expected >= NEAR_CENTRE
    np.testing.assert_allclose(found.size_weight, expected * near, atol=1e-6)
    assert (found.size[:, near] == 40).all()
    np.testing.assert_allclose(found.shift[:, near], np.stack([-x, -y])[:, near], atol=1e-6)  # the centre is a corner
    assert not found.size[:, ~near].any()
    assert not found.shift[:, ~near].any()


def test_a_tiny_box_is_one_cell() -> None:
    found = of((10, 10, 11, 11))
    assert (found.heatmap > 0).sum() == 1
    np.testing.assert_allclose(found.size[:, 2, 2], 0.25)


@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 10, 30),  # no width
        (30, 10, 10, 30),  # turned inside out
        (-30, 10, 10, 30),  # centre left of the grid
        (90, 10, 102, 30),  # centre at 96, the first pixel after it
        (10, 60, 20, 68),  # below
    ],
)
def test_boxes_without_a_centre_in_the_grid(box: tuple[float, float, float, float]) -> None:
    assert not of(box).heatmap.any()


def test_a_gaussian_is_cut_at_the_border() -> None:
    found = of((0, 0, 4, 4), (56, 24, 96, 64), labels=(0, 1))
    assert found.heatmap[0, 0, 0] == 1
    assert found.heatmap[1, 11, 19] == 1


def test_of_two_boxes_in_one_cell_the_smaller_gives_the_size() -> None:
    large, small = (10, 10, 50, 50), (28, 28, 33, 33)
    for boxes in ((large, small), (small, large)):
        found = of(*boxes)
        assert found.size[:, 7, 7].tolist() == [1.25, 1.25]
        assert found.centre.sum() == 1


def test_overlapping_gaussians_take_the_larger_value() -> None:
    both = of((0, 0, 40, 40), (8, 8, 48, 48))
    alone = np.maximum(of((0, 0, 40, 40)).heatmap, of((8, 8, 48, 48)).heatmap)
    np.testing.assert_array_equal(both.heatmap, alone)


@given(st.floats(1, 200), st.floats(1, 200))
def test_within_the_radius_boxes_still_overlap(height: float, width: float) -> None:
    """The definition: corners off by one radius in each of the three ways keep MINIMUM_IOU, and one way just so."""
    r = gaussian_radius(height, width)
    box = np.array([0, 0, width, height], np.float32)
    moved = [np.array([r, r, r, r]), np.array([r, r, -r, -r]), np.array([-r, -r, r, r])]
    overlaps = [overlap(box, (box + by).astype(np.float32)) for by in moved]
    assert min(overlaps) == pytest.approx(MINIMUM_IOU, abs=1e-3)


@pytest.mark.parametrize(("height", "width"), [(10.0, 10.0), (40.0, 10.0), (3.0, 50.0)])
def test_the_radius_against_brute_force(height: float, width: float) -> None:
    """The largest of many radii that keeps the overlap in all three ways."""
    tried = np.linspace(0, min(height, width) / 2, 4001)[:-1]
    area = height * width
    shifted = (height - tried) * (width - tried)
    inside = (height - 2 * tried) * (width - 2 * tried)
    worst = np.minimum.reduce(
        [shifted / (2 * area - shifted), inside / area, area / ((height + 2 * tried) * (width + 2 * tried))]
    )
    assert gaussian_radius(height, width) == pytest.approx(tried[worst >= MINIMUM_IOU].max(), abs=0.01)


@pytest.mark.parametrize(("labels", "known"), [(None, [1, 1, 1]), ((0, 2), [1, 0, 1]), ((), [0, 0, 0])])
def test_which_classes_were_looked_for(labels: tuple[int, ...] | None, known: list[int]) -> None:
    nobody = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    assert targets(*nobody, 3, GRID, 4, labels).annotated.tolist() == known
