"""What to film next: each rule by its numbers, and the incidents that it names."""

from dataclasses import replace

import numpy as np
import pytest

from convert.report import advice
from convert.report.incidents import Incidents, incidents_of
from convert.report.results import ClassScenes, RunResults, Scores
from edge.default_linker import DefaultLinker
from tests.support.made_detections import AWAY, LABELS, PERSON, QUICK, seen, true
from train.box_tables import joined
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.evaluation.bootstrap import Interval
from train.evaluation.error_analysis import ErrorShares
from train.evaluation.event_counts import EventCounts
from train.evaluation.event_judgement import judge_events
from train.evaluation.metrics import Curve, OperatingPoint
from train.evaluation.protocols import Protocol
from train.evaluation.report import ClassReport, Report

FINE = EventCounts(3600, 1800, 10, 10, (), 10, 0, 0, 0)
ENOUGH = {"Run": ClassScenes(4, 9, 3, 5), "Jump": ClassScenes(4, 9, 3, 5)}
NO_ERRORS = ErrorShares(0, 0, 0, 0, 0, (0, 0, 0, 0))
NARROW = Interval(0.8, 1.0)
NOTHING_STANDS_OUT = ["Nothing stands out. More scenes still help more than more minutes of the same."]


def of_class(label: str, errors: ErrorShares = NO_ERRORS) -> ClassReport:
    return ClassReport(label, 10, 5, 0.9, 0.9, {}, OperatingPoint(0.5, 1, 1, 1), errors)


def results(
    counts: EventCounts = FINE,
    interval: Interval = NARROW,
    confusion: tuple[int, int, int] = (10, 0, 0),
    loose: float = 0.0,
) -> RunResults:
    """Of two actions; the second one is fine."""
    matrix = np.array([confusion, (0, 10, 0), (0, 0, 0)])
    curve = Curve(np.zeros(0, np.float32), np.zeros(0), np.zeros(0), 10)
    rows = (of_class("Run", replace(NO_ERRORS, localisation=loose)), of_class("Jump"))
    report = Report(Protocol(), rows, (curve, curve), matrix, 0.5)
    scores = Scores(
        "test", {}, report, (interval, interval), interval, (0.5, 0.5), (counts, FINE), Incidents((), (), ()), {},
        joined([]), {},
    )  # fmt: skip
    return RunResults({}, ENOUGH, 1, scores)


def test_nothing_stands_out() -> None:
    assert advice.advice(results()) == NOTHING_STANDS_OUT


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (results(replace(FINE, recalled=6)), "6 of 10 actions Run got an event: film more of it as it looks there"),
        (results(replace(FINE, wrong=4)), "4 of 10 events of Run are wrong: film what looks like it but is not"),
        (results(confusion=(7, 3, 0)), "Run is taken for Jump in 30 % of its boxes: film both in the same scenes"),
        (results(loose=0.3), "Boxes of Run lie beside the person or are loose: correct them in CVAT"),
    ],
)
def test_rules_on_figures(found: RunResults, sentence: str) -> None:
    (only,) = advice.advice(found)
    assert only.startswith(sentence)


@pytest.mark.parametrize(
    "found",
    [
        results(replace(FINE, recalled=7)),
        results(replace(FINE, wrong=3)),
        results(confusion=(8, 2, 0)),
        results(confusion=(1, 0, 9)),  # missed, not taken for another
        results(EventCounts()),  # nothing happened
    ],
)
def test_at_their_limits_rules_are_silent(found: RunResults) -> None:
    assert advice.advice(found) == NOTHING_STANDS_OUT


def test_rules_on_scenes() -> None:
    scarce = replace(
        results(), scenes={"Run": ClassScenes(3, 8, 3, 3), "Jump": ClassScenes(0, 0, 1, 1)}, quiet_videos=0
    )
    first, second, third, fourth = advice.advice(scarce)
    assert first.startswith("Run is learned from 3 scenes (8 tubes)")
    assert second.startswith("Jump is in no scene that was learned from: film or annotate it in 4 at least")
    assert third.startswith("Jump is scored on one scene: its figures say little")
    assert fourth.startswith("No video shows nothing")
    wide = advice.advice(results(interval=Interval(0.2, 0.9)))
    assert wide[0].startswith("How well Run is found is known roughly only")


def happened(found: list[tuple[int, int, tuple[float, ...], int, float]], *truth: GroundTruthTube) -> Incidents:
    videos = {"a": VideoAnnotation("a", 0, truth)}
    return incidents_of(list(judge_events(seen(found), videos, DefaultLinker(), QUICK)), LABELS)


def test_what_was_late_missed_or_wrong() -> None:
    """Ten frames a second; the person is seen three seconds after they begin, and another at another place."""
    found = happened([(30, 60, PERSON, 0, 0.9), (70, 95, AWAY, 1, 0.8)], true(0, 60), true(80, 95))
    (late,), (missed,), (wrong,) = found.late, found.missed, found.false_events
    assert late.late is not None
    assert 3.4 < late.late < 4
    assert (late.action, late.seconds, late.lasts) == ("Run", 0, 6)
    assert (missed.action, missed.seconds, missed.lasts, missed.late, missed.frame) == ("Run", 8, 1.5, None, 87)
    assert (wrong.video, wrong.action, wrong.event.right) == ("a", "Jump", False)
    assert 70 <= wrong.event.best < 95
    assert wrong.event.box == pytest.approx(AWAY, abs=1)


def test_in_time_is_no_incident() -> None:
    found = happened([(20, 60, PERSON, 0, 0.9)], true(20, 60))
    assert (found.late, found.missed, found.false_events) == ((), (), ())
