from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.letterbox import affine, invert, transform
from tests.support.made_boxes import boxes_of, sizes, some_boxes


def test_letterbox_of_a_wide_frame_leaves_bars_above_and_below() -> None:
    matrix = affine((320, 240), (256, 256))  # scale 0.8: 256 × 192, 32 rows left at each end
    assert transform(boxes_of((0, 0, 320, 240)), matrix).tolist() == [[0, 32, 256, 224]]


def test_letterbox_of_a_frame_of_the_same_aspect_fills_the_input() -> None:
    matrix = affine((320, 240), (256, 192))
    assert transform(boxes_of((0, 0, 320, 240)), matrix).tolist() == [[0, 0, 256, 192]]


@given(sizes, st.integers(1, 64))
def test_letterbox_for_a_square_input_is_centernets(size: Any, thirty_seconds: Any) -> None:
    """CenterNet maps the centre to the input's centre, and the point max(w, h)/2 above it to the middle of the top."""
    width, height = size
    side = 32 * thirty_seconds
    matrix = affine(size, (side, side))
    ends = matrix @ np.array([[width / 2, width / 2], [height / 2, height / 2 - max(size) / 2], [1, 1]])
    np.testing.assert_allclose(ends, [[side / 2, side / 2], [side / 2, 0]], atol=1e-6)


@given(some_boxes(), sizes, sizes)
def test_there_and_back_is_where_it_was(boxes: Any, source: Any, target: Any) -> None:
    matrix = affine(source, target)
    back = transform(transform(boxes, matrix), invert(matrix))
    scale = max(1.0, max(source) / min(target))  # a tiny input magnifies float32's rounding on the way back
    np.testing.assert_allclose(back, boxes, atol=1e-3 * scale)


@given(sizes, sizes)
def test_the_letterbox_holds_the_whole_frame(source: Any, target: Any) -> None:
    seen = transform(boxes_of((0, 0, *source)), affine(source, target))
    assert (seen >= -1e-2).all()
    assert (seen <= np.array([*target, *target]) + 1e-2).all()
    assert np.isclose(seen[0, 2:] - seen[0, :2], target, atol=1e-2).any()


def test_no_boxes() -> None:
    assert transform(boxes_of(), affine((4, 3), (32, 32))).shape == (0, 4)
