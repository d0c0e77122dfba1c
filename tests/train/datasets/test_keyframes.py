"""Thinning: what is left out lies between what stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.datasets.keyframes import keyframes


@pytest.mark.parametrize(
    ("steps", "tolerance", "kept"),
    [
        ([], 1, []),
        ([5], 1, [0]),
        ([0, 9], 1, [0, 1]),
        ([0, 1, 2, 3, 4], 0, [0, 4]),  # a straight line
        ([0, 0, 0, 3, 6], 0.5, [0, 2, 4]),  # stands, then walks
        ([0, 0, 5, 0, 0], 0.5, [0, 1, 2, 3, 4]),  # a leap
        ([0, 0, 5, 0, 0], 6, [0, 4]),
    ],
)
def test_keyframes(steps: list[float], tolerance: float, kept: list[int]) -> None:
    boxes = np.array([[x, 0, x + 10, 20] for x in steps], np.float32).reshape(-1, 4)
    assert keyframes(boxes, tolerance).tolist() == kept


@given(st.lists(st.tuples(*[st.integers(0, 200)] * 4), min_size=1, max_size=40), st.floats(0, 20))
def test_no_interpolated_box_is_farther_than_allowed(drawn: list[tuple[int, ...]], tolerance: float) -> None:
    boxes = np.array(drawn, np.float32)
    kept = keyframes(boxes, tolerance)
    assert kept[0] == 0
    assert kept[-1] == len(boxes) - 1
    shown = np.stack([np.interp(np.arange(len(boxes)), kept, side) for side in boxes[kept].T], axis=1)
    assert np.abs(shown - boxes).max() <= tolerance + 1e-3
