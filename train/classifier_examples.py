"""What a memory's classifier learns from: its maps at annotated persons, and in frames that show no action.

There it looks where a person acts before or after, and anywhere. Learnt from any places alone it tells people from the
rest of the picture, which a detector does better, and less of when they act (docs/accuracy-experiments.md).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edge.memory_network import ANSWERS, AVERAGE, FEATURES
from train.datasets.annotation_records import VideoAnnotation, at
from train.datasets.frame_kinds import idle, known_frames
from train.memory_features import MemoryFeatures, MemoryVideos
from train.networks.memory_classifier import pooled
from train.networks.memory_fusion import placed
from train.networks.movinet import map_grids
from train.training_step import TrainingError

LEAST = 2  # examples; one has no spread to scale it by


@dataclass(frozen=True)
class ActionGroup:
    """Actions that are told from each other and, with `none`, from none of them; `labels` rise."""

    labels: tuple[int, ...]
    none: bool

    @property
    def outputs(self) -> int:
        """How many there are: one for each action, then that for none."""
        return len(self.labels) + self.none


@dataclass(frozen=True, eq=False)
class ClassifierExamples:
    """`whole` and `near` (n, C) as `pooled` has them, `group` (n,) int64, and `goal` (n, outputs), shares of 1."""

    whole: Tensor
    near: Tensor
    group: Tensor
    goal: Tensor

    def __len__(self) -> int:
        return len(self.group)


@dataclass(frozen=True)
class _Example:
    """At (x, y), shares of the frame: an action of a group, by its output."""

    frame: int
    x: float
    y: float
    group: int
    output: int


def groups_of(
    labels: Sequence[Sequence[int]], videos: Sequence[VideoAnnotation], count: int
) -> tuple[ActionGroup, ...]:
    """One group for the `labels` of each data set; those that share one are one group. `count`: of all labels."""
    found: list[set[int]] = []
    for own in map(set, labels):
        touching = [group for group in found if group & own]
        found = [*(group for group in found if group not in touching), *([own.union(*touching)] if own else [])]
    empty = {_looked_for(video, count) for video in videos if idle(video, video.frames).any()}
    return tuple(ActionGroup(tuple(sorted(one)), any(one <= looked for looked in empty)) for one in found)


def places_of(groups: Sequence[ActionGroup], count: int) -> list[int]:
    """Of each of so many labels its output; the outputs of the groups follow one another."""
    places = [0] * count
    start = 0
    for group in groups:
        for place, label in enumerate(group.labels, start):
            places[label] = place
        start += group.outputs
    return places


def examples(
    videos: Sequence[VideoAnnotation], groups: Sequence[ActionGroup], count: int, memory: MemoryVideos, seed: int
) -> ClassifierExamples:
    """Those of these videos, one frame for each step of the memory. Raises FrameError, TrainingError for too few."""
    random = np.random.default_rng(seed)
    places = places_of(groups, count)
    parts = []
    for video in videos:
        shown = list(_shown(video, groups, places, memory[video.name]))
        found = [*shown, *_empty(video, groups, count, memory[video.name], shown, random)]
        if found:
            parts.append(_with_maps(found, memory[video.name], sum(group.outputs for group in groups)))
    together = sum(len(part[0]) for part in parts)
    if together < LEAST:
        raise TrainingError(
            f"the classifier has {together} of {LEAST} examples that it needs at least; annotate more frames"
        )
    return ClassifierExamples(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _shown(
    video: VideoAnnotation, groups: Sequence[ActionGroup], places: Sequence[int], memory: MemoryFeatures
) -> Iterator[_Example]:
    """One for each person."""
    group_of = {label: number for number, group in enumerate(groups) for label in group.labels}
    width, height = memory.size
    for frame in _one_a_step(known_frames(video).tolist(), memory.memory.interval):
        for (x1, y1, x2, y2), label in zip(*(part.tolist() for part in at(video, frame)), strict=True):
            x, y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
            yield _Example(frame, min(max(x, 0), 1), min(max(y, 0), 1), group_of[label], places[label])


def _empty(
    video: VideoAnnotation,
    groups: Sequence[ActionGroup],
    count: int,
    memory: MemoryFeatures,
    shown: Sequence[_Example],
    random: np.random.Generator,
) -> Iterator[_Example]:
    """In each frame without an action, for each group whose actions were looked for: at a person, and anywhere.

    The person is one of those `shown` nearest in time, if there are any.
    """
    looked = _looked_for(video, count)
    frames = _one_a_step(np.flatnonzero(idle(video, video.frames)).tolist(), memory.memory.interval)
    ends = np.cumsum([group.outputs for group in groups])
    for number, group in enumerate(groups):
        if group.none and looked.issuperset(group.labels):
            none = int(ends[number]) - 1
            persons = [one for one in shown if one.group == number]
            for frame in frames:
                if persons:
                    person = _nearest(persons, frame, random)
                    yield _Example(frame, person.x, person.y, number, none)
                yield _Example(frame, random.random(), random.random(), number, none)


def _nearest(persons: Sequence[_Example], frame: int, random: np.random.Generator) -> _Example:
    """One of those nearest in time; their frames rise."""
    after = bisect_left(persons, frame, key=lambda one: one.frame)
    beside = {one.frame for one in persons[max(after - 1, 0) : after + 1]}
    least = min(abs(one - frame) for one in beside)
    first, last = bisect_left(persons, frame - least, key=lambda one: one.frame), after
    while last < len(persons) and persons[last].frame <= frame + least:
        last += 1
    return persons[int(random.integers(first, last))]


def _looked_for(video: VideoAnnotation, count: int) -> frozenset[int]:
    return frozenset(range(count) if video.annotated_labels is None else video.annotated_labels)


def _one_a_step(frames: Sequence[int], interval: int) -> list[int]:
    """The first of the frames after each step of the memory."""
    return list({frame // interval: frame for frame in reversed(frames)}.values())[::-1]


def _with_maps(found: Sequence[_Example], memory: MemoryFeatures, outputs: int) -> tuple[Tensor, ...]:
    """The columns of ClassifierExamples."""
    known = [memory.outputs(example.frame) for example in found]
    whole, near = pooled(
        *(torch.from_numpy(np.stack([one[name] for one in known])) for name in (FEATURES, AVERAGE, ANSWERS))
    )
    where = torch.tensor([[0, example.x, 0, example.y] for example in found])
    there = placed(near, map_grids(memory.memory.size)[0], where, (1, 1), memory.memory.size)
    goal = torch.zeros(len(found), outputs)
    goal[torch.arange(len(found)), [example.output for example in found]] = 1
    return whole[:, :, 0, 0], there[:, :, 0, 0], torch.tensor([example.group for example in found]), goal
