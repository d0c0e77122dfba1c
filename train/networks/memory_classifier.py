"""Which action a memory's maps tell at each place of the frame, learnt apart from the detector and added to its scores.

What is special about it: a detector that learns together with a memory takes from it what separates the training
videos, and no more; learnt alone, on maps that no training has touched, it tells much more about other videos
(docs/accuracy-experiments.md). It reads the average of the last steps' maps, what MoViNet itself answers to that, and
around a place the newest map beside it, for what has just changed tells when an action begins and ends.
Actions that one data set annotates are told from each other, and from none of them where it has frames without any; of
actions of two data sets nothing is known about each other. It only ever lowers a score: by `gain` times the logarithm
of an action's probability.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.memory_network import MemoryNetwork
from train.networks.memory_fusion import placed
from train.networks.movinet import map_grids

HIDDEN = 64
AROUND = 3  # cells, of the square whose mean stands for a person
LEAST = 1e-3  # a probability's; beyond the frame all have it
PREFIX = "classifier."  # of its weights in a detector's
DROPPED = 0.5  # share of its inputs, and of what it makes of them, while it learns


class MemoryClassifier(nn.Module):
    """FEATURES and AVERAGE (B, C, h, w) and ANSWERS (B, n) to (B, classes, rows, columns), which is added to logits.

    `groups`: how many outputs belong to each group, of which one is meant at a time; `places`: each action's output. A
    group may have one more, for none of its actions.
    """

    places: Tensor  # (classes,) int64
    groups: Tensor  # (groups,) int64
    gain: Tensor  # (classes,) float32, 0 until it is chosen

    def __init__(self, memory: MemoryNetwork, places: Sequence[int], groups: Sequence[int]) -> None:
        super().__init__()
        channels, answers = memory.features[0], memory.answers
        self.size = memory.size
        self.register_buffer("places", torch.tensor(places))
        self.register_buffer("groups", torch.tensor(groups))
        self.register_buffer("gain", torch.zeros(len(places)))
        self.whole = nn.Conv2d(channels + answers, HIDDEN, 1)
        self.near = nn.Conv2d(2 * channels, HIDDEN, 1, bias=False)
        self.last = nn.Conv2d(HIDDEN, sum(groups), 1)
        self._slices = tuple(int(count) for count in groups)
        self.dropout, self.hidden_dropout = nn.Dropout(DROPPED), nn.Dropout(DROPPED)

    def forward(
        self, newest: Tensor, average: Tensor, answers: Tensor, placement: Tensor, cells: tuple[int, int]
    ) -> Tensor:
        """What to add at `cells` (rows, columns) of the detector's heatmaps."""
        whole, near = pooled(newest, average, answers)
        of_groups = self.answer(whole, near).split(self._slices, dim=1)
        probability = torch.cat([torch.softmax(one, dim=1) for one in of_groups], dim=1)[:, self.places]
        there = placed(probability, map_grids(self.size)[0], placement, cells, self.size)
        return self.gain[:, None, None] * torch.log(there + LEAST)

    def answer(self, whole: Tensor, near: Tensor) -> Tensor:
        """Logits of all outputs (B, outputs, h, w), of what `pooled` gives."""
        hidden = F.relu(self.whole(self.dropout(whole)) + self.near(self.dropout(near)))
        logits: Tensor = self.last(self.hidden_dropout(hidden))
        return logits


def pooled(newest: Tensor, average: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """What is seen of two maps (B, C, h, w) and answers (B, n): (B, C + n, 1, 1) and (B, 2 C, h, w).

    The mean of the average with the answers, and the means around each cell of the average and of the newest map.
    """
    near = F.avg_pool2d(torch.cat([average, newest], dim=1), AROUND, 1, AROUND // 2, count_include_pad=False)
    return torch.cat([average.mean(dim=(2, 3), keepdim=True), answers[:, :, None, None]], dim=1), near


def of_weights(weights: Mapping[str, Any], memory: MemoryNetwork, classes: int) -> MemoryClassifier | None:
    """The classifier of a detector of so many classes that has one, its weights still to be loaded.

    ValueError where they describe none that there can be.
    """
    held = [weights.get(f"{PREFIX}{name}") for name in ("places", "groups")]
    if held == [None, None]:
        return None
    near = weights.get(f"{PREFIX}near.weight")
    if not memory.answers or (isinstance(near, Tensor) and near.shape[1:2] == memory.features[:1]):
        raise ValueError("the classifier is of an earlier version, which read less; learn it again")
    places, groups = map(_numbers, held)
    if len(places) != classes:
        raise ValueError("the classifier is of other actions")
    if (
        not groups
        or not all(0 < count <= 2 * classes for count in groups)
        or not all(0 <= place < sum(groups) for place in places)
    ):
        raise ValueError("the classifier's groups are not those of its actions")
    return MemoryClassifier(memory, places, groups)


def _numbers(held: Any) -> list[int]:
    """Of a tensor (n,) int64; none of anything else."""
    if not isinstance(held, Tensor) or held.dtype != torch.int64 or held.ndim != 1:
        return []
    numbers: list[int] = held.tolist()
    return numbers
