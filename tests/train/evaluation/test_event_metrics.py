"""Events of saved detections, counted against the true actions. Ten frames a second."""

from dataclasses import replace

import numpy as np
import pytest

from edge.default_linker import DefaultLinker, LinkerSettings
from edge.event_settings import ActionSettings, EventSettings
from tests.support.made_detections import AWAY, LABELS, PERSON, QUICK, RATE, seen, true
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.evaluation.detection_file import SavedDetections
from train.evaluation.event_counts import HOUR, EventCounts, as_table, total
from train.evaluation.event_metrics import count_events, settings_at, settings_by_action, truth_by_video


def counted(
    found: SavedDetections, *truth: GroundTruthTube, rule: EventSettings = QUICK, linker: DefaultLinker | None = None
) -> EventCounts:
    return total(count_events(found, {"a": VideoAnnotation("a", 0, truth)}, linker or DefaultLinker(), [rule])[0])


def test_an_event_on_a_true_action_is_right() -> None:
    found = counted(seen([(20, 60, PERSON, 0, 0.9)]), true(20, 60))
    assert (found.actions, found.recalled, found.events, found.wrong, found.false_alarms) == (1, 1, 1, 0, 0)
    assert (found.seconds, found.idle_seconds) == (10.0, 6.0)
    assert (found.recall, found.precision) == (1, 1)


def test_the_delay_runs_from_the_action_to_the_publication() -> None:
    """The score must stay for half a second."""
    on_time = counted(seen([(20, 60, PERSON, 0, 0.9)]), true(20, 60))
    early = counted(seen([(20, 60, PERSON, 0, 0.9)]), true(45, 60))
    assert 0.5 <= on_time.delay <= 0.8  # and reach the start score, smoothed
    assert early.delay == pytest.approx(on_time.delay - 2.5)
    assert (early.events, early.false_alarms) == (1, 0)  # right, however early it began


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
    found = counted(seen([(20, 60, PERSON, 0, 0.9)]), truth)
    assert (found.events, found.recalled, found.wrong) == (1, int(right), int(not right))


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
    found = counted(seen([span]), true(20, 60))
    assert (found.recalled, found.events, found.wrong, found.false_alarms) == (0, 1, 1, alarms)
    assert np.isnan(found.delay)
    assert (found.recall, found.precision) == (0, 0)


def test_alarms_are_counted_by_the_hour_without_action() -> None:
    found = counted(seen([(70, 95, PERSON, 0, 0.9)]), true(20, 60))
    assert found.false_alarms_per_hour == pytest.approx(HOUR / 6)
    assert 20 <= found.above_start_score <= 25  # frames in which the smoothed score is at 0.4 or above
    assert found.above_start_score_per_hour == pytest.approx(found.above_start_score * HOUR / 6)


def test_two_events_on_one_action_recall_it_once_and_at_the_first() -> None:
    found = counted(
        seen([(10, 30, PERSON, 0, 0.9), (60, 90, PERSON, 0, 0.9)]),
        true(10, 90),
        linker=DefaultLinker(LinkerSettings(max_missed_seconds=0.12)),
    )
    assert (found.actions, found.recalled, found.events, found.wrong) == (1, 1, 2, 0)
    assert found.delay < 1


def test_one_event_over_two_actions_recalls_both() -> None:
    found = counted(seen([(10, 90, PERSON, 0, 0.9)]), true(10, 30), true(50, 90))
    assert (found.recalled, found.events, found.wrong) == (2, 1, 0)
    assert min(found.delays) < -3  # of the second it was published before that began


def test_an_event_that_is_open_at_the_end_of_a_video_counts() -> None:
    found = counted(seen([(80, 100, PERSON, 0, 0.9)]), true(80, 100))
    assert (found.recalled, found.events) == (1, 1)


def test_videos_add_up_and_settings_stand_side_by_side() -> None:
    one = seen([(20, 60, PERSON, 0, 0.5)])
    two = replace(one, video_names=("a", "b"), frame_counts=np.array([100, 50]), frame_sizes=np.array([[320, 240]] * 2))
    two = two.at_rate(RATE)
    counts = count_events(
        two,
        {"a": VideoAnnotation("a", 100, (true(20, 60),))},
        DefaultLinker(),
        [settings_at(0.2), settings_at(0.8)],
    )
    low, high = map(total, counts)
    assert (low.seconds, low.idle_seconds, low.recalled) == (15, 11, 1)
    assert (high.seconds, high.idle_seconds, high.recalled) == (15, 11, 0)


def test_keep_score_stays_in_proportion() -> None:
    usual = ActionSettings()
    assert settings_at(usual.start_score).default == usual
    assert settings_at(0.5).default.keep_score == pytest.approx(0.5 * usual.keep_score / usual.start_score)


def test_actions_may_begin_at_scores_of_their_own() -> None:
    found = seen([(20, 60, PERSON, 0, 0.5), (20, 60, AWAY, 1, 0.5)])
    ((run, jump),) = count_events(found, {}, DefaultLinker(), [settings_by_action({"Run": 0.9, "Jump": 0.3})])
    assert (run.events, run.above_start_score) == (0, 0)
    assert jump.events == 1
    assert jump.above_start_score > 30


def test_true_labels_become_those_of_the_detections() -> None:
    video = VideoAnnotation("a", 100, (true(0, 10, label=1),))
    assert truth_by_video([video], ("Jump", "Run"), seen([]))["a"].tubes[0].label == LABELS.index("Run")


def test_the_table_has_a_line_for_each_setting() -> None:
    counts = counted(seen([(20, 60, PERSON, 0, 0.9)]), true(20, 60))
    head, _, *rows = as_table([("0.2", counts), ("0.5", counts)]).splitlines()
    assert "0.00 h" in head
    assert [row.split()[0] for row in rows] == ["0.2", "0.5"]
    assert "100.0 %" in rows[0]


def test_each_action_has_counts_of_its_own() -> None:
    found = seen([(20, 60, PERSON, 0, 0.9), (20, 60, AWAY, 1, 0.9)])
    ((run, jump),) = count_events(found, {"a": VideoAnnotation("a", 100, (true(20, 60),))}, DefaultLinker(), [QUICK])
    assert (run.actions, run.recalled, run.events, run.wrong) == (1, 1, 1, 0)
    assert (jump.actions, jump.recalled, jump.events, jump.wrong) == (0, 0, 1, 1)
    assert total((run, jump)).seconds == run.seconds == 10


def test_tubes_start_where_events_begin_by_each_rule_for_itself() -> None:
    """A person of whom the model is never sure: seen by the rule that begins at less alone, whatever their order."""
    found = seen([(20, 60, PERSON, 0, 0.12)])
    for scores in ((0.1, 0.2, 0.08), (0.2, 0.1, 0.2)):
        counts = count_events(found, {}, DefaultLinker(), [settings_at(score) for score in scores])
        assert [total(one).events for one in counts] == [int(score < 0.12) for score in scores]
    ((run, jump),) = count_events(found, {}, DefaultLinker(), [settings_by_action({"Jump": 0.1})])
    assert (run.events, jump.events) == (0, 0)  # what begins at less is another action
