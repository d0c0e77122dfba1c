"""Temporal segmentation: the frames with the most evidence."""

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.temporal_labelling import best_labels
from train.evaluation.temporal_segmentation import runs, semi_markov_segments, viterbi_mask


@pytest.mark.parametrize(
    ("evidence", "price", "expected"),
    [
        ([], 1, []),
        ([-1, -1], 1, []),
        ([1, 1], 9, [(0, 2)]),  # the ends of the record cost nothing
        ([0, 0], 9, []),  # nothing speaks for it
        ([-2, -2, 3, -2], 1, [(2, 3)]),  # 3 − 2 · 1 > 0
        ([-2, -2, 3, -2], 2, []),  # 3 − 2 · 2 < 0
        ([3, 3, -3, 3], 1, [(0, 2), (3, 4)]),  # a break of −3 is more than two changes
        ([3, 3, -3, 3], 2, [(0, 4)]),
        ([-3, 1, 1, 0, 0, -3], 0.5, [(1, 3)]),  # what says nothing is as its next, here outside
        ([-3, 0, 0, 1, 1], 0.5, [(1, 5)]),  # and here inside
        ([3, -1, -1, -3, 3], 2, [(0, 1), (4, 5)]),  # cut where it fell, not where that was certain
    ],
)
def test_the_frames_with_most_evidence_are_viterbi_mask(evidence: Any, price: float, expected: Any) -> None:
    assert runs(viterbi_mask(evidence, price)) == expected


quarters = st.integers(-12, 12).map(lambda n: n / 4 + 1 / 256)  # no sum of 1 to 40 is one of prices: no ties


@given(st.lists(quarters, min_size=1, max_size=40), st.sampled_from([0.0, 0.5, 2.0, 5.0]))
def test_the_mask_is_what_viterbi_over_two_labels_finds(evidence: Any, price: float) -> None:
    scores = np.stack([evidence, np.zeros(len(evidence))], axis=1)
    assert viterbi_mask(evidence, price) == (best_labels(scores, price) == 0).tolist()


@given(st.lists(quarters, min_size=1, max_size=40), st.sampled_from([0.5, 2.0, 5.0]), st.sampled_from([-1, 0, 1]))
def test_segments_of_lengths_that_cost_nothing_are_the_runs_of_viterbi(
    evidence: Any, price: float, before: Any
) -> None:
    at_first = price * before
    segments = semi_markov_segments(evidence, price, np.zeros(len(evidence)), at_first)
    assert segments == runs(viterbi_mask(evidence, price, at_first))


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ([1, 1, 1], [(0, 3)]),
        ([1, 1], []),  # 2 is not more than it costs to begin
        ([1, 1, -3, 3], [(3, 4)]),
        ([5, -9, 3], [(0, 1), (2, 3)]),
        ([4, -9, 3], [(2, 3)]),
    ],
)
def test_to_begin_at_the_first_frame_may_cost_too(evidence: Any, expected: Any) -> None:
    assert runs(viterbi_mask(evidence, 2, initial_cost=2)) == expected


def test_a_continuing_action_pays_for_its_end_only() -> None:
    assert runs(viterbi_mask([-1.5, -1.5, 3], 2, initial_cost=-2)) == [(0, 3)]
    assert runs(viterbi_mask([-1.5, -1.5, 3], 2)) == [(2, 3)]
    assert runs(viterbi_mask([-1, -1, -1], 2, initial_cost=-2)) == []


@given(st.lists(quarters, min_size=1, max_size=8), st.sampled_from([0.5, 2.0]), st.randoms(use_true_random=False))
def test_segments_are_worth_as_much_as_the_best_of_all_divisions(evidence: Any, price: float, random: Any) -> Any:
    """All ways to put cuts between frames and to choose among the parts, counted out."""
    count = len(evidence)
    costs = np.array([random.randrange(8) / 2 for _ in evidence])

    def worth(found: Any) -> Any:
        changes = sum((begin > 0) + (end < count) for begin, end in found)
        return sum(sum(evidence[begin:end]) - costs[end - begin - 1] for begin, end in found) - price * changes

    best = 0.0
    for cuts in product([False, True], repeat=count - 1):
        edges = [0, *(place + 1 for place, here in enumerate(cuts) if here), count]
        parts_ = list(pairwise(edges))
        for taken in product([False, True], repeat=len(parts_)):
            best = max(best, worth([part for part, is_taken in zip(parts_, taken, strict=True) if is_taken]))
    assert worth(semi_markov_segments(evidence, price, costs)) == pytest.approx(best)
