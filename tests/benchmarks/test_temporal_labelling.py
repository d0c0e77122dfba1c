"""Labels of a path by Viterbi, held to trying every sequence of labels."""

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.temporal_labelling import best_labels, runs, trimmed, trimmed_by_own_score, two_states
from train.evaluation.action_tubes import ActionTube


def worth(scores: Any, labels: Any, alpha: Any) -> Any:
    """What a sequence of labels sums up to."""
    changes = sum(one != other for one, other in pairwise(labels))
    return sum(scores[frame][label] for frame, label in enumerate(labels)) - alpha * changes


def tried(scores: Any, alpha: Any) -> Any:
    """The best of all sequences of labels; of equals that whose labels, read from the end, are the smallest."""
    every = product(range(len(scores[0])), repeat=len(scores))
    return list(
        max(every, key=lambda labels: (worth(scores, labels, alpha), [-label for label in reversed(list(labels))]))
    )


def path(scores: Any, first: int = 5, label: int = 2) -> Any:
    """A path of that class whose boxes tell the frame."""
    frames = np.arange(first, first + len(scores))
    boxes = np.repeat(frames[:, None], 4, axis=1).astype(np.float32)
    return ActionTube(label, frames, boxes, np.array(scores, np.float32), 0.0)


# eighths and quarters, so that sums are exact and equally good sequences occur
tables = st.integers(1, 3).flatmap(
    lambda labels: st.lists(
        st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=labels, max_size=labels), min_size=1, max_size=6
    )
)


@given(tables, st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]))
def test_no_other_sequence_is_better(scores: Any, alpha: float) -> None:
    assert best_labels(np.array(scores), alpha).tolist() == tried(scores, alpha)


@given(tables)
def test_a_constant_added_to_all_scores_changes_nothing(scores: Any) -> None:
    table = np.array(scores)
    assert best_labels(table + 20).tolist() == best_labels(table).tolist()  # as the original does


def test_no_frames_have_no_labels() -> None:
    assert best_labels(np.zeros((0, 3))).tolist() == []
    assert trimmed_by_own_score([]) == []


@pytest.mark.parametrize(
    ("quiet", "labels"),
    [
        (6, [0] * 18),  # two changes cost 6, six frames of silence are worth 6 x (1 - 0): the first of equals
        (7, [0] * 6 + [1] * 7 + [0] * 6),  # and seven are worth it
    ],
)
def test_silence_must_be_worth_two_changes(quiet: int, labels: Any) -> None:
    scores = np.array([1.0] * 6 + [0.0] * quiet + [1.0] * 6)
    assert best_labels(two_states(scores), alpha=3).tolist() == labels


def test_one_hot_scores_are_never_trimmed() -> None:
    scores = np.zeros((50, 4))
    scores[:, 2] = np.random.default_rng(0).uniform(0.001, 1, 50)
    assert best_labels(scores).tolist() == [2] * 50


# `dpEM_max.m` in GNU Octave 7.3 of eye-readable scores: sin for one class, cos for the other, half for the third
ORIGINAL = [
    1,
    1,
    1,
    1,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
    2,
]


def test_labels_are_those_of_the_original_code() -> None:
    turn = np.arange(60) / 6
    scores = np.stack([np.sin(turn), np.cos(turn), np.full(60, 0.5)], axis=1)
    assert best_labels(scores).tolist() == ORIGINAL


def test_runs_are_found_at_both_ends() -> None:
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1]), 1) == [slice(0, 2), slice(3, 4), slice(6, 7)]
    assert runs(np.array([0, 0]), 1) == runs(np.zeros(0, np.int64), 0) == []


def test_parts_of_fewer_than_ten_frames_are_dropped() -> None:
    scores = [0.9] * 9 + [0.1] * 20 + [0.8] * 10
    labels = np.array([0] * 9 + [1] * 20 + [0] * 10)
    (part,) = trimmed(path(scores), labels, 0)
    assert part.frames.tolist() == list(range(34, 44))
    assert part.boxes[:, 0].tolist() == part.frames.tolist()
    assert (part.label, part.score) == (2, pytest.approx(0.8))


def test_a_part_s_score_is_the_mean_of_its_forty_best() -> None:
    (part,) = trimmed_by_own_score([path([0.9] * 30 + [0.6] * 30)])
    assert part.score == pytest.approx((30 * 0.9 + 10 * 0.6) / 40)


def test_a_path_is_cut_in_two_by_its_own_score() -> None:
    parts = trimmed_by_own_score([path([0.9] * 12 + [0.05] * 30 + [0.9] * 12 + [0.02] * 30, first=0)])
    assert [(int(part.frames[0]), int(part.frames[-1])) for part in parts] == [(0, 11), (42, 53)]
