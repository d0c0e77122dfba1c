"""Stories of people and the tubes that the default linker makes of them."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.default_linker import DefaultLinker, LinkerSettings, for_events
from edge.event_settings import ActionSettings, EventSettings
from edge.korsal_linker import KorsalLinker
from edge.linker import UNIT, initial
from tests.support.people import JUMP, LABELS, LINKER, RUN, detected, linked, person, standing


def tube_at(tube_boxes: Any, x: float) -> Any:
    """The number of the tube whose centre is nearest to x."""
    return min(tube_boxes, key=lambda b: abs((b.box[0] + b.box[2]) / 2 - x)).tube


def tubes_of(story: Any) -> Any:
    return {tube_box.tube for tube_boxes in story for tube_box in tube_boxes}


def test_no_detections_no_tubes() -> None:
    assert linked([detected()] * 5) == [()] * 5


def test_one_person_is_one_tube_from_the_first_frame_on() -> None:
    story = linked([detected(person(50 + 4 * t, run=0.8)) for t in range(20)])
    assert [[b.tube for b in boxes] for boxes in story] == [[1]] * 20
    assert all(b.observed and b.label == RUN for boxes in story for b in boxes)
    assert story[-1][0].box == pytest.approx(standing(50 + 4 * 19), abs=2)


def test_two_people_keep_their_tubes_when_they_cross() -> None:
    frames = [detected(person(20 + 8 * t, run=0.8), person(300 - 8 * t, run=0.7, y=110)) for t in range(36)]
    story = linked(frames)
    assert tubes_of(story) == {1, 2}
    assert tube_at(story[0], 20) == tube_at(story[-1], 300)
    assert tube_at(story[0], 300) == tube_at(story[-1], 20)


def test_a_person_is_the_same_after_passing_behind_a_post() -> None:
    frames = [detected(person(20 + 6 * t, run=0.8)) if not 15 <= t < 23 else detected() for t in range(40)]
    story = linked(frames)
    assert tubes_of(story) == {1}
    assert [boxes[0].observed for boxes in story] == [not 15 <= t < 23 for t in range(40)]


def test_behind_the_post_the_person_walks_on_and_slows_down() -> None:
    story = linked([detected(person(20 + 6 * t, run=0.8)) if t < 15 else detected() for t in range(25)])
    centres = [(boxes[0].box[0] + boxes[0].box[2]) / 2 for boxes in story[14:]]
    strides = np.diff(centres)
    assert (strides > 0).all()
    assert (np.diff(strides) < 0).all()
    scores = [boxes[0].score for boxes in story[14:]]
    assert scores == pytest.approx([0.8 * 0.6**n for n in range(11)])  # and the score fades


@pytest.mark.parametrize(("hidden", "tubes"), [(30, {1}), (31, {1, 2})])
def test_a_person_hidden_for_longer_than_max_missed_comes_back_as_another(hidden: Any, tubes: int) -> None:
    seen = [detected(person(100, run=0.8))] * 10
    story = linked(seen + [detected()] * hidden + seen)
    assert tubes_of(story) == tubes
    assert sum(bool(boxes) and not boxes[0].observed for boxes in story) == 30


def test_scores_fade_through_skipped_frames_too() -> None:
    state = initial()
    for number in range(10):
        state, _ = LINKER.step(state, detected(person(100, run=0.8)), number * UNIT)
    _, (tube,) = LINKER.step(state, detected(), 13 * UNIT)
    assert tube.score == pytest.approx(0.8 * 0.6**4)


def test_a_flash_of_one_frame_leaves_nothing_behind() -> None:
    story = linked([detected(person(100, run=0.8)), detected(), detected()])
    assert [len(boxes) for boxes in story] == [1, 0, 0]


def test_peaks_of_several_actions_on_one_person_are_one_tube_with_all_their_scores() -> None:
    peaks = detected(person(100, run=0.8, jump=0.1), person(102, jump=0.6), person(99, sit=0.3))
    (tube,) = linked([peaks] * 5)[-1]
    assert tube.class_scores == pytest.approx([0.8, 0.6, 0.3])
    assert (tube.label, tube.score) == (RUN, pytest.approx(0.8))


@pytest.mark.parametrize(
    ("beside", "tubes"), [(8, 1), (17, 1), (21, 1), (23, 2), (60, 2)]
)  # overlaps 0.67 … 0.31, 0.27
def test_a_second_box_on_somebody_starts_no_tube(beside: float, tubes: int) -> None:
    both = detected(person(100, run=0.9), person(100 + beside, jump=0.8))
    assert [len(tube_boxes) for tube_boxes in linked([both] * 5)] == [tubes] * 5
    late = [detected(person(100, run=0.9))] * 3 + [both] * 5
    assert [len(tube_boxes) for tube_boxes in linked(late)[3:]] == [tubes] * 5


def test_somebody_who_steps_out_from_behind_another_becomes_a_tube_then() -> None:
    story = [detected(person(100, run=0.9), person(100 + 3 * step, run=0.8)) for step in range(12)]
    lives = [len(tube_boxes) for tube_boxes in linked(story)]
    assert lives == [1] * 8 + [2] * 4  # 24 pixels apart they overlap by 0.25


def test_where_somebody_was_but_is_not_seen_another_may_start() -> None:
    strict = LinkerSettings(match_iou=0.9, weak_match_iou=0.9)
    story = [detected(person(100, run=0.9))] * 3 + [detected(person(110, run=0.9))]
    *_, last = linked(story, DefaultLinker(strict))
    assert [tube_box.observed for tube_box in last] == [False, True]


def test_a_flickering_class_does_not_change_what_a_person_does() -> None:
    frames = [detected(person(100, run=0.6, jump=0.9 if t % 6 == 5 else 0.1)) for t in range(60)]
    assert {boxes[0].label for boxes in linked(frames)} == {RUN}


def test_a_real_change_of_action_changes_the_label_within_a_few_frames() -> None:
    frames = [detected(person(100, run=0.8)) if t < 20 else detected(person(100, jump=0.8)) for t in range(30)]
    labels = [boxes[0].label for boxes in linked(frames)]
    assert labels[:22] == [RUN] * 22
    assert labels[25:] == [JUMP] * 5


def test_weak_detections_continue_a_tube_but_start_none() -> None:
    weak = detected(person(100, run=0.1))
    assert linked([weak] * 5) == [()] * 5
    story = linked([detected(person(100, run=0.8))] * 3 + [weak] * 20)
    assert all(boxes[0].observed for boxes in story)


def test_noise_below_the_lowest_score_is_nothing() -> None:
    noise = [person(10 + 3 * i, run=0.049, y=50 + i) for i in range(90)]
    story = linked([detected(person(100, run=0.8), *noise)] * 5)
    assert [len(boxes) for boxes in story] == [1] * 5


def test_a_weak_detection_starts_a_tube_where_it_is_likely_to_be_any_of_many_actions() -> None:
    """0.11 and 0.11 are together 0.2079, 1.33 times 0.15 is 0.1995; 0.1 and 0.1 are 0.19."""
    assert len(linked([detected(person(100, run=0.11, jump=0.11))])[0]) == 1
    assert linked([detected(person(100, run=0.1, jump=0.1))]) == [()]
    stricter = DefaultLinker(LinkerSettings(high_score=0.2))
    assert linked([detected(person(100, run=0.11, jump=0.11))], stricter) == [()]


@pytest.mark.parametrize(("start", "tubes"), [(0.2, 0), (0.15, 0), (0.1, 1), (0.08, 1)])
def test_where_events_begin_at_less_a_weaker_detection_starts_a_tube(start: float, tubes: int) -> None:
    events = EventSettings(actions={LABELS[JUMP]: ActionSettings(start_score=start, keep_score=0.01)})
    linker = for_events(LINKER, events, LABELS)
    assert (linker == LINKER) is (start >= 0.15)
    story = [detected(person(100, run=0.05, jump=0.1, sit=0.02))] * 4
    assert [len(tube_boxes) for tube_boxes in linked(story, linker)] == [tubes] * 4
    others = [detected(person(100, run=0.12, jump=0.05, sit=0.02))] * 4  # Run's events begin at 0.2
    assert not tubes_of(linked(others, linker))
    assert tubes_of(linked([detected(person(100, run=0.16))] * 4, linker)) == {1}


def test_a_higher_start_score_and_another_linker_change_nothing() -> None:
    high = EventSettings(ActionSettings(start_score=0.5))
    low = EventSettings(ActionSettings(start_score=0.06, keep_score=0.03))
    assert for_events(LINKER, high, LABELS) == LINKER == for_events(LINKER, EventSettings(), ())
    assert for_events(for_events(LINKER, low, LABELS), high, LABELS) == LINKER
    assert for_events(KorsalLinker(), low, LABELS) == KorsalLinker()


def test_a_strong_detection_is_taken_before_a_weak_one_that_fits_better() -> None:
    story = linked([detected(person(100, run=0.8))] * 5 + [detected(person(101, run=0.1), person(115, run=0.8))])
    assert story[-1][0].box == pytest.approx(standing(100 + 0.7 * 15), abs=0.5)


def test_tubes_move_on_through_skipped_frames() -> None:
    """Every fifth frame only: 30 pixels between two detections of somebody 40 wide."""
    state, seen = initial(), set()
    for number in range(0, 100, 5):
        state, boxes = LINKER.step(state, detected(person(20 + 6 * number, run=0.8)), number * UNIT)
        seen |= {b.tube for b in boxes if number >= 15}
    assert len(seen) == 1


def test_a_gap_too_long_ends_everything() -> None:
    state, _ = LINKER.step(initial(), detected(person(100, run=0.8)), 0)
    _, boxes = LINKER.step(state, detected(person(100, run=0.8)), 1000 * UNIT)
    assert [b.tube for b in boxes] == [2]


@pytest.mark.parametrize("rate", [2, 5, 10, 15, 30, 60, 120])
def test_at_any_rate_a_walker_is_one_tube_and_ends_after_the_same_time(rate: float) -> None:
    """Somebody walks at 50 px/s for 8 s, is hidden for 2 s and comes back: as at 25 frames a second, another tube."""
    state, tubes, extrapolated = initial(), dict[float, list[int]](), 0.0
    for number in range(int(12 * rate) + 1):
        time = number / rate
        seen = detected() if 8 < time < 10 else detected(person(20 + 50 * time, run=0.8))
        state, boxes = LINKER.step(state, seen, time)
        tubes[time] = [b.tube for b in boxes]
        extrapolated = max([extrapolated, *(time - 8 for b in boxes if not b.observed)])
    assert {tube for time, found in tubes.items() for tube in found if time <= 8} == {1}
    assert tubes[max(tubes)] == [2]
    assert extrapolated <= 1.2 + 1 / 25 + 1e-9


@pytest.mark.parametrize("rate", [5, 10, 15, 30, 60])
def test_scores_and_velocity_follow_at_any_rate_as_fast_as_at_25(rate: float) -> None:
    """A score rises after 2 s; 0.4 s later its average is as high within a few hundredths, the box within pixels."""
    reached = []
    for fps in (25.0, rate):
        state, boxes = LINKER.step(initial(), detected(), -1.0)
        for number in range(int(2.4 * fps) + 1):
            time = number / fps
            state, boxes = LINKER.step(state, detected(person(20 + 50 * time, run=0.8 if time > 2 else 0.4)), time)
        (tube,) = boxes
        reached.append((tube.score, float(tube.box[0])))
    assert reached[1] == pytest.approx(reached[0], abs=0.05)


@pytest.mark.parametrize(("rate", "frames"), [(5, 2), (25, 3), (60, 5)])
def test_a_flash_ends_at_its_first_miss_until_it_lasted_long_enough(rate: float, frames: int) -> None:
    """0.08 s, give or take half a frame of 25 a second; never less than two frames."""
    for count, alive in ((frames - 1, False), (frames, True)):
        state, boxes = LINKER.step(initial(), detected(), -1.0)
        for number in range(count + 1):
            seen = detected(person(100, run=0.8)) if number < count else detected()
            state, boxes = LINKER.step(state, seen, number / rate)
        assert bool(boxes) == alive


def test_a_pause_of_the_camera_ends_tubes_but_a_slow_camera_keeps_them() -> None:
    somebody = detected(person(100, run=0.8))
    state, _ = LINKER.step(initial(), somebody, 0.0)
    state, _ = LINKER.step(state, somebody, 0.04)
    state, (paused,) = LINKER.step(state, somebody, 4.0)
    state, (slow,) = LINKER.step(state, somebody, 8.0)
    assert (paused.tube, slow.tube) == (2, 2)


def test_a_crowd_is_bounded() -> None:
    crowd = detected(*[person(60 * i, run=0.5) for i in range(100)])
    story = linked([crowd] * 3, DefaultLinker(LinkerSettings(max_people=64)))
    assert [len(boxes) for boxes in story] == [64] * 3


LEVELS = st.sampled_from([0.0, 0.04, 0.05, 0.1, 0.15, 0.5, 0.9, 1.0])
peaks = st.builds(person, st.integers(0, 320), LEVELS, LEVELS, width=st.sampled_from([0, 40, 90]))
videos = st.lists(st.lists(peaks, max_size=4).map(lambda people: detected(*people)), max_size=15)


@given(videos, st.sampled_from([DefaultLinker(), KorsalLinker()]))
def test_numbers_are_never_used_again_and_scores_stay_scores(frames: Any, linker: Any) -> None:
    gone, before = set[int](), set[int]()
    for boxes in linked(frames, linker):
        now = [b.tube for b in boxes]
        assert len(set(now)) == len(now)
        assert not gone & set(now)
        gone |= before - set(now)
        before = set(now)
        for b in boxes:
            assert b.box.shape == (4,)
            assert b.class_scores.shape == (len(LABELS),)
            assert b.score == pytest.approx(b.class_scores[b.label])
            assert ((b.class_scores >= 0) & (b.class_scores <= 1 + 1e-6)).all()


@given(videos, st.integers(0, 15), st.sampled_from([DefaultLinker(), KorsalLinker()]))
def test_the_tubes_of_a_frame_depend_on_no_later_one(frames: Any, cut: Any, linker: Any) -> None:
    whole, part = linked(frames, linker), linked(frames[:cut], linker)
    for now, then in zip(part, whole, strict=False):
        assert [(b.tube, b.score, b.box.tolist()) for b in now] == [(b.tube, b.score, b.box.tolist()) for b in then]


def test_beside_its_average_a_tube_has_the_scores_of_this_frame_alone() -> None:
    story = linked([detected(person(100, run=0.8))] * 10 + [detected(person(100, run=0.2, jump=0.1))])
    (tube,) = story[-1]
    assert tube.class_scores == pytest.approx([0.8 - 0.2 * 0.6, 0.02, 0])
    assert tube.frame_scores == pytest.approx([0.2, 0.1, 0])
    assert story[0][0].frame_scores == pytest.approx([0.8, 0, 0])


def test_boxes_without_area_are_not_merged() -> None:
    """A line overlaps nothing, itself neither: beside two lines two on the same place are still one."""
    lines = person(20, run=0.9, width=0), person(200, run=0.6, width=0)
    (boxes,) = linked([detected(*lines, person(100, run=0.8), person(102, run=0.7))])
    assert len(boxes) == 3


def test_the_state_does_not_grow_with_time() -> None:
    walk = [detected(person(20 + (7 * t) % 280, run=0.8), person(300 - (5 * t) % 280, jump=0.6)) for t in range(400)]
    state, sizes = initial(), []
    for number, detections in enumerate(walk):
        state, _ = LINKER.step(state, detections, number * UNIT)
        sizes.append(len(pickle.dumps(state)))
    assert max(sizes[200:]) <= max(sizes[:200]) + 8  # the numbers themselves get longer
