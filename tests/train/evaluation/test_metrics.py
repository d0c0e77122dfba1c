"""Frame and video average precision: arithmetic by hand, reference numbers, laws."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, Tube
from train.evaluation.metrics import (
    AVERAGE_PRECISION,
    Curve,
    act_average_precision,
    at_best_f1,
    at_threshold,
    confusion_matrix,
    curve,
    frame_curves,
    in_frames_with_truth,
    mean_with_truth,
    pooled,
    tube_curves,
    voc_average_precision,
)
from train.overlap import paired_iou, tube_iou

UNIT = (0, 0, 10, 10)
FAR = (50, 50, 60, 60)


Row = tuple[int, int, tuple[float, ...], float]  # frame, label, box, score


def table(*rows: Row) -> FrameBoxes:
    frames, labels, boxes, scores = zip(*rows, strict=True) if rows else ((), (), (), ())
    return FrameBoxes(
        np.array(frames, dtype=np.int64),
        np.array(labels, dtype=np.int64),
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(scores, dtype=np.float32),
    )


def tube(first: int, length: int, box: tuple[float, ...] = UNIT, video: int = 0, score: float = 1.0) -> Tube:
    return Tube(video, 0, score, first, np.tile(np.array(box, dtype=np.float32), (length, 1)))


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (UNIT, UNIT, 1.0),
        (UNIT, (5, 0, 15, 10), 50 / 150),
        (UNIT, (0, 0, 5, 10), 50 / 100),
        (UNIT, (10, 0, 20, 10), 0.0),  # they touch
        (UNIT, FAR, 0.0),
        (UNIT, (5, 5, 5, 5), 0.0),  # no area
        ((3, 3, 3, 3), (3, 3, 3, 3), 0.0),
        (UNIT, (8, 8, 2, 2), 0.0),  # corners the wrong way round
    ],
)
def test_iou_of_two_boxes(first: tuple[float, ...], second: tuple[float, ...], overlap: float) -> None:
    one, two = (np.array([box], dtype=np.float32) for box in (first, second))
    assert paired_iou(one, two) == pytest.approx([overlap])
    assert paired_iou(two, one) == pytest.approx([overlap])


def test_paired_iou_is_the_diagonal_of_the_detectors_iou() -> None:
    boxes = pytest.importorskip("edge.boxes", reason="edge.boxes is not there yet")
    corners = np.random.default_rng(1).uniform(0, 100, (2, 50, 2, 2)).astype(np.float32)
    one, two = np.sort(corners, axis=2).reshape(2, 50, 4)
    assert paired_iou(one, two) == pytest.approx(np.diag(boxes.iou(one, two)), abs=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (tube(0, 10), tube(0, 10), 1.0),
        (tube(0, 10), tube(5, 10), 5 / 15),  # 5 common frames of 15
        (tube(0, 10), tube(5, 10, (0, 0, 5, 10)), 5 / 15 * 0.5),
        (tube(0, 10), tube(9, 1), 1 / 10),  # a single common frame counts (ACT; ROAD asks for two)
        (tube(0, 10), tube(10, 5), 0.0),  # one ends where the other begins
        (tube(0, 10), tube(0, 10, FAR), 0.0),
        (tube(0, 10), tube(0, 10, video=1), 0.0),
    ],
)
def test_iou_of_two_tubes(first: Tube, second: Tube, overlap: float) -> None:
    assert tube_iou(first, second) == pytest.approx(overlap)
    assert tube_iou(second, first) == pytest.approx(overlap)


# hits by falling score, number of ground truths, voc, act
@pytest.mark.parametrize(
    ("hits", "truths", "voc", "act"),
    [
        ([1], 1, 1.0, 1.0),
        ([1, 1], 2, 1.0, 1.0),
        ([0], 1, 0.0, 0.0),
        ([], 3, 0.0, 0.0),
        # precision 0 1/2 at recall 0 1: envelope 1/2; trapezoid (0 + 1/2) / 2
        ([0, 1], 1, 0.5, 0.25),
        # precision 1 1/2 2/3 at recall 1/2 1/2 1: 1/2 + 1/2 * 2/3; 1/2 + 1/2 * (1/2 + 2/3) / 2
        ([1, 0, 1], 2, 0.5 + 1 / 3, 0.5 + 7 / 24),
        # precision 0 1/2 2/3 at recall 0 1/2 1: the envelope lifts 1/2 to 2/3; 1/4 * 1/2 + 1/4 * (1/2 + 2/3)
        ([0, 1, 1], 2, 2 / 3, 1 / 8 + 7 / 24),
        # half of the ground truth is never found
        ([1, 0], 2, 0.5, 0.5),
    ],
)
def test_average_precision(hits: list[int], truths: int, voc: float, act: float) -> None:
    points = curve(np.linspace(0.9, 0.1, len(hits), dtype=np.float32), np.array(hits, dtype=bool), truths)
    assert voc_average_precision(points) == pytest.approx(voc)
    assert act_average_precision(points) == pytest.approx(act)


def test_a_class_without_ground_truth_has_no_average_precision_and_is_left_out_of_the_mean() -> None:
    points = curve(np.array([0.5], dtype=np.float32), np.array([False]), 0)
    assert all(np.isnan(rule(points)) for rule in AVERAGE_PRECISION.values())
    assert mean_with_truth([0.5, float("nan"), 1.0]) == 0.75
    assert np.isnan(mean_with_truth([float("nan")]))


def test_equal_scores_share_their_hits_evenly() -> None:
    # one hit in four equal scores: precision 1/4 all along, whichever of them it was
    for place in range(4):
        points = curve(np.full(4, 0.5, dtype=np.float32), np.arange(4) == place, 1)
        assert points.precision == pytest.approx([0.25] * 4)
        assert points.recall == pytest.approx([0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(
    ("predicted", "hits"),
    [
        # a second box on the same person is a false alarm
        ([(0, 0, UNIT, 0.9), (0, 0, UNIT, 0.8)], [1, 0]),
        # the surer box chooses first, even where the other overlaps more
        ([(0, 0, (0, 0, 10, 6), 0.9), (0, 0, UNIT, 0.8)], [1, 0]),
        # IoU of exactly the threshold is enough
        ([(0, 0, (0, 0, 5, 10), 0.9)], [1]),
        # another frame, another class
        ([(1, 0, UNIT, 0.9)], [0]),
    ],
)
def test_which_boxes_are_hits(predicted: list[Row], hits: list[int]) -> None:
    (points,) = frame_curves(table(*predicted), table((0, 0, UNIT, 0)), 1)
    assert np.diff(points.recall, prepend=0) == pytest.approx(hits)


def test_a_box_takes_the_free_truth_that_it_overlaps_most() -> None:
    near = (0, 0, 10, 9)
    truth = table((0, 0, UNIT, 0), (0, 0, near, 0))
    # the first takes UNIT (IoU 1), the second then takes `near` (IoU 0.9)
    (points,) = frame_curves(table((0, 0, UNIT, 0.9), (0, 0, UNIT, 0.8)), truth, 1)
    assert points.recall == pytest.approx([0.5, 1.0])


def test_frame_curves_without_anything() -> None:
    curves = frame_curves(table(), table(), 2)
    assert [points.truths for points in curves] == [0, 0]
    assert at_best_f1(curves[0]).f1 == 0
    missed = frame_curves(table(), table((0, 1, UNIT, 0)), 2)
    assert voc_average_precision(missed[1]) == 0


def test_only_annotated_frames() -> None:
    predicted = table((0, 0, UNIT, 0.5), (1, 0, UNIT, 0.9))
    truth = table((0, 0, UNIT, 0))
    everywhere = frame_curves(predicted, truth, 1)[0]
    annotated = frame_curves(in_frames_with_truth(predicted, truth), truth, 1)[0]
    assert voc_average_precision(everywhere) == pytest.approx(0.5)
    assert voc_average_precision(annotated) == pytest.approx(1.0)


def test_video_curves_by_threshold() -> None:
    truth = [tube(0, 10), tube(0, 10, video=1)]
    predicted = [tube(0, 10, score=0.9), tube(4, 10, video=1, score=0.8)]  # IoU 1 and 6/14
    ((loose, strict),) = tube_curves(predicted, truth, 1, (0.2, 0.5))
    assert voc_average_precision(loose) == pytest.approx(1.0)
    assert voc_average_precision(strict) == pytest.approx(0.5)
    ((nothing,),) = tube_curves([], [], 1, (0.5,))
    assert nothing.truths == 0


def test_precision_recall_f1() -> None:
    points = curve(np.array([0.9, 0.6, 0.6, 0.2], dtype=np.float32), np.array([True, True, False, True]), 4)
    # at 0.6: 2 of 3 right, 2 of 4 found, F1 = 4/7; at 0.2: 3 of 4, 3 of 4
    point = at_threshold(points, 0.6)
    assert (point.precision, point.recall, point.f1) == pytest.approx((2 / 3, 1 / 2, 4 / 7))
    best = at_best_f1(points)
    assert (best.threshold, best.f1) == pytest.approx((0.2, 3 / 4))
    assert at_threshold(points, 0.95).f1 == 0


def test_the_best_threshold_never_parts_equal_scores() -> None:
    points = curve(np.full(2, 0.5, dtype=np.float32), np.array([True, False]), 1)
    best = at_best_f1(points)
    assert (best.precision, best.recall) == pytest.approx((1 / 2, 1))


def test_confusion_counts_background_on_both_sides() -> None:
    truth = table((0, 0, UNIT, 0), (1, 0, UNIT, 0), (2, 1, UNIT, 0))
    predicted = table((0, 0, UNIT, 0.9), (1, 1, UNIT, 0.8), (5, 1, UNIT, 0.7), (2, 1, UNIT, 0.1))
    # frame 0 right, frame 1 taken for class 1, frame 2 found too weakly, frame 5 from nothing
    expected = [[1, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert confusion_matrix(predicted, truth, 2, score=0.5).tolist() == expected
    assert confusion_matrix(table(), table(), 1, score=0.5).tolist() == [[0, 0], [0, 0]]


def test_pooled_curve_keeps_classes_apart() -> None:
    truth = table((0, 0, UNIT, 0), (1, 1, UNIT, 0))
    points = pooled(frame_curves(table((0, 0, UNIT, 0.9), (1, 0, UNIT, 0.8), (1, 1, UNIT, 0.7)), truth, 2))
    assert points.recall == pytest.approx([0.5, 0.5, 1.0])


def one_by_one(predicted: FrameBoxes, truth: FrameBoxes, rule: str) -> float:
    """The protocol written out as ROAD and ACT describe it: a walk down the scores, deleting what is taken."""
    free = [(int(frame), box) for frame, box in zip(truth.frames, truth.boxes, strict=True)]
    precision, recall = [1.0], [0.0]
    for rank, index in enumerate(np.argsort(-predicted.scores), start=1):
        overlaps = [
            float(paired_iou(predicted.boxes[index : index + 1], box[None])[0]) if at == predicted.frames[index] else 0
            for at, box in free
        ]
        if overlaps and max(overlaps) >= 0.5:
            del free[int(np.argmax(overlaps))]
        found = len(truth.frames) - len(free)
        precision.append(found / rank)
        recall.append(found / len(truth.frames))
    steps = zip(range(1, len(precision)), np.diff(recall), strict=True)
    if rule == "voc":
        return float(sum(step * max(precision[i:]) for i, step in steps))
    return float(sum(step * (precision[i] + precision[i - 1]) / 2 for i, step in steps))


@pytest.mark.parametrize("rule", ["voc", "act"])
def test_average_precision_agrees_with_the_protocol_written_out(rule: str) -> None:
    random = np.random.default_rng(3)
    corners = random.uniform(0, 30, (300, 2))
    boxes = np.hstack([corners, corners + random.uniform(15, 30, (300, 2))]).astype(np.float32)
    frames, labels = random.integers(0, 40, 300), np.zeros(300, dtype=np.int64)
    everything = FrameBoxes(frames, labels, boxes, random.permutation(300).astype(np.float32))
    predicted, truth = everything.where(np.arange(200)), everything.where(np.arange(200, 300))
    (points,) = frame_curves(predicted, truth, 1)
    assert 0.1 < points.recall[-1] < 0.9
    assert AVERAGE_PRECISION[rule](points) == pytest.approx(one_by_one(predicted, truth, rule))


# laws

corner = st.integers(0, 12)
label = st.integers(0, 1)
frame = st.integers(0, 3)


@st.composite
def rows(draw: st.DrawFn, most: int = 8) -> list[Row]:
    """Up to `most` boxes close together, with many equal scores."""
    found: list[Row] = []
    for _ in range(draw(st.integers(0, most))):
        x, y = draw(corner), draw(corner)
        box = (x, y, x + draw(st.integers(4, 9)), y + draw(st.integers(4, 9)))
        found.append((draw(frame), draw(label), box, draw(st.sampled_from([0.1, 0.4, 0.5, 0.9]))))
    return found


def scores_of(curves: tuple[Curve, ...]) -> NDArray[np.float64]:
    return np.array([[rule(points) for rule in AVERAGE_PRECISION.values()] for points in curves])


@given(rows(), rows(), st.randoms(use_true_random=False))
def test_order_never_matters(predicted: list[Row], truth: list[Row], random: Random) -> None:
    before = frame_curves(table(*predicted), table(*truth), 2)
    random.shuffle(predicted)
    random.shuffle(truth)
    after = frame_curves(table(*predicted), table(*truth), 2)
    assert scores_of(after) == pytest.approx(scores_of(before), nan_ok=True)


@given(rows(), rows())
def test_only_the_order_of_scores_matters(predicted: list[Row], truth: list[Row]) -> None:
    cubed = [(frame, label, box, score**3 * 7) for frame, label, box, score in predicted]
    before = frame_curves(table(*predicted), table(*truth), 2)
    after = frame_curves(table(*cubed), table(*truth), 2)
    assert scores_of(after) == pytest.approx(scores_of(before), nan_ok=True)


@given(rows())
def test_the_truth_itself_scores_one(truth: list[Row]) -> None:
    scores = scores_of(frame_curves(table(*truth), table(*truth), 2))
    assert scores[~np.isnan(scores)] == pytest.approx(1.0)


@given(rows(), rows())
def test_confusion_counts_every_truth_and_every_prediction_once(predicted: list[Row], truth: list[Row]) -> None:
    matrix = confusion_matrix(table(*predicted), table(*truth), 2, score=0.4)
    shown = [label for _, label, _, score in predicted if score >= 0.4]
    assert matrix[:2].sum(axis=1).tolist() == [[label for _, label, _, _ in truth].count(k) for k in (0, 1)]
    assert matrix[:, :2].sum(axis=0).tolist() == [shown.count(k) for k in (0, 1)]


@given(rows(), rows())
def test_scores_lie_between_zero_and_one_and_voc_is_never_below_its_raw_points(
    predicted: list[Row], truth: list[Row]
) -> None:
    for points in frame_curves(table(*predicted), table(*truth), 2):
        assert np.all(np.diff(points.recall) >= 0)
        if points.truths:
            raw = np.sum(np.diff(points.recall, prepend=0) * points.precision)
            assert raw - 1e-9 <= voc_average_precision(points) <= 1
            assert 0 <= act_average_precision(points) <= 1
