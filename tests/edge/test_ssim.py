"""SSIM's arithmetic against its definition, written out in float64 for single windows."""

from __future__ import annotations

import numpy as np
import pytest

from edge.ssim import MARGIN, WINDOW, allocate, buffers, constants, inner, windows


def definition(previous: np.ndarray, shifted: np.ndarray, c1: float, c2: float) -> float:
    """Wang et al. 2004, eq. 13, of two 7x7 windows of one channel, with the sample covariance."""
    mean_p, mean_s = previous.mean(), shifted.mean()
    covariance = np.cov(previous.ravel(), shifted.ravel(), ddof=1)
    likeness = (2 * mean_p * mean_s + c1) * (2 * covariance[0, 1] + c2)
    return float(likeness / ((mean_p**2 + mean_s**2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)))


@pytest.mark.parametrize("shift", [(0, 0), (-1, 1), (1, -1), (-1, -1), (1, 1)])
def test_each_window_is_as_defined(shift: tuple[int, int]) -> None:
    previous, current = np.random.default_rng(0).random((2, 12, 14, 3))
    constant = constants(1.0)
    before, after = windows(previous, allocate(previous)), windows(current, allocate(current))
    rows = (MARGIN + 1, 12 - MARGIN)  # all but the first row without the margin
    found = inner(before, after, shift, rows, constant, buffers(5, after))
    assert found.shape == (12 - 2 * MARGIN - 1, 14 - 2 * MARGIN, 3)
    shifted = np.pad(current, ((1, 1), (1, 1), (0, 0)), mode="reflect")[1 + shift[0] :, 1 + shift[1] :]
    for row, column, channel in np.ndindex(*found.shape):
        part = np.s_[row + 1 : row + 1 + WINDOW, column : column + WINDOW, channel]
        expected = definition(previous[part], shifted[part], *constant)
        assert found[row, column, channel] == pytest.approx(expected, abs=1e-9)
