import numpy as np
import pytest

from train.evaluation.box_smoothing import BoxSmoothing, fitted

RATE = 25.0


def slow_line(values: np.ndarray, spread: float, row: int) -> np.ndarray:
    """The fitted line at `row`, by weighted least squares."""
    away = np.arange(len(values)) - row
    weight = np.exp(-0.5 * (away / spread) ** 2) * (abs(away) <= int(3 * spread))
    terms = np.stack([np.ones(len(values)), away], axis=1)
    return np.linalg.solve((terms * weight[:, None]).T @ terms, (terms * weight[:, None]).T @ values)[0]


@pytest.mark.parametrize("count", [2, 3, 9, 40])
@pytest.mark.parametrize("spread", [0.5, 1.3, 5.0])
def test_lines_are_those_of_least_squares(count: int, spread: float) -> None:
    values = np.random.default_rng(0).normal(size=(count, 2))
    expected = values if int(3 * spread) < 1 else [slow_line(values, spread, row) for row in range(count)]
    np.testing.assert_allclose(fitted(values, spread), expected, atol=1e-9)


def test_who_walks_evenly_and_grows_evenly_stays_as_he_is() -> None:
    frames = np.arange(30)[:, None]
    centres, sizes = np.array([50, 40]) + frames * np.array([3.0, -1.0]), np.array([20, 40]) * 1.03**frames
    boxes = np.hstack([centres - sizes / 2, centres + sizes / 2]).astype(np.float32)
    np.testing.assert_allclose(BoxSmoothing()(boxes, RATE), boxes, rtol=1e-5, atol=1e-3)


def test_noise_is_lessened_that_of_sizes_more() -> None:
    random = np.random.default_rng(0)
    centres, sizes = 100 + random.normal(0, 4, (400, 2)), 60 * np.exp(random.normal(0, 0.1, (400, 2)))
    found = BoxSmoothing()(np.hstack([centres - sizes / 2, centres + sizes / 2]).astype(np.float32), RATE)
    left = np.std((found[:, :2] + found[:, 2:]) / 2) / 4, np.std(np.log(found[:, 2:] - found[:, :2])) / 0.1
    assert left[1] < left[0] < 0.5


@pytest.mark.parametrize("boxes", [np.zeros((0, 4)), np.array([[1, 2, 3, 4]]), np.array([[5, 5, 5, 5]] * 4)])
def test_few_boxes_and_those_without_size(boxes: np.ndarray) -> None:
    found = BoxSmoothing()(boxes.astype(np.float32), RATE)
    np.testing.assert_allclose(found, boxes, atol=1e-2)
    assert found.dtype == np.float32


def test_zero_leaves_boxes_as_they_are() -> None:
    boxes = np.random.default_rng(0).uniform(0, 50, (20, 4)).astype(np.float32)
    boxes[:, 2:] += 60
    np.testing.assert_allclose(BoxSmoothing(0, 0)(boxes, RATE), boxes, atol=1e-4)


def test_time_counts_and_not_frames() -> None:
    """At twice the rate twice as many frames count: what is seen there twice in a row is smoothed alike."""
    boxes = np.random.default_rng(0).uniform(0, 5, (200, 4)).astype(np.float32) + np.array([0, 0, 50, 50], np.float32)
    slow, quick = BoxSmoothing()(boxes, RATE), BoxSmoothing()(np.repeat(boxes, 2, axis=0), 2 * RATE)
    np.testing.assert_allclose(quick[40:-40:2], slow[20:-20], atol=0.5)
