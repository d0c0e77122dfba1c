"""What a memory's classifier learns from, and that it learns it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from train import classifier_training
from train.classifier_examples import ActionGroup, ClassifierExamples, examples, groups_of, places_of
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation
from train.memory_features import MemoryFeatures
from train.networks.memory_classifier import MemoryClassifier
from train.networks.movinet import memory_network
from train.training_step import TrainingError

torch.set_num_threads(1)
ANSWERS = 3
MEMORY = replace(memory_network("0" * 64, interval=4), answers=ANSWERS)
FRAMES, SIZE = 12, (320, 240)


def tube(label: int, first: int, length: int, box: tuple[float, ...] = (0, 0, 320, 240)) -> GroundTruthTube:
    return GroundTruthTube(label, first, np.array([box] * length, np.float32))


def video(*tubes: GroundTruthTube, looked_for: tuple[int, ...] | None = None, name: str = "a") -> VideoAnnotation:
    return VideoAnnotation(name, FRAMES, tubes, SIZE, annotated_labels=looked_for)


@pytest.fixture
def memory(tmp_path: Path) -> MemoryFeatures:
    """Of the steps 0, 1 and 2: an average whose columns are 0 to 5, plus ten times the step; answers of -1.

    The newest map is the same, mirrored.
    """
    steps = FRAMES // MEMORY.interval
    maps = np.arange(6, dtype=np.float16) + 10 * np.arange(steps, dtype=np.float16)[:, None, None, None]
    for name, columns, beside in (
        ("maps", maps[..., ::-1], np.zeros(MEMORY.tap)),
        ("averages", maps, -np.ones(ANSWERS)),
    ):
        rows = [np.concatenate([np.broadcast_to(one, MEMORY.features).ravel(), beside.ravel()]) for one in columns]
        np.stack(rows).astype(np.float16).tofile(tmp_path / name)
    return MemoryFeatures(tmp_path / "maps", MEMORY, SIZE, tmp_path / "averages")


def test_each_data_set_is_a_group_and_those_with_a_common_label_one() -> None:
    assert groups_of([(0, 1), (2, 3)], [], 4) == (ActionGroup((0, 1), False), ActionGroup((2, 3), False))
    assert groups_of([(0, 1), (3,), (1, 2)], [], 4) == (ActionGroup((3,), False), ActionGroup((0, 1, 2), False))
    assert groups_of([(0,), ()], [], 1) == (ActionGroup((0,), False),)


def test_a_group_knows_none_where_a_frame_shows_none_and_was_searched_for_all() -> None:
    labels = [(0, 1), (2, 3)]
    assert not any(group.none for group in groups_of(labels, [video(tube(0, 0, FRAMES))], 4))
    idle = video(tube(0, 0, 5), looked_for=(0, 1))
    assert [group.none for group in groups_of(labels, [idle], 4)] == [True, False]
    assert [group.none for group in groups_of(labels, [video(looked_for=None)], 4)] == [True, True]


def test_the_outputs_of_groups_follow_one_another() -> None:
    groups = (ActionGroup((0, 3), True), ActionGroup((1, 2), False))
    assert places_of(groups, 4) == [0, 3, 4, 1]


def test_persons_are_examples_once_a_step(memory: MemoryFeatures) -> None:
    left, right = (0, 0, 106, 240), (214, 0, 320, 240)
    shown = video(tube(0, 0, FRAMES, left), tube(2, 6, 6, right), looked_for=(0, 1, 2))
    found = examples([shown], [ActionGroup((0, 2), False), ActionGroup((1,), False)], 3, {"a": memory}, 0)
    assert found.group.tolist() == [0] * 4
    assert found.goal.argmax(dim=1).tolist() == [0, 0, 0, 1]
    assert (found.whole[:, -ANSWERS:] == -1).all()
    torch.testing.assert_close(found.whole[:, 0], torch.tensor([2.5, 12.5, 22.5, 22.5]))
    assert (found.near[:3, 0] < found.whole[:3, 0]).all()
    assert found.near[3, 0] > found.whole[3, 0]
    torch.testing.assert_close((found.near[:, 0] + found.near[:, -1]) / 2, found.whole[:, 0])  # the newest map's


def test_frames_without_an_action_are_examples_of_none(memory: MemoryFeatures) -> None:
    groups = (ActionGroup((0,), True), ActionGroup((1,), True))
    found = examples([video(tube(0, 0, 4), looked_for=(0,))], groups, 2, {"a": memory}, 0)
    assert found.goal.argmax(dim=1).tolist() == [0, 1, 1, 1, 1]
    both = examples([video()], groups, 2, {"a": memory}, 0)
    assert both.group.tolist() == [0, 0, 0, 1, 1, 1]
    assert both.goal.argmax(dim=1).tolist() == [1, 1, 1, 3, 3, 3]


@pytest.mark.parametrize("turned", [False, True])
def test_none_is_learnt_where_the_nearest_in_time_acts_and_anywhere(memory: MemoryFeatures, turned: bool) -> None:
    """Two act, one after the other, at either edge; one of another group beside the second; then nobody."""
    left, right, middle = (0, 0, 2, 240), (318, 0, 320, 240), (160, 0, 161, 240)
    first, second = (right, left) if turned else (left, right)
    acts = video(tube(0, 0, 4, first), tube(0, 4, 4, second), tube(1, 4, 4, middle))
    found = examples([acts], [ActionGroup((0,), True), ActionGroup((1,), True)], 2, {"a": memory}, 0)
    beside = found.near[:, 0] - found.whole[:, 0]  # the picture's middle, in columns
    assert found.goal.argmax(dim=1).tolist() == [0, 0, 2, 1, 1, 3, 3]
    assert beside[3] == beside[1] == pytest.approx(-2 if turned else 2, abs=0.01)
    assert beside[5] == beside[2] != beside[3]
    assert abs(beside[4]) < 2
    assert beside[6] != beside[5]


def test_too_few_to_learn_from(memory: MemoryFeatures) -> None:
    group = [ActionGroup((0,), False)]
    with pytest.raises(TrainingError, match="the classifier has 0 of 2 examples"):
        examples([], group, 1, {"a": memory}, 0)
    with pytest.raises(TrainingError, match="the classifier has 1 of 2 examples"):
        examples([video(tube(0, 0, 4))], group, 1, {"a": memory}, 0)


def test_it_learns_what_maps_tell() -> None:
    """Actions 0 and 1 of one group, 2 of another with its none; inputs unscaled, as a detector has them."""
    which = torch.arange(4096) % 4
    maps = 3 * torch.rand(4096, MEMORY.features[0], generator=torch.Generator().manual_seed(3))
    maps[torch.arange(4096), which] += 9
    whole = torch.cat([maps, torch.zeros(4096, ANSWERS)], dim=1)
    near = torch.cat([maps, maps], dim=1)
    found = ClassifierExamples(whole, near, which // 2, torch.eye(4)[which])
    made = MemoryClassifier(MEMORY, (0, 1, 2), (2, 2))
    classifier_training.learn(made, found, seed=0)
    with torch.inference_mode():
        answer = made.answer(whole[:, :, None, None], near[:, :, None, None])[:, :, 0, 0]
    within = torch.where(torch.arange(4) // 2 == which[:, None] // 2, answer, -torch.inf)
    assert (within.argmax(dim=1) == which).float().mean() > 0.95
    assert not made.training
    assert not made.gain.any()
