"""Which videos show one scene, and which scenes are held out: whole ones, by list, by rule, or by what names tell."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.datasets import scenes, split_lists
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation


def video(name: str, *labels: int) -> VideoAnnotation:
    boxes = np.zeros((1, 4), np.float32)
    return VideoAnnotation(name, 1, tuple(GroundTruthTube(label, 0, boxes) for label in labels))


def held(videos: Sequence[VideoAnnotation]) -> list[str]:
    return [one.name for one in split_lists.held_out(videos)[1]]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # two places, told by names: one of them, the smaller
        (["kitchen_01", "kitchen_02", "kitchen_03", "hall_01", "hall_02"], ["hall_01", "hall_02"]),
        (["kitchen clip 1", "kitchen clip 2", "hall (1)"], ["hall (1)"]),
        (["hall-20260101-120000", "hall-20260102-090000", "yard-20260101-120000"], ["yard-20260101-120000"]),
        # told by folders
        (["a/x", "a/y", "b/p", "b/q", "b/r"], ["a/x", "a/y"]),
        # somebody else's group numbers are no groups of UCF101
        (["run_g08_a", "run_g23_b", "jump_g08_c", "jump_g23_d"], ["jump_g08_c"]),
        # names that all differ: one of five, as ever
        (["ann", "bob", "cat", "dan", "eve", "fay"], ["eve"]),
        (["ann", "bob"], ["ann"]),
        # of one scene nothing is held out
        (["door_1", "door_2", "door_3", "door_4", "door_5"], []),
        (["one"], []),
        ([], []),
    ],
)
def test_scenes_by_name(names: list[str], expected: list[str]) -> None:
    assert held([video(name, 0) for name in names]) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["kitchen_01", "kitchen_02", "hall_01"], ["kitchen", "kitchen", "hall"]),
        (["a/x", "a/y", "b/p"], ["a", "a", "b"]),
        (["ann", "bob"], ["ann", "bob"]),
        (["door_1", "door_2"], ["door", "door"]),
        (["1", "2"], ["1", "2"]),
        (["v_Dunk_g01_c01", "v_Dunk_g01_c02", "v_Surf_g01_c01"], ["v_Dunk_g01", "v_Dunk_g01", "v_Surf_g01"]),
        ([], []),
    ],
)
def test_the_scene_of_each_video(names: list[str], expected: list[str]) -> None:
    videos = [video(name, 0) for name in names]
    assert list(split_lists.scene_names(videos)) == expected
    told = [replace(one, scene="here" if place else None) for place, one in enumerate(videos)]
    assert list(split_lists.scene_names(told)) == [*names[:1], *["here"] * len(names[1:])]


def test_one_scene_is_named() -> None:
    choice = split_lists.choice([video(f"door_{n}", 0) for n in range(5)])
    assert choice.note == "all 5 videos show one scene, door, as their names tell"


def test_names_of_actions_are_no_scenes() -> None:
    """`fall_1` to `fall_5` may be five places or one: it is said that each counts as one."""
    videos = [video(f"{name}_{n}", label) for label, name in enumerate(("fall", "walk")) for n in range(1, 6)]
    assert held(videos) == ["fall_5", "walk_5"]
    assert "each video counts as a scene of its own" in split_lists.choice(videos).note
    assert split_lists.choice([video("ann", 0), video("bob", 0)]).note == ""


def test_groups_of_ucf101_are_told_by_whole_names() -> None:
    videos = [video(f"Run/v_Run_g{group}_c01", 0) for group in ("07", "23", "25")]
    assert held(videos) == ["Run/v_Run_g23_c01", "Run/v_Run_g25_c01"]
    assert held(videos[:1] * 2) == []  # and without such groups clips of one group are one scene
    few = [video(f"Run/v_Run_g{group:02}_c{clip:02}", 0) for group in (1, 2) for clip in (1, 2)]
    assert held(few) == ["Run/v_Run_g01_c01", "Run/v_Run_g01_c02"]


def test_what_is_listed_takes_precedence() -> None:
    videos = [video("Run/v_Run_g07_c01", 0), video("Run/v_Run_g23_c01", 0)]
    assert held([replace(videos[0], validates=True), replace(videos[1], validates=False)]) == ["Run/v_Run_g07_c01"]


def test_scenes_that_are_told_take_precedence_over_names() -> None:
    videos = [replace(video(f"clip_{n}", 0), scene="hall" if n < 2 else "yard") for n in range(5)]
    assert held(videos) == ["clip_0", "clip_1"]


def test_an_action_of_one_scene_is_learned_and_said_to_lack_others() -> None:
    videos = [video("hall_1", 0), video("hall_2", 1), video("yard_1", 0), video("street_1", 0)]
    choice = split_lists.choice(videos)
    assert held(videos) == ["street_1"]
    assert [*scenes.lacks(("fall", "climb"), videos, choice.held)] == [
        "climb has one tube in all: it cannot be learned and validated; annotate it in other scenes"
    ]
    more = [*videos, video("hall_3", 1)]
    (lack,) = scenes.lacks(("fall", "climb"), more, split_lists.choice(more).held)
    assert lack == "climb is in no scene that is held out, so nothing tells how well it is found; film another scene"
    (lack,) = scenes.lacks(("fall",), [video("a", 0), video("b", 0)], (True, True))
    assert lack == "fall is only in scenes that are held out, so it is not learned; hold out others"


def test_the_scenes_that_a_division_cuts() -> None:
    names, places = ("a", "b", "c", "d", "e"), ("hall", "yard", "hall", "yard", "hall")
    assert [*scenes.divided(names, places, (False, True, True, True, True))] == [("c", "a")]
    assert [*scenes.divided(names, places, (False, True, False, True, False))] == []
    assert [*scenes.divided((), (), ())] == []


def test_quiet_videos_are_held_out_too() -> None:
    videos = [*(video(f"{place}_1", 0) for place in "abcdef"), *(video(f"{place}_1") for place in "uvwxy")]
    shown = [one.tubes != () for one in split_lists.held_out(videos)[1]]
    assert (shown.count(True), shown.count(False)) == (1, 1)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sets(st.integers(0, 3), max_size=2)), max_size=20))
def test_laws(drawn: list[tuple[str, set[int]]]) -> None:
    """No scene is divided, and what is shown in two scenes is on both sides."""
    videos = [replace(video(f"v{n}", *labels), scene=scene) for n, (scene, labels) in enumerate(drawn)]
    out = scenes.of_scenes(videos, [one.scene or "" for one in videos])
    places = {
        side: {one.scene for one, held in zip(videos, out, strict=True) if held is side} for side in (True, False)
    }
    assert not places[True] & places[False]
    for label in range(4):
        of_label = {one.scene for one in videos if any(tube.label == label for tube in one.tubes)}
        if of_label:
            assert of_label & places[False]
