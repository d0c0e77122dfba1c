"""The protocols of KORSAL, ACT and YOWO: numbers that their own code gave, and slow versions written out.

The facts come from the peers' published code, run on `made_scene`: MATLAB's under GNU Octave (`get_PR_curve.m`,
`compute_spatio_temporal_iou.m`, `frameAp.m`), ACT's and MOC's `ACT.py`, YOWO's `eval_results.py`, Padilla's Evaluator.
"""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.made_scene import CLASSES, made_scene
from train.box_tables import FrameBoxes, Tube, ordered
from train.evaluation.error_analysis import CAUSES, causes
from train.evaluation.matching import filter_boxes, match_frames, suppress_tubes
from train.evaluation.metrics import VIDEO_THRESHOLDS, average_precision, matched_frames, tube_curves
from train.evaluation.protocols import PLAIN_RULES, PROTOCOLS, BoxFilter, MatchingRules
from train.evaluation.report import Report, score_split

LABELS = ("catch", "jump", "sit", "walk")  # walk has no ground truth
WITHIN = 0.01  # points

FACTS: dict[tuple[str, int], dict[str, list[float]]] = {
    ("act", 1): {
        "frame": [64.4636, 62.7467, 60.4552],
        "0.2": [94.375, 73.125, 54.375],
        "0.5": [94.375, 73.125, 54.375],
        "0.75": [50.0, 3.125, 0.0],
        "0.5:0.95": [48.5625, 29.9375, 17.6042],
    },
    ("act", 2): {
        "frame": [47.0467, 57.6958, 63.0953],
        "0.2": [94.375, 76.6667, 83.5417],
        "0.5": [94.375, 76.6667, 83.5417],
        "0.75": [2.5, 0.0, 3.125],
        "0.5:0.95": [41.3125, 25.8333, 25.3958],
    },
    ("yowo", 1): {
        "frame": [73.7985, 66.7218, 64.7785],
        "0.2": [94.9998, 79.1665, 72.9165, 0.0],
        "0.5": [94.9998, 79.1665, 72.9165, 0.0],
        "0.75": [49.9999, 6.25, 0.0, 0.0],
        "0.5:0.95": [48.9999, 32.7083, 23.9583, 0.0],
    },
    ("yowo", 2): {
        "frame": [55.0885, 63.6115, 66.4822],
        "0.2": [94.9998, 84.9998, 85.4165, 0.0],
        "0.5": [94.9998, 84.9998, 85.4165, 0.0],
        "0.75": [5.0, 0.0, 6.25, 0.0],
        "0.5:0.95": [41.9999, 29.9999, 28.9583, 0.0],
    },
    ("korsal", 1): {
        "frame": [76.7713, 74.3875, 68.9387, 0.0],
        "0.2": [95.0, 72.5, 66.25, 0.0],
        "0.5": [95.0, 72.5, 66.25, 0.0],
        "0.75": [2.5, 9.0909, 0.0, 0.0],
        "0.5:0.95": [42.2222, 30.1288, 21.5833, 0.0],
    },
    ("korsal", 2): {
        "frame": [58.2434, 68.637, 75.1661, 0.0],
        "0.2": [87.5, 75.0, 75.0, 0.0],
        "0.5": [87.5, 75.0, 75.0, 0.0],
        "0.75": [12.5, 0.0, 22.4359, 0.0],
        "0.5:0.95": [31.7778, 25.75, 23.6603, 0.0],
    },
}
# localisation, classification, timing, background, missed of `frameAP_error`, by class
ERRORS = {
    1: [
        [18.4157, 0.0393, 3.7849, 13.2965, 0.0],
        [21.1741, 4.8035, 1.08, 8.9137, 1.2821],
        [16.8479, 9.0535, 3.0879, 8.8889, 1.6667],
    ],
    2: [
        [15.1162, 23.672, 3.7228, 10.4424, 0.0],
        [18.2213, 9.485, 1.4122, 13.1857, 0.0],
        [19.8268, 0.0, 2.7882, 8.6558, 5.6338],
    ],
}


def report(name: str, seed: int) -> Report:
    return score_split(made_scene(seed), LABELS, PROTOCOLS[name])


@pytest.mark.parametrize(("name", "seed"), FACTS)
def test_the_peers_own_code_gives_the_same(name: str, seed: int) -> None:
    made = report(name, seed)
    for key, expected in FACTS[name, seed].items():
        ours = [100 * (one.frame_ap if key == "frame" else one.video_ap[key]) for one in made.classes]
        assert ours[: len(expected)] == pytest.approx(expected, abs=WITHIN), key


@pytest.mark.parametrize("seed", ERRORS)
def test_errors_are_shared_out_as_acts_own_code_does(seed: int) -> None:
    for one, expected in zip(report("act", seed).classes, ERRORS[seed], strict=False):
        shares = [getattr(one.errors, name) for name in (*CAUSES, "missed")]
        assert [100 * share for share in shares] == pytest.approx(expected, abs=WITHIN)
        assert sum(shares) + one.frame_ap == pytest.approx(1)


def test_classes_without_truth_are_zero_or_left_out_by_protocol() -> None:
    assert report("korsal", 1).classes[3].frame_ap == 0
    assert np.isnan(report("act", 1).classes[3].frame_ap)
    yowo = report("yowo", 1).classes[3]
    assert np.isnan(yowo.frame_ap)
    assert yowo.video_ap["0.5"] == 0
    korsal = report("korsal", 1)
    assert korsal.frame_map == pytest.approx(np.mean([one.frame_ap for one in korsal.classes]))
    assert korsal.without_truth == ("walk",)


# slow versions, one prediction after the other, in the words of the papers


def iou(one: NDArray[Any], two: NDArray[Any], first: tuple[float, ...], second: tuple[float, ...]) -> float:
    a, b = one.astype(float) + first, two.astype(float) + second
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def tube_overlap(one: Tube, two: Tube, rules: MatchingRules, second: tuple[float, ...]) -> float:
    mine, other = (dict(enumerate(tube.boxes, tube.first_frame)) for tube in (one, two))
    common = sorted(set(mine) & set(other))
    if one.video != two.video or len(common) < rules.common_frames:
        return 0.0
    overlaps = [iou(mine[frame], other[frame], rules.predicted_edges, second) for frame in common]
    return float(np.mean(overlaps) * len(common) / len(set(mine) | set(other)))


def area(hits: list[bool], truths: int, rule: str) -> float:
    if not truths:
        return 0.0
    precision = [1.0] + [sum(hits[: rank + 1]) / (rank + 1) for rank in range(len(hits))]
    recall = [0.0] + [sum(hits[: rank + 1]) / truths for rank in range(len(hits))]
    if rule == "voc":
        return sum((recall[i] - recall[i - 1]) * max(precision[i:]) for i in range(1, len(recall)))
    return sum((recall[i] - recall[i - 1]) * (precision[i] + precision[i - 1]) / 2 for i in range(1, len(recall)))


def slow_video_ap(tubes: list[Tube], truth: list[Tube], threshold: float, name: str) -> float:
    protocol = PROTOCOLS[name]
    rules = protocol.in_videos
    mine = sorted(tubes, key=lambda tube: -tube.score)
    if rules.tube_nms is not None:
        kept: list[Tube] = []
        for tube in mine:
            if all(tube_overlap(tube, one, rules, rules.predicted_edges) <= rules.tube_nms for one in kept):
                kept.append(tube)
        mine = kept
    free = list(truth)
    hits = []
    for tube in mine:
        overlaps = [tube_overlap(tube, one, rules, rules.true_edges) for one in free]
        best = int(np.argmax(overlaps)) if overlaps else -1
        hit = best >= 0 and (overlaps[best] > threshold if rules.more_than else overlaps[best] >= threshold)
        hits.append(hit)
        if hit:
            del free[best]
    return area(hits, len(truth), protocol.rule)


@pytest.mark.parametrize("name", ["plain", "korsal", "act", "yowo"])
def test_video_ap_agrees_with_the_protocol_written_out(name: str) -> None:
    scene, protocol = made_scene(5), PROTOCOLS[name]
    assert scene.tubes
    thresholds = (0.2, *VIDEO_THRESHOLDS)
    fast = tube_curves(scene.tubes, scene.true_tubes, CLASSES, thresholds, protocol.in_videos)
    for label in range(CLASSES - 1):
        mine, true = ([tube for tube in all_ if tube.label == label] for all_ in (scene.tubes, scene.true_tubes))
        for points, threshold in zip(fast[label], thresholds, strict=True):
            expected = slow_video_ap(mine, true, threshold, name)
            assert average_precision(points, protocol.rule) == pytest.approx(expected), (label, threshold)


def slow_filter(boxes: list[tuple[int, NDArray[Any], float]], rule: BoxFilter) -> list[tuple[int, NDArray[Any], float]]:
    kept = []
    for frame in sorted({frame for frame, _, _ in boxes}):
        here = sorted(
            (one for one in boxes if one[0] == frame and one[2] > rule.minimum_score), key=lambda one: -one[2]
        )
        alone: list[tuple[int, NDArray[Any], float]] = []
        for one in here[: rule.before]:
            if all(iou(one[1], other[1], (0, 0, 0, 0), (0, 0, 0, 0)) <= rule.iou for other in alone):
                alone.append(one)
        kept += alone[: rule.after]
    return kept


def slow_frame_ap(found: FrameBoxes, truth: FrameBoxes, name: str) -> float:
    protocol = PROTOCOLS[name]
    rules = protocol.in_frames
    boxes = [(int(f), b, float(s)) for f, b, s in zip(found.frames, found.boxes, found.scores, strict=True)]
    if rules.frame_size:
        width, height = rules.frame_size
        boxes = [(f, np.clip(b, 0, [width, height, width - 1, height - 1]), s) for f, b, s in boxes]
    boxes = slow_filter(boxes, rules.boxes) if rules.boxes else boxes
    taken = [False] * len(truth.frames)
    hits = []
    for frame, box, _ in sorted(boxes, key=lambda one: -one[2]):
        best, most = -1, 0.0
        for index in np.flatnonzero(truth.frames == frame).tolist():
            overlap = iou(box, truth.boxes[index], rules.predicted_edges, rules.true_edges)
            if overlap > most and not (rules.free_only and taken[index]):
                best, most = index, overlap
        hits.append(best >= 0 and most >= 0.5 and not taken[best])
        if hits[-1]:
            taken[best] = True
    return area(hits, len(truth.frames), protocol.rule)


@pytest.mark.parametrize("name", ["plain", "korsal", "act", "yowo"])
def test_frame_ap_agrees_with_the_protocol_written_out(name: str) -> None:
    scene, protocol = made_scene(6), PROTOCOLS[name]
    found = scene.found
    assert found is not None
    if protocol.frames == "annotated":
        found = found.where(np.isin(found.frames, scene.truth.frames))
    made = score_split(scene, LABELS, protocol)
    for label in range(CLASSES - 1):
        expected = slow_frame_ap(
            found.where(found.labels == label), scene.truth.where(scene.truth.labels == label), name
        )
        assert made.classes[label].frame_ap == pytest.approx(expected), label


# single choices, by hand

BOX = np.array([[0, 0, 10, 10]], np.float32)


def boxes(*rows: tuple[float, ...], scores: tuple[float, ...] | None = None, frame: int = 0) -> FrameBoxes:
    count = len(rows)
    return FrameBoxes(
        np.full(count, frame, np.int64),
        np.zeros(count, np.int64),
        np.array(rows, np.float32).reshape(-1, 4),
        np.array(scores or np.linspace(0.9, 0.5, count), np.float32),
    )


def hits(predicted: FrameBoxes, truth: FrameBoxes, rules: MatchingRules) -> list[bool]:
    return (match_frames(predicted, truth, 0.5, rules).taken >= 0).tolist()


def test_one_pixel_more_on_each_side_makes_small_boxes_overlap_more() -> None:
    predicted, truth = boxes((0, 0, 2, 3)), boxes((0, 0, 3, 4))
    assert hits(predicted, truth, PLAIN_RULES) == [True]  # 6/12, exactly the threshold
    assert hits(predicted, truth, replace(PLAIN_RULES, more_than=True)) == [False]
    grown = replace(PLAIN_RULES, predicted_edges=(0, 0, 1, 1), true_edges=(0, 0, 1, 1), more_than=True)
    assert hits(predicted, truth, grown) == [True]  # 12/20


def test_a_second_hit_is_a_false_alarm_or_takes_the_next_truth() -> None:
    truth = boxes((0, 0, 10, 10), (0, 0, 10, 8))
    predicted = boxes((0, 0, 10, 10), (0, 0, 10, 10))
    assert hits(predicted, truth, PLAIN_RULES) == [True, True]
    assert hits(predicted, truth, replace(PLAIN_RULES, free_only=False)) == [True, False]


def test_the_box_filter() -> None:
    rule = MatchingRules(boxes=BoxFilter(0.1, before=3, iou=0.45, after=1))
    rows = ((0, 0, 10, 10), (0, 0, 10, 9), (50, 50, 60, 60), (80, 80, 90, 90))
    kept = filter_boxes(boxes(*rows, scores=(0.5, 0.9, 0.3, 0.05)), rule)
    assert kept.scores.tolist() == pytest.approx([0.9])  # 0.5 overlaps it, 0.3 is second, 0.05 too weak
    assert len(filter_boxes(boxes(), rule).scores) == 0
    assert len(filter_boxes(boxes(*rows), PLAIN_RULES).scores) == 4


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 12), st.integers(4, 9)), max_size=14),
    st.randoms(use_true_random=False),
)
def test_the_fast_filter_keeps_what_the_slow_one_keeps(places: list[tuple[int, ...]], random: Random) -> None:
    rule = BoxFilter(0.15, before=4, iou=0.3, after=2)
    scores = [(rank + 1) / (len(places) + 1) for rank in range(len(places))]
    random.shuffle(scores)
    table = replace(
        boxes(*((x, y, x + side, y + side) for _, x, y, side in places), scores=tuple(scores)),
        frames=np.array([frame for frame, *_ in places], np.int64),
    )
    rows = zip(table.frames, table.boxes, table.scores, strict=True)
    expected = slow_filter([(int(f), b, float(s)) for f, b, s in rows], rule)
    kept = filter_boxes(table, MatchingRules(boxes=rule))
    assert sorted(zip(kept.frames.tolist(), kept.scores.tolist(), strict=True)) == sorted(
        (frame, score) for frame, _, score in expected
    )


def test_suppression_of_a_suppressed_box_does_not_count() -> None:
    # each overlaps its neighbour by 0.6, the first and the third by less: the second falls, the third stays
    row = [(x, 0.0, x + 10, 10.0) for x in (0.0, 2.5, 5.0)]
    rule = MatchingRules(boxes=BoxFilter(0, before=50, iou=0.5, after=20))
    assert ordered(filter_boxes(boxes(*row), rule)).boxes[:, 0].tolist() == [0, 5]


def test_tube_nms() -> None:
    tubes = [Tube(0, 0, score, 0, np.repeat(BOX, n, axis=0)) for score, n in ((0.9, 10), (0.8, 9), (0.7, 2))]
    assert [tube.score for tube in suppress_tubes(tubes, 0.3)] == [0.9, 0.7]
    assert suppress_tubes([], 0.3) == []


def test_every_false_alarm_has_one_cause() -> None:
    far = (100.0, 100.0, 120.0, 120.0)
    truth = boxes((0, 0, 10, 10), frame=0)
    other = replace(boxes((0, 0, 10, 10), frame=1), labels=np.ones(1, np.int64))
    everything = FrameBoxes(*(np.concatenate([getattr(truth, n), getattr(other, n)]) for n in _FIELDS))
    found = [boxes((0, 0, 10, 10), far), boxes((0, 0, 10, 10), far, frame=1), boxes(far, frame=2)]
    predicted = FrameBoxes(*(np.concatenate([getattr(one, n) for one in found]) for n in _FIELDS))
    matched = matched_frames(predicted, everything, 2)[0]
    names = [(-1, *range(4)).index(kind) for kind in causes(matched, 0, everything, 0.5)]
    by_frame = {
        (int(f), float(b[0])): ("hit", *CAUSES)[n]
        for f, b, n in zip(matched.predicted.frames, matched.predicted.boxes, names, strict=True)
    }
    assert by_frame == {
        (0, 0.0): "hit",
        (0, 100.0): "localisation",
        (1, 0.0): "classification",
        (1, 100.0): "background",
        (2, 100.0): "timing",
    }


_FIELDS = ("frames", "labels", "boxes", "scores")
