"""Action tubes: what is cut out of the record of whole videos."""

import numpy as np
import pytest

from edge.linker import action_tubes
from edge.tubes import CutSettings, cut, mean_of_best
from tests.people import JUMP, RUN, SETTINGS, SIT, detected, history, linked, person, tube_box


def runs(scores, **settings):
    """First and last frame of each action tube of somebody with these scores of Run, one per frame."""
    record = [(frame, tube_box(run=score)) for frame, score in enumerate(scores)]
    tubes = cut(record, CutSettings(min_boxes=1, **settings))
    return [(int(tube.frames[0]), int(tube.frames[-1])) for tube in tubes]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.0] * 3, []),
        ([0.09, 0.1, 0.06, 0.04, 0.06], [(1, 2)]),  # begins at 0.1, ends below 0.05
        ([0.5, 0.21, 0.19, 0.21, 0.4], [(0, 1)]),  # ends below 0.4 of 0.5; 0.4 is not 2.5 times 0.19
        ([0.5, 0.21, 0.19, 0.21, 0.5], [(0, 1), (4, 4)]),  # 0.5 is
        ([0.9, 0.04, 0.1], [(0, 0), (2, 2)]),  # after 0.04 the start score is enough
    ],
)
def test_where_an_action_begins_and_ends(scores, expected):
    assert runs(scores, start_score=0.1, keep_score=0.05, keep_share=0.4) == expected


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        ([], 0),
        ([0.5], 0.5),
        ([0.1, 0.9, 0.5], 0.7),  # (0.9 + 0.5) / 2
    ],
)
def test_the_mean_of_the_two_best(scores, mean):
    assert mean_of_best(np.array(scores, np.float32), 2) == pytest.approx(mean)


def test_no_history_has_no_action_tubes():
    assert action_tubes([], SETTINGS) == []


def test_the_tail_that_nobody_saw_is_trimmed():
    story = linked([detected()] * 3 + [detected(person(100, run=0.8))] * 20 + [detected()] * 30)
    (tube,) = action_tubes(history(story), SETTINGS)
    assert (tube.label, tube.frames.tolist()) == (RUN, list(range(3, 23)))
    assert tube.boxes.shape == (20, 4)
    assert tube.score == pytest.approx(0.8)


def test_two_actions_one_after_the_other_are_two_tubes_of_one_person():
    acts = [person(100, run=0.8)] * 30 + [person(100, jump=0.8)] * 30
    run, jump = action_tubes(history(linked([detected(act) for act in acts])), SETTINGS)
    assert (run.label, jump.label) == (RUN, JUMP)
    assert run.frames[0] == 0
    assert jump.frames[-1] == 59
    assert abs(run.frames[-1] - 30) < 6  # the average needs its frames
    assert abs(jump.frames[0] - 30) < 6


def test_an_action_that_fades_has_ended_long_before_its_score_is_nothing():
    acts = [0.8] * 30 + [0.2] * 30
    (tube,) = action_tubes(history(linked([detected(person(100, run=score)) for score in acts])), SETTINGS)
    # 0.2 + 0.6 · 0.8ⁿ falls below 0.4 of 0.8 at n = 8, in frame 37; the rest is no tube of its own
    assert tube.frames[-1] == 36


def test_an_action_that_pauses_makes_two_tubes():
    acts = [0.8] * 30 + [0.06] * 30 + [0.8] * 30
    tubes = action_tubes(history(linked([detected(person(100, run=score)) for score in acts])), SETTINGS)
    assert [tube.label for tube in tubes] == [RUN, RUN]
    assert tubes[0].frames[-1] < 45 < 60 <= tubes[1].frames[0]


def test_five_boxes_are_no_action_and_six_are():
    for count, expected in ((5, []), (6, [SIT])):
        story = linked([detected(person(100, sit=0.8))] * count)
        assert [tube.label for tube in action_tubes(history(story), SETTINGS)] == expected


def test_the_score_is_the_mean_of_the_forty_best():
    acts = [0.9] * 40 + [0.5] * 60
    (tube,) = action_tubes(history(linked([detected(person(100, run=score)) for score in acts])), SETTINGS)
    assert tube.score == pytest.approx(0.9)
