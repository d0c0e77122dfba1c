"""Temporal segmentation: which frames belong to an action, given evidence for and against it in each. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def viterbi_mask(evidence: Iterable[float], change_cost: float, initial_cost: float = 0.0) -> list[bool]:
    """The frames to choose so that their evidence, less `change_cost` for every start and end in between, is greatest.

    Starting at the first frame costs `initial_cost`: `change_cost` after a frame outside, −`change_cost` after one
    inside, because that one would have to end; 0 where it is unknown. Frames that make no difference follow the next.
    """
    lead: list[float] = []  # of ending inside over ending outside
    for gain in evidence:
        before = min(max(lead[-1], -change_cost), change_cost) if lead else -initial_cost
        lead.append(gain + before)
    mask = [False] * len(lead)
    current = bool(lead) and lead[-1] > 0
    for i in range(len(lead) - 1, -1, -1):
        if abs(lead[i]) > change_cost or i == len(lead) - 1:
            current = lead[i] > 0
        mask[i] = current
    return mask


def semi_markov_segments(
    evidence: Sequence[float] | NDArray[np.float64],
    change_cost: float,
    length_costs: NDArray[np.float64],
    initial_cost: float = 0.0,
) -> list[tuple[int, int]]:
    """Like the `runs` of `viterbi_mask`, where each run of n frames also costs length_costs[n - 1]: (start, end) each.

    Two segments may follow one another without a frame between. In O(n²) for n frames.
    """
    count = len(evidence)
    total = np.concatenate([[0.0], np.cumsum(evidence)])
    start_costs = np.full(count, change_cost)  # of a segment, by its first frame
    start_costs[:1] = initial_cost
    best = np.zeros(count + 1)  # of the first so many frames, with no open segment after them
    start_of = [-1] * (count + 1)  # where the segment that ends there started; −1: none ends there
    for end in range(1, count + 1):
        gains = best[:end] + total[end] - total[:end] - length_costs[end - 1 :: -1] - start_costs[:end]
        if end < count:
            gains -= change_cost
        first = int(gains.argmax())
        best[end] = best[end - 1]
        if gains[first] > best[end]:
            best[end], start_of[end] = gains[first], first
    found = []
    end = count
    while end > 0:
        if start_of[end] < 0:
            end -= 1
        else:
            found.append((start_of[end], end))
            end = start_of[end]
    return found[::-1]


def runs(mask: Sequence[bool]) -> list[tuple[int, int]]:
    """(start, end) of consecutive chosen frames, `end` one beyond the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask, np.int8), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
