"""The usual sizes of boxes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from train.clips.priors import found_priors, mean_overlap, shape_iou


def test_shape_iou() -> None:
    one, other = np.array([[2.0, 4], [1, 1]]), np.array([[4.0, 2], [2, 4]])
    # 2·2 in common of 8 + 8 - 4; equal; 1 of 8
    np.testing.assert_allclose(shape_iou(one, other), [[4 / 12, 1], [1 / 8, 1 / 8]])


def test_clusters_are_found_by_falling_area() -> None:
    random = np.random.default_rng(0)
    centres = np.array([[20.0, 60], [100, 100], [40, 30]])
    sizes = np.concatenate([centre * random.uniform(0.95, 1.05, (50, 2)) for centre in centres])
    priors = found_priors(random.permutation(sizes), 3)
    np.testing.assert_allclose(priors, [[100, 100], [20, 60], [40, 30]], rtol=0.02)
    assert mean_overlap(sizes, priors) > 0.93


@pytest.mark.parametrize("sizes", [np.array([[8.0, 9]]), np.full((40, 2), 7.0), np.array([[1.0, 2], [30, 40]])])
def test_few_or_equal_boxes_give_as_many_priors(sizes: NDArray[np.float64]) -> None:
    priors = found_priors(sizes, 9)
    assert priors.shape == (9, 2)
    assert np.isfinite(priors).all()
    assert mean_overlap(sizes, priors) == pytest.approx(1)


def test_more_priors_fit_better_and_nothing_is_drawn() -> None:
    sizes = np.random.default_rng(1).lognormal(3, 0.6, (500, 2)).astype(np.float32)
    fits = [mean_overlap(sizes, found_priors(sizes, count)) for count in (1, 3, 9)]
    assert fits == sorted(fits)
    np.testing.assert_array_equal(found_priors(sizes, 9), found_priors(sizes, 9))
    assert (np.diff(found_priors(sizes, 9).prod(axis=1)) <= 0).all()
