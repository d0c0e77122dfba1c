"""KORSAL's rule, including its faults: the default linker is compared with them."""

from typing import Any

import numpy as np
import pytest

from edge.detector import Detections
from edge.korsal_linker import VARIANTS, KorsalLinker, KorsalSettings, overlap
from edge.korsal_linker import candidates as of_class
from tests.support.people import JUMP, RUN, detected, history, linked, person, standing
from train.evaluation.action_tubes import WholePaths

KORSAL = KorsalLinker()


def summary(frames: Any, linker: Any = KORSAL) -> Any:
    """Per frame: (tube, left edge, score) of every tube box."""
    return [[(b.tube, float(b.box[0]), round(b.score, 3)) for b in boxes] for boxes in linked(frames, linker)]


def variant(**choices: Any) -> Any:
    return KorsalLinker(KorsalSettings(**choices))


def candidates(detections: Any, label: int) -> Any:
    found = of_class(detections.boxes, detections.class_scores.astype(np.float64), label)
    return found.boxes, found.scores


def test_no_detections_no_tubes() -> None:
    assert summary([detected()] * 3) == [[], [], []]
    assert WholePaths()([]) == []


def test_a_box_follows_the_one_that_it_overlaps() -> None:
    assert summary([detected(person(100, run=0.8)), detected(person(110, run=0.6))]) == [[(1, 80, 0.8)], [(1, 90, 0.6)]]


@pytest.mark.parametrize(
    ("stride", "tubes"),
    [
        (33, 1),  # 41 wide with the pixel added, 8 in common: IoU 8 / 74 = 0.108
        (34, 2),  # 7 / 75 = 0.093
    ],
)
def test_a_tenth_in_common_is_enough(stride: float, tubes: int) -> None:
    frames = [detected(person(100, run=0.8)), detected(person(100 + stride, run=0.8))]
    assert len({tube for boxes in summary(frames) for tube, _, _ in boxes}) == tubes


def test_the_highest_score_in_reach_wins_not_the_nearest() -> None:
    # 24 apart: 16 / 64 = 0.25 is within reach, and below NMS's 0.45
    frames = [detected(person(100, run=0.8)), detected(person(100, run=0.5), person(124, run=0.6))]
    assert summary(frames)[1] == [(1, 104, 0.6), (2, 80, 0.5)]


def test_the_tube_with_the_higher_mean_score_chooses_first() -> None:
    frames = [
        detected(person(100, run=0.5), person(130, run=0.9)),  # tube 1 is at 130: the higher score is born first
        detected(person(115, run=0.7)),
        detected(person(115, run=0.7)),
    ]
    second = summary(frames)[1]
    assert second == [(1, 95, 0.7), (2, 80, 0.5)]  # tube 2 repeats its box


def test_a_lost_tube_repeats_its_box_five_times_and_dies() -> None:
    story = linked([detected(person(100, run=0.8))] * 2 + [detected()] * 7, KORSAL)
    assert [len(boxes) for boxes in story] == [1] * 7 + [0] * 2
    assert [boxes[0].observed for boxes in story[:7]] == [True] * 2 + [False] * 5
    assert all((boxes[0].box == standing(100)).all() and boxes[0].score == pytest.approx(0.8) for boxes in story[:7])


def test_a_tube_found_after_four_repeats_continues_and_after_five_does_not() -> None:
    seen = [detected(person(100, run=0.8))]
    assert summary(seen + [detected()] * 4 + seen)[-1] == [(1, 80, 0.8)]
    assert summary(seen + [detected()] * 5 + seen)[-1] == [(2, 80, 0.8)]


def test_one_person_has_a_tube_for_every_class_that_fires() -> None:
    both = detected(person(100, run=0.8), person(101, jump=0.3))
    boxes = linked([both] * 3, KORSAL)[-1]
    assert [(b.label, b.class_scores.tolist()) for b in boxes] == [
        (RUN, pytest.approx([0.8, 0, 0])),
        (JUMP, pytest.approx([0, 0.3, 0])),
    ]


def test_candidates_are_those_above_a_thousandth_at_most_ten_after_nms() -> None:
    spread = [person(100 * i, run=0.9 - 0.01 * i) for i in range(12)]
    boxes, scores = candidates(detected(*spread, person(3000, run=0.001), person(5, run=0.5)), RUN)
    assert boxes[:, 0].tolist() == [100 * i - 20 for i in range(10)]
    assert scores == pytest.approx([0.9 - 0.01 * i for i in range(10)])


def test_only_the_fifty_best_come_to_nms() -> None:
    heap = [person(100, run=0.9 - 0.001 * i) for i in range(50)]
    _, scores = candidates(detected(*heap, person(300, run=0.2)), RUN)
    assert scores == pytest.approx([0.9])


def test_an_action_tube_keeps_its_repeated_tail() -> None:
    story = linked([detected(person(100, run=0.8))] * 10 + [detected()] * 9, KORSAL)
    (tube,) = WholePaths()(history(story))
    assert tube.frames.tolist() == list(range(15))
    assert np.ptp(tube.boxes, axis=0).max() == 0
    assert tube.score == pytest.approx(0.8)


def test_five_boxes_are_no_action_tube_and_a_single_box_with_five_repeats_is() -> None:
    seen = [detected(person(100, run=0.8))]
    assert WholePaths()(history(linked(seen * 5, KORSAL))) == []
    assert len(WholePaths()(history(linked(seen + [detected()] * 8, KORSAL)))) == 1


def test_the_score_is_the_mean_of_the_forty_best() -> None:
    acts = [0.9] * 30 + [0.5] * 30
    (tube,) = WholePaths()(history(linked([detected(person(100, run=score)) for score in acts], KORSAL)))
    assert tube.score == pytest.approx((30 * 0.9 + 10 * 0.5) / 40)


def test_with_step_a_lost_tube_repeats_its_last_step_but_slowly_to_the_right() -> None:
    frames = [detected(person(100, run=0.8)), detected(person(110, run=0.8))] + [detected()] * 2
    assert [boxes[0][1] for boxes in summary(frames, variant(when_missed="step"))] == [
        80,
        90,
        93,
        96,
    ]  # +10 becomes +3


def test_with_step_only_the_frame_limits_a_tube_to_the_left() -> None:
    frames = [detected(person(90, run=0.8)), detected(person(60, run=0.8))] + [detected()] * 2
    assert [boxes[0][1] for boxes in summary(frames, variant(when_missed="step"))] == [70, 40, 10, 0]


def test_with_step_a_tube_of_one_box_stands_still() -> None:
    frames = [detected(person(100, run=0.8)), detected()]
    assert [boxes[0][1] for boxes in summary(frames, variant(when_missed="step"))] == [80, 80]


def test_with_gaps_they_are_filled_and_the_tail_is_cut() -> None:
    seen = [detected(person(100, run=0.8))]
    story = linked(seen * 3 + [detected()] * 4 + seen * 3 + [detected()] * 9, variant(when_missed="gap"))
    (tube,) = WholePaths(gaps=True)(history(story))
    assert tube.frames.tolist() == list(range(10))


def test_with_gaps_only_boxes_that_were_found_count() -> None:
    seen = [detected(person(100, run=0.8))]
    story = linked(seen * 3 + [detected()] * 4 + seen * 2, variant(when_missed="gap"))
    assert WholePaths(gaps=True)(history(story)) == []


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("score", 100),  # 0.9 against 0.45
        ("scrSim", 80),  # 1 - 0.4 against 1 - 0.05
        ("scrMinusSim", 100),  # 0.9 + 0.6 against 0.45 + 0.95
    ],
)
def test_the_choice_goes_by_score_or_by_likeness(kind: Any, left: Any) -> None:
    frames = [detected(person(100, run=0.5)), detected(person(120, run=0.9), person(100, run=0.45))]
    assert [x for tube, x, _ in summary(frames, variant(edge_score=kind))[1] if tube == 1] == [left]


def test_dense_a_box_stands_for_every_class_and_one_too_unlike_is_no_choice() -> None:
    frames = [detected(person(100, run=0.9, jump=0.9, sit=0.9)), detected(person(100, run=0.02))]  # 1 - 1.55 apart
    assert [len(boxes) for boxes in summary(frames, variant(dense=True, edge_score="scrSim"))] == [3, 4]
    assert [len(boxes) for boxes in summary(frames, variant(dense=True, edge_score="score"))] == [3, 3]


def test_of_equal_scores_nms_keeps_the_last() -> None:
    assert candidates(detected(person(100, run=0.5), person(110, run=0.5)), RUN)[0][:, 0].tolist() == [90]


def test_the_added_pixel_makes_neighbours_overlap() -> None:
    left, right = np.array([[0.0, 0, 9, 9]]), np.array([[9.0, 0, 19, 9]])
    assert overlap(left, right) == 0
    assert overlap(left, right, added=1) == pytest.approx(10 / (100 + 110 - 10))


def made_scene(seed: int = 7, classes: int = 2, frames: int = 40) -> Any:
    """People who wander, are named wrongly, seen twice or not at all; dense scores; corners and scores rounded."""
    random = np.random.default_rng(seed)
    at, sides, speed = random.uniform(60, 200, (4, 2)), random.uniform(30, 90, (4, 2)), random.normal(0, 3, (4, 2))
    story = []
    for _ in range(frames):
        at = at + speed
        rows = np.repeat(np.flatnonzero(random.random(4) < 0.7), 2)
        centres, halves = at[rows] + random.normal(0, 4, (len(rows), 2)), sides[rows] * random.uniform(0.4, 0.6)
        boxes = np.clip(np.round(np.hstack([centres - halves, centres + halves])), 0, [320, 240, 320, 240])
        dense = np.round(random.random((len(rows), classes)) ** 2, 2).astype(np.float32)
        story.append(Detections(boxes.astype(np.float32), dense.max(axis=1, initial=0), dense.argmax(axis=1), dense))
    return story


# What the original code makes of that scene (GNU Octave 7.3): paths, boxes, sum of all corners, sum of all scores
FACTS = {
    ("repeat", "score", False): (23, 343, 120500.0, 163.850),
    ("repeat", "scrSim", False): (24, 347, 121718.0, 169.310),
    ("repeat", "scrMinusSim", False): (23, 343, 120500.0, 163.850),
    ("step", "score", False): (26, 352, 117022.0, 166.980),
    ("step", "scrSim", False): (25, 351, 116857.0, 166.900),
    ("step", "scrMinusSim", False): (26, 352, 117022.0, 166.980),
    ("gap", "score", False): (14, 235, 85031.0, 123.460),
    ("gap", "scrSim", False): (12, 221, 76640.0, 118.110),
    ("gap", "scrMinusSim", False): (14, 235, 85031.0, 123.460),
    ("repeat", "score", True): (27, 441, 150251.0, 178.510),
    ("repeat", "scrSim", True): (29, 458, 158244.0, 191.310),
    ("repeat", "scrMinusSim", True): (28, 448, 153085.0, 178.580),
    ("step", "score", True): (28, 436, 142326.0, 177.540),
    ("step", "scrSim", True): (30, 461, 153345.0, 193.580),
    ("step", "scrMinusSim", True): (29, 444, 147412.0, 179.980),
    ("gap", "score", True): (15, 340, 119340.0, 142.320),
    ("gap", "scrSim", True): (15, 324, 113054.0, 135.920),
    ("gap", "scrMinusSim", True): (15, 338, 119104.0, 142.360),
}


@pytest.mark.parametrize(("choices", "facts"), FACTS.items())
def test_a_scene_is_linked_as_the_original_code_links_it(choices: Any, facts: Any) -> None:
    linker = variant(when_missed=choices[0], edge_score=choices[1], dense=choices[2])
    paths = WholePaths(gaps=choices[0] == "gap")(history(linked(made_scene(), linker)))
    corners = sum(float(path.boxes.sum(dtype=np.float64)) for path in paths)
    scores = sum(float(path.scores.sum(dtype=np.float64)) for path in paths)
    assert (len(paths), sum(len(path.frames) for path in paths)) == facts[:2]
    assert (corners, scores) == (pytest.approx(facts[2], abs=0.1), pytest.approx(facts[3], abs=0.001))


def reached(box: Any, other: Any) -> Any:
    """The overlap of two boxes a pixel longer, in plain numbers."""
    width = min(box[2], other[2]) + 1 - max(box[0], other[0])
    height = min(box[3], other[3]) + 1 - max(box[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = sum((one[2] - one[0] + 1) * (one[3] - one[1] + 1) for one in (box, other))
    return common / (areas - common) >= 0.1


def slow_paths(story: Any, label: int) -> Any:
    """The rule `korsal` for one class by its definition, whole lives kept: [(first frame, boxes, scores)]."""
    live, dead = list[Any](), list[Any]()
    for frame, detections in enumerate(story):
        boxes, scores = candidates(detections, label)
        free = dict(enumerate(zip(boxes.tolist(), scores.tolist(), strict=True)))
        for path in live:
            near = [i for i, (box, _) in free.items() if reached(path["boxes"][-1], box)]
            best = max(near, key=lambda i: free[i][1], default=None)
            box, score = (path["boxes"][-1], path["scores"][-1]) if best is None else free.pop(best)
            path["boxes"].append(box)
            path["scores"].append(score)
            path["missed"] = path["missed"] + 1 if best is None else 0
        live.sort(key=lambda path: -np.mean(sorted(path["scores"])[-6:]))
        dead += [path for path in live if path["missed"] == 5]
        live = [path for path in live if path["missed"] < 5]
        live += [{"first": frame, "boxes": [box], "scores": [score], "missed": 0} for box, score in free.values()]
    return [(one["first"], one["boxes"], one["scores"]) for one in live + dead if len(one["boxes"]) > 5]


@pytest.mark.parametrize("seed", range(6))
def test_the_live_rule_is_the_slow_one(seed: int) -> None:
    story = [
        Detections(one.boxes, one.scores, one.labels, one.scores[:, None] * np.eye(2, dtype=np.float32)[one.labels])
        for one in made_scene(seed)
    ]
    paths = WholePaths()(history(linked(story, KORSAL)))
    for label in range(2):
        ours = [(int(p.frames[0]), p.boxes.tolist(), p.scores.tolist()) for p in paths if p.label == label]
        assert sorted(ours) == sorted(slow_paths(story, label))
        assert ours


def test_every_variant_has_a_name_of_its_own() -> None:
    assert len(set(VARIANTS.values())) == len(VARIANTS) == 5
