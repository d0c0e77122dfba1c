"""KORSAL's rule, its faults included: they are what the default linker is compared with."""

import numpy as np
import pytest

from edge.korsal_linker import candidates
from edge.linker import LinkerSettings, action_tubes
from tests.people import JUMP, RUN, detected, history, linked, person, standing

KORSAL = LinkerSettings(kind="korsal")


def told(frames):
    """Per frame: (tube, left edge, score) of every tube box."""
    return [[(b.tube, float(b.box[0]), round(b.score, 3)) for b in boxes] for boxes in linked(frames, KORSAL)]


def test_nobody_is_there():
    assert told([detected()] * 3) == [[], [], []]
    assert action_tubes([], KORSAL) == []


def test_a_box_follows_the_one_that_it_overlaps():
    assert told([detected(person(100, run=0.8)), detected(person(110, run=0.6))]) == [[(1, 80, 0.8)], [(1, 90, 0.6)]]


@pytest.mark.parametrize(
    ("stride", "tubes"),
    [
        (32, 1),  # 8 of 40 in common: IoU 8 / 72 = 0.111
        (33, 2),  # 7 / 73 = 0.096
    ],
)
def test_a_tenth_in_common_is_enough(stride, tubes):
    frames = [detected(person(100, run=0.8)), detected(person(100 + stride, run=0.8))]
    assert len({tube for boxes in told(frames) for tube, _, _ in boxes}) == tubes


def test_the_highest_score_in_reach_wins_not_the_nearest():
    # 24 apart: 16 / 64 = 0.25 is within reach, and below NMS's 0.45
    frames = [detected(person(100, run=0.8)), detected(person(100, run=0.5), person(124, run=0.6))]
    assert told(frames)[1] == [(1, 104, 0.6), (2, 80, 0.5)]


def test_the_tube_with_the_higher_mean_score_chooses_first():
    frames = [
        detected(person(100, run=0.5), person(130, run=0.9)),  # tube 1 is at 130: the higher score is born first
        detected(person(115, run=0.7)),
        detected(person(115, run=0.7)),
    ]
    second = told(frames)[1]
    assert second == [(1, 95, 0.7), (2, 80, 0.5)]  # tube 2 repeats its box


def test_a_lost_tube_repeats_its_box_five_times_and_dies():
    story = linked([detected(person(100, run=0.8))] * 2 + [detected()] * 7, KORSAL)
    assert [len(boxes) for boxes in story] == [1] * 7 + [0] * 2
    assert [boxes[0].observed for boxes in story[:7]] == [True] * 2 + [False] * 5
    assert all((boxes[0].box == standing(100)).all() and boxes[0].score == pytest.approx(0.8) for boxes in story[:7])


def test_a_tube_found_after_four_repeats_lives_on_and_after_five_does_not():
    seen = [detected(person(100, run=0.8))]
    assert told(seen + [detected()] * 4 + seen)[-1] == [(1, 80, 0.8)]
    assert told(seen + [detected()] * 5 + seen)[-1] == [(2, 80, 0.8)]


def test_one_person_has_a_tube_for_every_class_that_fires():
    both = detected(person(100, run=0.8), person(101, jump=0.3))
    boxes = linked([both] * 3, KORSAL)[-1]
    assert [(b.label, b.class_scores.tolist()) for b in boxes] == [
        (RUN, pytest.approx([0.8, 0, 0])),
        (JUMP, pytest.approx([0, 0.3, 0])),
    ]


def test_candidates_are_those_above_a_thousandth_at_most_ten_after_nms():
    spread = [person(100 * i, run=0.9 - 0.01 * i) for i in range(12)]
    boxes, scores = candidates(detected(*spread, person(3000, run=0.001), person(5, run=0.5)), RUN)
    assert boxes[:, 0].tolist() == [100 * i - 20 for i in range(10)]
    assert scores == pytest.approx([0.9 - 0.01 * i for i in range(10)])


def test_only_the_fifty_best_come_to_nms():
    heap = [person(100, run=0.9 - 0.001 * i) for i in range(50)]
    _, scores = candidates(detected(*heap, person(300, run=0.2)), RUN)
    assert scores == pytest.approx([0.9])


def test_an_action_tube_keeps_its_repeated_tail():
    story = linked([detected(person(100, run=0.8))] * 10 + [detected()] * 9, KORSAL)
    (tube,) = action_tubes(history(story), KORSAL)
    assert tube.frames.tolist() == list(range(15))
    assert np.ptp(tube.boxes, axis=0).max() == 0
    assert tube.score == pytest.approx(0.8)


def test_five_boxes_are_no_action_tube_and_a_single_box_with_five_repeats_is():
    seen = [detected(person(100, run=0.8))]
    assert action_tubes(history(linked(seen * 5, KORSAL)), KORSAL) == []
    assert len(action_tubes(history(linked(seen + [detected()] * 8, KORSAL)), KORSAL)) == 1


def test_the_score_is_the_mean_of_the_forty_best():
    acts = [0.9] * 30 + [0.5] * 30
    (tube,) = action_tubes(history(linked([detected(person(100, run=score)) for score in acts], KORSAL)), KORSAL)
    assert tube.score == pytest.approx((30 * 0.9 + 10 * 0.5) / 40)
