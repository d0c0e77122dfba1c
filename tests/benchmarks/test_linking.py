"""What linkers are compared by: the plain tracker, the daemon's delays, and the tables."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import iou_tracker, linking
from benchmarks.iou_tracker import TrackerState
from benchmarks.timing import ROOM, Delays, PublishedEvent, delays, median_delay, published_events
from tests.support.people import JUMP, LABELS, RUN, SIT, detected, person, standing, tube_box
from train.box_tables import Tube
from train.datasets.annotation_records import DataSet, GroundTruthTube, VideoAnnotation


def tracked(frames: Any) -> Any:
    state, story = TrackerState(), []
    for one in frames:
        state, boxes = iou_tracker.step(state, one)
        story.append(boxes)
    return story


def paths(story: Any) -> Any:
    return iou_tracker.action_tubes([(frame, one) for frame, boxes in enumerate(story) for one in boxes])


def test_the_plain_tracker_follows_overlaps_and_forgets_at_once() -> None:
    walk = [detected(person(100 + 5 * t, run=0.8)) for t in range(10)]
    (tube,) = paths(tracked(walk))
    assert (tube.label, tube.frames.tolist(), tube.score) == (RUN, list(range(10)), pytest.approx(0.8))
    assert len(paths(tracked([*walk, detected(), *walk[::-1]]))) == 2


@pytest.mark.parametrize(("stride", "tubes"), [(21, 1), (22, 2)])  # 19 / 61 of 40 wide is over 0.3, 18 / 62 is not
def test_the_plain_trackers_least_overlap(stride: float, tubes: int) -> None:
    story = tracked([detected(person(100, run=0.8)), detected(person(100 + stride, run=0.8))])
    assert len({one.tube for boxes in story for one in boxes}) == tubes


def test_the_plain_tracker_takes_the_best_overlap_and_each_box_once() -> None:
    first = detected(person(100, run=0.9), person(125, run=0.8))
    story = tracked([first, detected(person(110, run=0.8), person(135, jump=0.9))])
    assert [(one.tube, one.box[0]) for one in story[1]] == [(1, 90), (2, 115)]
    alone = tracked([first, detected(person(112, run=0.9))])
    assert [one.tube for one in alone[1]] == [1]


def test_the_plain_trackers_class_is_that_of_most() -> None:
    frames = [detected(person(100, jump=0.4))] * 3 + [detected(person(100, run=0.3))] * 4
    story = tracked(frames)
    assert [boxes[0].label for boxes in story] == [JUMP] * 5 + [RUN] * 2
    (tube,) = paths(story)
    assert (tube.label, tube.score) == (RUN, pytest.approx((3 * 0.4 + 4 * 0.3) / 7))


def test_the_plain_tracker_drops_short_and_faint_tubes() -> None:
    assert paths(tracked([detected(person(100, run=0.8))] * 5)) == []
    assert paths(tracked([detected(person(100, run=0.14))] * 9)) == []
    assert tracked([detected(person(100, run=0.04))]) == [()]
    assert len(paths(tracked([detected(person(100, run=0.14))] * 8 + [detected(person(100, run=0.15))]))) == 1


def test_peaks_on_one_person_are_one_to_the_plain_tracker() -> None:
    assert [len(boxes) for boxes in tracked([detected(person(100, run=0.8), person(102, jump=0.6))] * 2)] == [1, 1]


def truth(first: int, last: int, x: float = 120.0, label: int = RUN) -> Any:
    return Tube(0, label, 1.0, first, np.tile(np.array([standing(x)], np.float32), (last - first + 1, 1)))


def live(first: int, last: int, length: Any, **scores: Any) -> Any:
    """Somebody standing at 120 who is seen from `first` to `last` in a video of `length` frames."""
    return [(tube_box(box=standing(120), **scores),) if first <= t <= last else () for t in range(length)]


def test_events_are_published_as_by_the_daemon() -> None:
    # half a second at 25 frames: found in 10, published in 23 (12 frames are 0.48 s); lost in frame 60
    assert published_events(live(10, 59, 100, run=0.8), LABELS, (320, 240)) == [PublishedEvent(1, RUN, 23, 60)]
    assert published_events(live(10, 99, 100, run=0.8), LABELS, (320, 240)) == [PublishedEvent(1, RUN, 23)]
    assert published_events(live(10, 99, 100, run=0.1), LABELS, (320, 240)) == []


def test_delays_are_from_the_first_frame_to_new_and_from_the_last_to_end() -> None:
    published = [PublishedEvent(1, RUN, 33, 70)]
    assert delays(published, live(0, 70, 200, run=0.8), [truth(20, 49)]) == Delays((13,), (21,), 0, 200)
    assert delays(published, live(0, 70, 200, run=0.8), [truth(40, 49)]).begins == (-7,)


def test_an_end_is_counted_only_where_enough_frames_follow() -> None:
    for length, ends in ((49 + ROOM, ()), (50 + ROOM, (None,))):
        assert delays([PublishedEvent(1, RUN, 33)], live(0, 300, length, run=0.8), [truth(20, 49)]).ends == ends
    assert delays([], live(0, 300, 400, run=0.8), [truth(20, 49)]).ends == ()  # what was never published does not end


def test_the_first_new_and_the_last_end_count() -> None:
    published = [PublishedEvent(1, RUN, 33, 40), PublishedEvent(1, RUN, 45, 60)]
    assert delays(published, live(0, 70, 200, run=0.8), [truth(20, 49)]) == Delays((13,), (11,), 0, 200)
    unfinished = [PublishedEvent(1, RUN, 33, 40), PublishedEvent(1, RUN, 45)]
    assert delays(unfinished, live(0, 70, 200, run=0.8), [truth(20, 49)]).ends == (None,)


@pytest.mark.parametrize(
    ("event", "true"),
    [
        (PublishedEvent(1, JUMP, 30, 40), truth(20, 49)),  # another action
        (PublishedEvent(1, RUN, 50, 60), truth(20, 49)),  # too late
        (PublishedEvent(1, RUN, 5, 19), truth(20, 49)),  # over before
        (PublishedEvent(2, RUN, 30, 40), truth(20, 49)),  # somebody who is not there
        (PublishedEvent(1, RUN, 30, 40), truth(20, 49, x=120 + 22)),  # 18 / 62 of it
    ],
)
def test_an_event_of_nothing_is_false(event: Any, true: Any) -> None:
    assert delays([event], live(0, 70, 200, run=0.8), [true]) == Delays((None,), (), 1, 200)


@pytest.mark.parametrize("event", [PublishedEvent(1, RUN, 49), PublishedEvent(1, RUN, 5, 20)])
def test_one_frame_on_the_true_box_is_enough(event: Any) -> None:
    assert delays([event], live(0, 70, 110, run=0.8), [truth(20, 49, x=120 + 21)]).false == 0


def test_false_events_are_counted_by_the_hour() -> None:
    assert (Delays(false=1, frames=90_000) + Delays(false=2)).false_per_hour == 3
    assert Delays().false_per_hour == 0


@pytest.mark.parametrize(
    ("values", "expected"), [([3, None, 1], 3), ([None, None, 1], np.inf), ([1, 2], 1.5), ([None, 2, 2, None], np.inf)]
)
def test_the_median_delay_counts_what_never_came(values: Any, expected: Any) -> None:
    assert median_delay(values) == expected
    assert np.isnan(median_delay([]))


def test_both_tables_are_printed_for_every_linker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tube = GroundTruthTube(SIT, 5, np.tile(np.array([standing(120)], np.float32), (60, 1)))
    videos = tuple(VideoAnnotation(f"Sit/v_Sit_g01_c0{i}", 80, (tube,)) for i in (1, 2))
    monkeypatch.setattr("train.datasets.loader.load", lambda path: DataSet(LABELS, (), videos, tmp_path))
    for jobs in ("1", "2"):
        monkeypatch.setattr(sys, "argv", ["linking", "data.pkl", "--jobs", jobs])
        linking.main()
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "2 of 2 videos, 160 frames"
        names = [line.split(" | ")[0].strip("| ") for line in lines if line.startswith("| ")]
        assert names == ["linker", *linking.rules({}, ()), "linker", *linking.rules({}, ())]
        row = next(line for line in lines if line.startswith("| default |"))
        assert float(row.split(" | ")[1]) > 50
