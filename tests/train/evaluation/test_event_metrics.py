"""Events told of saved detections, beside the actions that are true. Ten frames a second."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.default_linker import DefaultLinker, LinkerSettings
from edge.events import ActionSettings, EventSettings
from tests.support.made_detections import AWAY, LABELS, PERSON, QUICK, RATE, seen, true
from train.datasets.annotations import GroundTruthTube, VideoAnnotation
from train.evaluation import start_scores
from train.evaluation.detection_file import SavedDetections
from train.evaluation.event_metrics import HOUR, Tally, as_table, at_score, at_scores, best, of_all, tell, truth_of
from train.evaluation.splits import EvaluationError


def tally(
    found: SavedDetections, *truth: GroundTruthTube, rule: EventSettings = QUICK, linker: DefaultLinker | None = None
) -> Tally:
    return of_all(tell(found, {"a": VideoAnnotation("a", 0, truth)}, RATE, linker or DefaultLinker(), [rule])[0])


def test_an_event_on_a_true_action_is_right() -> None:
    found = tally(seen([(20, 60, PERSON, 0, 0.9)]), true(20, 60))
    assert (found.actions, found.told, found.events, found.wrong, found.alarms) == (1, 1, 1, 0, 0)
    assert (found.seconds, found.idle) == (10.0, 6.0)
    assert (found.recall, found.precision) == (1, 1)


def test_the_delay_runs_from_the_action_to_the_publication() -> None:
    """The score must stay for half a second."""
    on_time = tally(seen([(20, 60, PERSON, 0, 0.9)]), true(20, 60))
    early = tally(seen([(20, 60, PERSON, 0, 0.9)]), true(45, 60))
    assert 0.5 <= on_time.delay <= 0.8  # and reach the start score, smoothed
    assert early.delay == pytest.approx(on_time.delay - 2.5)
    assert (early.events, early.alarms) == (1, 0)  # right, however early it began


@pytest.mark.parametrize(
    ("truth", "right"),
    [
        (true(0, 20), False),
        (true(0, 21), True),  # in the event's first frame alone
        (true(59, 100), True),  # in its last
        (true(60, 100), False),
        (true(20, 60, box=(36.0, 30.0, 76.0, 110.0)), True),  # IoU 24 / 56
        (true(20, 60, box=(44.0, 30.0, 84.0, 110.0)), False),  # 16 / 64
    ],
)
def test_one_frame_of_the_same_person_is_enough(truth: GroundTruthTube, right: bool) -> None:
    found = tally(seen([(20, 60, PERSON, 0, 0.9)]), truth)
    assert (found.events, found.told, found.wrong) == (1, int(right), int(not right))


@pytest.mark.parametrize(
    ("span", "alarms"),
    [
        ((20, 60, PERSON, 1, 0.9), 0),  # another action, while there is one
        ((20, 60, AWAY, 0, 0.9), 0),  # another place
        ((70, 95, PERSON, 0, 0.9), 1),  # another time
    ],
)
def test_an_event_beside_every_true_action_is_wrong(
    span: tuple[int, int, tuple[float, ...], int, float], alarms: int
) -> None:
    found = tally(seen([span]), true(20, 60))
    assert (found.told, found.events, found.wrong, found.alarms) == (0, 1, 1, alarms)
    assert np.isnan(found.delay)
    assert (found.recall, found.precision) == (0, 0)


def test_alarms_are_counted_by_the_hour_without_action() -> None:
    found = tally(seen([(70, 95, PERSON, 0, 0.9)]), true(20, 60))
    assert found.alarms_per_hour == pytest.approx(HOUR / 6)
    assert 20 <= found.loud <= 25  # frames in which the smoothed score is at 0.4 or above
    assert found.loud_per_hour == pytest.approx(found.loud * HOUR / 6)


def test_two_events_on_one_action_tell_it_once_and_at_the_first() -> None:
    found = tally(
        seen([(10, 30, PERSON, 0, 0.9), (60, 90, PERSON, 0, 0.9)]),
        true(10, 90),
        linker=DefaultLinker(LinkerSettings(max_missed=3)),
    )
    assert (found.actions, found.told, found.events, found.wrong) == (1, 1, 2, 0)
    assert found.delay < 1


def test_one_event_over_two_actions_tells_both() -> None:
    found = tally(seen([(10, 90, PERSON, 0, 0.9)]), true(10, 30), true(50, 90))
    assert (found.told, found.events, found.wrong) == (2, 1, 0)
    assert min(found.delays) < -3  # of the second it was published before that began


def test_an_event_that_goes_on_at_the_end_of_a_video_counts() -> None:
    found = tally(seen([(80, 100, PERSON, 0, 0.9)]), true(80, 100))
    assert (found.told, found.events) == (1, 1)


def test_videos_add_up_and_settings_stand_side_by_side() -> None:
    one = seen([(20, 60, PERSON, 0, 0.5)])
    two = replace(one, video_names=("a", "b"), frame_counts=np.array([100, 50]), frame_sizes=np.array([[320, 240]] * 2))
    told = tell(
        two, {"a": VideoAnnotation("a", 100, (true(20, 60),))}, RATE, DefaultLinker(), [at_score(0.2), at_score(0.8)]
    )
    low, high = map(of_all, told)
    assert (low.seconds, low.idle, low.told) == (15, 11, 1)
    assert (high.seconds, high.idle, high.told) == (15, 11, 0)


def test_the_score_to_go_on_at_keeps_its_proportion() -> None:
    usual = ActionSettings()
    assert at_score(usual.start_score).default == usual
    assert at_score(0.5).default.keep_score == pytest.approx(0.5 * usual.keep_score / usual.start_score)


def test_actions_may_begin_at_scores_of_their_own() -> None:
    found = seen([(20, 60, PERSON, 0, 0.5), (20, 60, AWAY, 1, 0.5)])
    ((run, jump),) = tell(found, {}, RATE, DefaultLinker(), [at_scores({"Run": 0.9, "Jump": 0.3})])
    assert (run.events, run.loud) == (0, 0)
    assert jump.events == 1
    assert jump.loud > 30


def test_true_labels_become_those_of_the_detections() -> None:
    video = VideoAnnotation("a", 100, (true(0, 10, label=1),))
    assert truth_of([video], ("Jump", "Run"), seen([]))["a"].tubes[0].label == LABELS.index("Run")


def test_the_table_has_a_line_for_each_setting() -> None:
    told = tally(seen([(20, 60, PERSON, 0, 0.9)]), true(20, 60))
    head, _, *rows = as_table([("0.2", told), ("0.5", told)]).splitlines()
    assert "0.00 h" in head
    assert [row.split()[0] for row in rows] == ["0.2", "0.5"]
    assert "100.0 %" in rows[0]


def test_what_is_not_known_is_a_dash() -> None:
    """No action, no event, no time without one."""
    (*_, row) = as_table([("0.2", Tally())]).splitlines()
    assert row.split() == ["0.2", "0", "-", "-", "0", "-", "0", "-", "-"]


def test_each_action_has_a_tally_of_its_own() -> None:
    found = seen([(20, 60, PERSON, 0, 0.9), (20, 60, AWAY, 1, 0.9)])
    ((run, jump),) = tell(found, {"a": VideoAnnotation("a", 100, (true(20, 60),))}, RATE, DefaultLinker(), [QUICK])
    assert (run.actions, run.told, run.events, run.wrong) == (1, 1, 1, 0)
    assert (jump.actions, jump.told, jump.events, jump.wrong) == (0, 0, 1, 1)
    assert of_all((run, jump)).seconds == run.seconds == 10


def scored(told: int, wrong: int) -> Tally:
    """Of ten actions."""
    return Tally(actions=10, told=told, events=told + wrong, wrong=wrong)


SCORES = (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((scored(9, 9), scored(8, 2), scored(2, 0)), 0.2),
        ((scored(9, 9), scored(8, 4), scored(5, 0)), 0.3),  # fewer, but all right; of equal weight 0.2 would win
        ((scored(9, 1), scored(9, 1), scored(1, 9)), 0.2),  # the higher of equals
        ((scored(0, 9), scored(0, 0), scored(0, 0)), None),
    ],
)
def test_the_best_start_score(told: tuple[Tally, ...], expected: float | None) -> None:
    assert best(SCORES, [(tally,) for tally in told]) == (expected,)


def test_a_start_score_that_is_not_quiet_is_not_chosen() -> None:
    told = [(scored(9, 0), scored(9, 0)), (scored(5, 0), scored(5, 0)), (scored(1, 0), scored(1, 0))]
    quiet = [(Tally(events=1), Tally()), (Tally(), Tally(events=1)), (Tally(), Tally())]
    assert best(SCORES, told, quiet) == (0.2, 0.1)
    assert best(SCORES, told, [(Tally(events=1), Tally(events=2))] * 3) == (None, None)


def test_without_time_or_events_there_is_no_rate() -> None:
    assert np.isnan(Tally().alarms_per_hour)
    assert np.isnan(Tally().precision)
    assert np.isnan(Tally().recall)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"start_scores": 5}', '{"start_scores": {"run": "x"}}', '{"start_scores": {"run": 2}}']
)
def test_what_holds_no_start_scores(content: str, tmp_path: Path) -> None:
    path = tmp_path / "start.json"
    with pytest.raises(EvaluationError, match=r"start\.json: cannot be read .*; give what events --choose wrote"):
        start_scores.load(path)
    path.write_text(content)
    with pytest.raises(
        EvaluationError, match=r"start\.json: holds no start scores .*; give what events --choose wrote"
    ):
        start_scores.load(path)
