"""Action tubes: what is cut out of the record of whole videos."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.people import JUMP, RUN, SIT, detected, history, linked, person, tube_box
from train.evaluation.action_tubes import SEGMENT_EVERY, Segmentation, TypicalLength, mean_of_best

EVERY = round(SEGMENT_EVERY * 25)  # frames


def usual(frames: float, spread: float) -> TypicalLength:
    """A typical length in frames of 25 a second, as all these stories are told."""
    return TypicalLength(frames / 25, spread)


def parts(scores: Any, averages: Any = None, undetected: Any = (), **settings: Any) -> Any:
    """First and last frame of each of the `run_tubes`."""
    tubes = run_tubes(scores, averages, undetected, **settings)
    return [(int(tube.frames[0]), int(tube.frames[-1])) for tube in tubes]


def run_tubes(scores: Any, averages: Any = None, undetected: Any = (), **settings: Any) -> Any:
    """The action tubes of somebody with these scores of Run, one per frame; `delay`, `memory` in frames.

    Below 0.1 it is none, unless `min_score` says otherwise.
    """
    settings = {"min_score": 0.1, **settings}
    seconds = {name: settings.pop(name) / 25 for name in ("delay", "memory") if name in settings}
    rate = settings.pop("rate", 25.0)
    record = []
    for frame, score in enumerate(scores):
        average = score if averages is None else averages[frame]
        one = tube_box(run=average, observed=frame not in undetected)
        record.append((frame, replace(one, own_scores=np.array([score, 0, 0], np.float32))))
    return Segmentation(shortest=0, **seconds, **settings)(record, rate)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (None, [(0, 69)]),  # 15 frames that each say -0.1 are less than a change at 4
        (usual(40, 0.3), [(15, 54)]),  # but 40 frames are usual, and there are 40 better ones
        (usual(70, 0.3), [(0, 69)]),
        (usual(40, 9.0), [(0, 69)]),  # hardly usual
        (usual(400, 0.3), [(0, 69)]),  # of a life that is shorter, all of it is usual
    ],
)
def test_the_typical_length_decides_where_the_score_does_not(length: Any, expected: Any) -> None:
    story = [0.33] * 15 + [0.5] * 40 + [0.33] * 15  # 0.7 of a logit, where 0.6 are forgiven
    assert parts(story, lengths=(length,), change_cost=4.0) == expected
    assert parts(story, lengths=(None, length, length), change_cost=4.0) == [(0, 69)]  # those of other actions


def test_an_action_of_atypical_length_is_kept_all_the_same() -> None:
    assert parts([0.5] * 30, lengths=(usual(3, 0.1),)) == [(0, 29)]


@pytest.mark.parametrize(
    ("length", "worth"),
    [
        (None, 1.0),
        (usual(30, 0.5), 1.0),
        (usual(300, 0.5), 1.0),  # of a life that is shorter, all of it is usual
        (usual(15, 0.5), np.exp(-0.1 * (np.log(2) / 0.5) ** 2)),  # twice as long as usual
        (usual(15, 0.25), np.exp(-0.1 * (np.log(2) / 0.25) ** 2)),
    ],
)
def test_a_tube_of_atypical_length_scores_less(length: Any, worth: Any) -> None:
    record = [(frame, tube_box(run=0.5)) for frame in range(30)]
    (tube,) = Segmentation(lengths=(length,))(record)
    assert tube.score == pytest.approx(0.5 * worth)
    assert tube.scores.tolist() == [0.5] * 30
    (tube,) = Segmentation(lengths=(length,), length_penalty=0)(record)
    assert tube.score == pytest.approx(0.5)


def test_after_a_final_tube_the_typical_length_is_limited_by_what_is_left() -> None:
    story = [0.06] * 20 + [0.6] * 60 + [0.06] * 60 + [0.6] * 100
    _, other = run_tubes(story, lengths=(usual(200, 0.5),))
    assert other.frames.tolist() == list(range(140, 240))
    assert other.score == pytest.approx(0.6 * np.exp(-0.1 * (np.log(160 / 100) / 0.5) ** 2))  # 160 since frame 80


levels = st.tuples(st.sampled_from([0.05, 0.2, 0.5, 0.9]), st.integers(1, 60))  # a score, and for how many frames
waits = st.sampled_from([0, 10, 50])


@given(st.lists(levels, min_size=1, max_size=6), st.integers(1, 15), waits, st.booleans())
def test_what_is_final_does_not_change(changes: Any, looks: Any, wait: Any, lengths_known: Any) -> None:
    story = [score for score, frames in changes for _ in range(frames)]
    settings = {"delay": wait, "memory": 100, "lengths": (usual(30, 0.3),) if lengths_known else ()}
    until = min(looks, len(story) // EVERY) * EVERY
    sure = [tube for tube in run_tubes(story[:until], **settings) if tube.frames[-1] < until - wait - 1]
    all_ = run_tubes(story, **settings)
    assert [tube.frames.tolist() for tube in all_[: len(sure)]] == [tube.frames.tolist() for tube in sure]
    assert [tube.score for tube in all_[: len(sure)]] == [tube.score for tube in sure]


@given(st.lists(levels, min_size=1, max_size=6), waits, st.sampled_from([30, 100, 1500]), st.booleans())
def test_no_two_tubes_of_one_action_share_a_frame(changes: Any, wait: Any, memory: Any, lengths_known: Any) -> None:
    story = [score for score, frames in changes for _ in range(frames)]
    lengths = (usual(30, 0.3),) if lengths_known else ()
    found = parts(story, delay=wait, memory=memory, lengths=lengths)
    assert all(one[1] < other[0] for one, other in pairwise(found))


def test_an_action_is_final_two_seconds_after_its_end_whatever_follows() -> None:
    """0.3 is much for this person until 0.9 is seen."""
    story = [0.06] * 20 + [0.3] * 40 + [0.06] * 80
    assert parts(story + [0.9] * 100) == [(20, 59), (140, 239)]
    assert parts(story + [0.9] * 100, delay=10**6) == [(140, 239)]


@pytest.mark.parametrize(("rest", "final"), [(25, False), (42, True)])
def test_tubes_are_segmented_every_half_second(rest: Any, final: Any) -> None:
    """An action that ended before frame 70 may be final after frame 120, and is at 132 if 0.9 is not usual by then."""
    assert ((20, 69) in parts([0.06] * 20 + [0.3] * 50 + [0.06] * rest + [0.9] * 300)) == final


def test_what_continues_is_not_final_yet() -> None:
    assert parts([0.06] * 20 + [0.6] * 100, delay=0) == [(20, 119)]


def test_the_usual_level_is_that_of_the_remembered_frames() -> None:
    """0.3 is much for somebody whose 0.9 is long ago."""
    story = [0.9] * 150 + [0.06] * 200 + [0.3] * 60 + [0.06] * 100
    assert parts(story, memory=1500) == [(0, 149)]
    assert parts(story, memory=150) == [(0, 149), (350, 409)]


@pytest.mark.parametrize("length", [None, usual(30, 0.35), usual(38, 0.35), usual(60, 0.35)])
@pytest.mark.parametrize("rest", [100, 300])
def test_what_follows_a_final_action_is_no_action_by_itself(length: Any, rest: Any) -> None:
    """Long rest makes it the usual level; an action again is found again, up to twice its typical length."""
    once = [0.06] * 20 + [0.6] * 60 + [0.06] * rest
    assert parts(once, lengths=(length,)) == [(20, 79)]
    assert parts(once + [0.6] * 60 + [0.06] * rest, lengths=(length,)) == [(20, 79), (80 + rest, 139 + rest)]


def test_an_action_longer_than_the_memory_stays_whole() -> None:
    story = [0.06] * 24 + [0.6] * 400 + [0.06] * 200
    assert parts(story, memory=150) == [(24, 423)]
    dip = [0.06] * 24 + [0.6] * 400 + [0.06] * 8 + [0.6] * 400 + [0.06] * 200
    assert parts(dip, memory=300) == [(24, 831)]


def test_an_action_that_continues_too_faintly_ends_where_memory_begins() -> None:
    """0.3 is much for this person until, at frame 360, a fifth of the 150 frames before have 0.9."""
    story = [0.06] * 24 + [0.3] * 300 + [0.9] * 100 + [0.06] * 100
    assert parts(story, memory=150) == [(24, 209), (324, 423)]
    assert parts(story, memory=1500) == [(324, 423)]


def test_an_action_ends_where_its_score_leaves_the_usual_level() -> None:
    assert parts([0.1] * 20 + [0.6] * 40 + [0.1] * 20) == [(20, 59)]


def test_the_level_is_the_persons_own() -> None:
    """0.3 is much for one and little for another."""
    assert parts([0.06] * 20 + [0.3] * 40) == [(20, 59)]
    assert parts([0.3] * 20 + [0.9] * 40) == [(20, 59)]


def test_a_person_whose_average_never_reaches_the_minimum_did_not_act() -> None:
    assert parts([0.11] * 30) == [(0, 29)]
    assert parts([0.09] * 30) == []
    assert parts([0.5] * 30, averages=[0.09] * 30) == []
    assert parts([0.125] * 30, min_score=0.125) == [(0, 29)]


def test_a_fall_within_the_noise_is_no_end() -> None:
    """The same fall of one logit in somebody steady, and in somebody whose every frame differs by as much."""
    steady = [0.6] * 40 + [0.35] * 40
    assert parts(steady) == [(0, 39)]
    wavering = [score + (0.2 if frame % 2 else -0.2) for frame, score in enumerate(steady)]
    assert parts(wavering) == [(0, 79)]


def test_noisy_scores_may_fall_by_their_noise() -> None:
    """Logits of ±1 in turn differ by 2 from frame to frame: a noise of √2, so that 2.89 may be lost, and not 3.6."""
    logits = np.array([1, -1] * 20)
    for fall, expected in ((2.6, [(0, 79)]), (3.6, [(0, 40)])):  # the 41st is a high one
        scores = 1 / (1 + np.exp(-np.concatenate([logits, logits - fall])))
        assert parts(scores.tolist(), averages=[0.5] * 80) == expected


def test_of_three_frames_half_a_logit_is_taken_for_noise() -> None:
    # 0.33 is 0.7 of a logit below 0.5; half a logit and the least noise allow for 1.17, the least alone for 0.6
    assert parts([0.5, 0.5, 0.33], averages=[0.5] * 3, change_cost=0) == [(0, 2)]


def test_the_level_is_that_of_the_averages() -> None:
    assert parts([0.5] * 30, averages=[0.5] * 30) == [(0, 29)]
    assert parts([0.5] * 30, averages=[0.9] * 30) == []


def test_faint_scores_are_separated_too() -> None:
    assert parts([0.02] * 20 + [0.08] * 40, min_score=0.05) == [(20, 59)]


def test_a_steady_score_may_fall_a_little() -> None:
    # 0.6 of a logit, twice the least noise, lies between 0.5 and 0.354: log(0.354 / 0.646) = -0.6
    assert parts([0.5] * 40 + [0.36] * 80, change_cost=0.1, level=0.9) == [(0, 119)]
    assert parts([0.5] * 40 + [0.34] * 80, change_cost=0.1, level=0.9) == [(0, 39)]


def test_one_frame_has_no_more_than_the_maximum_evidence() -> None:
    dip = [0.6] * 30 + [0.01] * 12 + [0.6] * 30
    assert parts(dip) == [(0, 29), (42, 71)]  # twelve frames that say −2 each are more than two changes at 10 each
    assert parts(dip, max_evidence=1.5) == [(0, 71)]  # 12 · 1.5 is less


def test_frames_without_a_detection_have_no_evidence_and_are_bridged() -> None:
    story = [0.6] * 20 + [0.05] * 30 + [0.6] * 20
    assert parts(story) == [(0, 19), (50, 69)]
    assert parts(story, undetected=range(20, 50)) == [(0, 69)]


def test_extrapolated_ends_are_trimmed() -> None:
    assert parts([0.6] * 30, undetected=[0, 1, 28, 29]) == [(2, 27)]
    assert parts([0.6] * 30, undetected=[0, 1, 28, 29], trim=False) == [(0, 29)]
    assert parts([0.6] * 30, undetected=range(30)) == []


@pytest.mark.parametrize(
    ("scores", "mean"),
    [
        ([], 0),
        ([0.5], 0.5),
        ([0.1, 0.9, 0.5], 0.7),  # (0.9 + 0.5) / 2
    ],
)
def test_the_mean_of_the_two_best(scores: Any, mean: Any) -> None:
    assert mean_of_best(np.array(scores, np.float32), 2) == pytest.approx(mean)


def test_an_empty_record_has_no_action_tubes() -> None:
    assert Segmentation()([]) == []


def test_an_extrapolated_tail_is_trimmed() -> None:
    story = linked([detected()] * 3 + [detected(person(100, run=0.8))] * 20 + [detected()] * 30)
    (tube,) = Segmentation()(history(story))
    assert (tube.label, tube.frames.tolist()) == (RUN, list(range(3, 23)))
    assert tube.boxes.shape == (20, 4)
    assert tube.score == pytest.approx(0.8)


def test_two_actions_one_after_the_other_are_two_tubes_of_one_person() -> None:
    acts = [person(100, run=0.8)] * 30 + [person(100, jump=0.8)] * 30
    run, jump = Segmentation()(history(linked([detected(act) for act in acts])))
    assert (run.label, jump.label) == (RUN, JUMP)
    assert run.frames[0] == 0
    assert jump.frames[-1] == 59
    assert run.frames[-1] == 29
    assert jump.frames[0] == 30


def test_an_action_that_fades_ends_where_it_fell_not_where_its_average_did() -> None:
    acts = [0.8] * 30 + [0.2] * 30
    (tube,) = Segmentation()(history(linked([detected(person(100, run=score)) for score in acts])))
    assert tube.frames[-1] == 29


def test_an_action_that_pauses_makes_two_tubes() -> None:
    acts = [0.8] * 30 + [0.06] * 30 + [0.8] * 30
    tubes = Segmentation()(history(linked([detected(person(100, run=score)) for score in acts])))
    assert [tube.label for tube in tubes] == [RUN, RUN]
    assert (tubes[0].frames[-1], tubes[1].frames[0]) == (29, 60)


@pytest.mark.parametrize("rate", [5.0, 10.0, 50.0, 100.0])
@pytest.mark.parametrize("length", [None, 60])
def test_the_same_seconds_are_cut_at_any_frame_rate(rate: float, length: int | None) -> None:
    """Acts of whole fifths of a second: what is final in time, and what an unusual length costs, goes by seconds."""
    acts = [(0.06, 20), (0.3, 40), (0.06, 80), (0.9, 100), (0.06, 60), (0.9, 75), (0.06, 100)]
    usual_ones = () if length is None else (usual(length, 0.3),)

    def told(at: float) -> list[tuple[float, float, float]]:
        story = [score for score, frames in acts for _ in range(round(frames * at / 25))]
        found = run_tubes(story, lengths=usual_ones, rate=at)
        return [(tube.frames[0] / at, (tube.frames[-1] + 1) / at, tube.score) for tube in found]

    assert told(25.0)
    assert told(rate) == [pytest.approx(one, abs=0.01) for one in told(25.0)]


@pytest.mark.parametrize(("rate", "least"), [(5.0, 1), (12.5, 3), (25.0, 6), (30000 / 1001, 7), (100.0, 24)])
def test_the_shortest_action_lasts_as_long_at_any_frame_rate(rate: float, least: int) -> None:
    for count in (least - 1, least):
        record = [(frame, tube_box(run=0.8)) for frame in range(count)]
        assert len(Segmentation()(record, rate)) == (count == least)


@pytest.mark.parametrize("rate", [5.0, 50.0])
def test_the_score_is_the_mean_of_as_many_seconds_at_any_frame_rate(rate: float) -> None:
    story = [score for score, seconds in ((0.5, 2.4), (0.6, 1.6), (0.7, 2.4)) for _ in range(round(seconds * rate))]
    (tube,) = run_tubes(story, rate=rate)
    assert tube.score == pytest.approx((60 * 0.7 + 20 * 0.6) / 80)


def test_five_boxes_are_no_action_and_six_are() -> None:
    for count, expected in ((5, []), (6, [SIT])):
        story = linked([detected(person(100, sit=0.8))] * count)
        assert [tube.label for tube in Segmentation()(history(story))] == expected


def test_the_score_is_the_mean_of_the_eighty_best() -> None:
    (tube,) = run_tubes([0.5] * 60 + [0.6] * 40 + [0.7] * 60)
    assert tube.score == pytest.approx((60 * 0.7 + 20 * 0.6) / 80)
