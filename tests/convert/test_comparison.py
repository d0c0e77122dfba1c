"""Two models' answers beside each other: peaks and events that go together, and those that do not."""

from dataclasses import replace

import numpy as np
import pytest

from convert.comparison import Agreement, agreement, unmatched
from edge.events import Event
from tests.support.some_event import some_event

LEFT, RIGHT = (0.0, 0.0, 10.0, 20.0), (50.0, 0.0, 60.0, 20.0)


def outputs(*peaks: tuple[tuple[float, ...], float, int]) -> dict[str, np.ndarray]:
    """Of one image; every peak a box, a score and a label of two."""
    boxes, scores, labels = zip(*peaks, strict=True)
    class_scores = np.zeros((1, len(peaks), 2), np.float32)
    class_scores[0, range(len(peaks)), labels] = scores
    return {
        "boxes": np.array([boxes], np.float32),
        "scores": np.array([scores], np.float32),
        "labels": np.array([labels], np.int64),
        "class_scores": class_scores,
    }


def largest(found: Agreement) -> dict[str, float]:
    return {one.output: one.largest for one in found.differences}


def test_the_same_answers_differ_by_nothing() -> None:
    same = outputs((LEFT, 0.9, 0), (RIGHT, 0.5, 1))
    found = agreement([(same, same)])
    assert (found.peaks, found.lost, found.extra) == (2, 0, 0)
    assert largest(found) == {"boxes": 0, "scores": 0, "class_scores": 0}


def test_peaks_are_matched_by_place_and_not_by_order() -> None:
    exact = outputs((LEFT, 0.6, 0), (RIGHT, 0.5, 1))
    moved = tuple(value + 0.5 for value in LEFT)
    found = agreement([(exact, outputs((RIGHT, 0.75, 1), (moved, 0.5, 0)))])
    assert found.lost == 0
    assert largest(found) == pytest.approx({"boxes": 0.5, "scores": 0.25, "class_scores": 0.25})
    means = {one.output: one.mean for one in found.differences}
    # class scores: 0.1, 0 of LEFT and 0, 0.25 of RIGHT
    assert means == pytest.approx({"boxes": 0.25, "scores": 0.175, "class_scores": 0.35 / 4}, abs=1e-6)


def test_peaks_of_another_label_or_place_are_lost_and_invented() -> None:
    exact = outputs((LEFT, 0.9, 0), (RIGHT, 0.8, 0))
    found = agreement([(exact, outputs((LEFT, 0.9, 1), (RIGHT, 0.8, 0)))])
    assert (found.peaks, found.lost, found.extra) == (2, 1, 1)


def test_weak_peaks_do_not_matter_and_no_frames_are_no_difference() -> None:
    found = agreement([(outputs((LEFT, 0.05, 0)), outputs((RIGHT, 0.04, 1)))])
    assert (found.peaks, found.lost, found.extra) == (0, 0, 0)
    assert agreement([]).peaks == 0
    assert largest(agreement([])) == {"boxes": 0, "scores": 0, "class_scores": 0}


def event(action: str = "Run", start: float = 1.0, box: tuple[float, ...] = LEFT) -> Event:
    began = {"started_unix": start, "started_monotonic": start, "t_capture": start}
    return some_event(box, action=action, frame_size=(64, 64), **began)


def test_events_of_the_same_action_place_and_time_are_the_same() -> None:
    assert unmatched([event()], [event(start=1.4)]) == ()
    for other in (event("Jump"), event(start=1.6), event(box=RIGHT)):
        assert len(unmatched([event()], [other])) == 1


def test_every_event_counts_once_and_only_beginnings_count() -> None:
    assert len(unmatched([event(), event()], [event()])) == 1
    assert unmatched([replace(event(), type="end")], []) == ()
    assert len(unmatched([event()], [replace(event(), type="update")])) == 1
    assert unmatched([], [event()]) == ()
