from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.boxes import area, clip, iou, nms
from tests.support.made_boxes import boxes_of, sizes, some_boxes


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1.0),  # itself
        ((5, 0, 15, 10), 50 / 150),  # half of each: 50 common, 100 + 100 − 50
        ((0, 0, 5, 10), 0.5),  # 50 common of 100
        ((10, 0, 20, 10), 0.0),  # touching edges have nothing in common
        ((90, 90, 99, 99), 0.0),  # apart
        ((5, 5, 5, 5), 0.0),  # a point inside
        ((8, 8, 2, 2), 0.0),  # turned inside out
    ],
)
def test_iou_with_a_box_of_ten(other: Any, expected: Any) -> None:
    assert iou(boxes_of((0, 0, 10, 10)), boxes_of(other)) == pytest.approx(expected)


def test_iou_of_two_points_is_zero_and_not_nan() -> None:
    assert iou(boxes_of((5, 5, 5, 5)), boxes_of((5, 5, 5, 5))) == 0


def test_empty_cases() -> None:
    none, one = boxes_of(), boxes_of((0, 0, 1, 1))
    assert iou(none, one).shape == (0, 1)
    assert iou(one, none).shape == (1, 0)
    assert iou(none, none).shape == (0, 0)
    assert area(none).shape == (0,)
    assert clip(none, 10, 10).shape == (0, 4)
    assert nms(none, np.zeros(0, np.float32), 0.5).tolist() == []


@given(some_boxes(), some_boxes())
def test_iou_lies_between_0_and_1_and_is_symmetric(a: Any, b: Any) -> None:
    overlap = iou(a, b)
    assert overlap.dtype == np.float32
    assert ((overlap >= 0) & (overlap <= 1 + 1e-5)).all()
    np.testing.assert_allclose(overlap, iou(b, a).T, atol=1e-6)


@given(some_boxes(), sizes)
def test_clipped_boxes_lie_in_the_frame_and_stay_when_clipped_again(boxes: Any, size: Any) -> None:
    clipped = clip(boxes, *size)
    assert clipped.dtype == np.float32
    assert ((clipped >= 0) & (clipped <= np.array([*size, *size]))).all()
    np.testing.assert_array_equal(clip(clipped, *size), clipped)


def test_clip_keeps_what_is_inside_and_flattens_what_is_outside() -> None:
    clipped = clip(boxes_of((1, 2, 3, 4), (-5, -5, 5, 5), (20, 2, 30, 4)), 10, 8)
    assert clipped.tolist() == [[1, 2, 3, 4], [0, 0, 5, 5], [10, 2, 10, 4]]


def test_nms_keeps_the_best_of_a_heap_and_what_stands_apart() -> None:
    boxes = boxes_of((0, 0, 10, 10), (1, 0, 11, 10), (50, 50, 60, 60), (0, 0, 10, 9))
    scores = np.array([0.5, 0.9, 0.3, 0.8], np.float32)
    # (1, 0, 11, 10) wins; the first overlaps it by 90/110, the last by 81/109; the third stands apart
    assert nms(boxes, scores, 0.5).tolist() == [1, 2]


def test_nms_of_equal_scores_keeps_the_earlier() -> None:
    boxes = boxes_of((0, 0, 10, 10), (0, 0, 10, 10))
    assert nms(boxes, np.array([0.5, 0.5], np.float32), 0.5).tolist() == [0]


def test_nms_spares_a_box_exactly_at_the_threshold() -> None:
    boxes = boxes_of((0, 0, 10, 10), (0, 0, 5, 10))  # IoU 0.5
    assert nms(boxes, np.array([0.9, 0.8], np.float32), 0.5).tolist() == [0, 1]


@given(some_boxes(), st.floats(0, 1), st.randoms())
def test_nms_keeps_a_set_without_overlap_that_covers_the_rest(boxes: Any, threshold: float, random: Any) -> None:
    scores = np.array([random.random() for _ in boxes], np.float32)
    kept = nms(boxes, scores, threshold)
    assert (np.diff(scores[kept]) <= 0).all()
    among = iou(boxes[kept], boxes[kept])
    assert (among[~np.eye(len(kept), dtype=bool)] <= threshold).all()
    for lost in set(range(len(boxes))) - set(kept.tolist()):
        better = kept[scores[kept] >= scores[lost]]
        assert (iou(boxes[[lost]], boxes[better]) > threshold).any()
