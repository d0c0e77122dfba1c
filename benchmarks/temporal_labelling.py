"""Temporal labelling of a path, as in ROAD and KORSAL: Viterbi with one cost for every change.

As `dpEM_max.m`, `actionPathSmoother` and `convert2eval.m` of Singh et al. 2017, which KORSAL took over. It looks at the
whole path, so it is for comparison, not for the live linker. With one-hot class scores, as KORSAL saves them, the best
labelling is the path's own class throughout, and nothing is trimmed. Pure.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from train.evaluation.action_tubes import ActionTube, mean_of_best

ALPHA = 3.0
TUBE_BEST = 40
MIN_FRAMES = 10  # `te - ts > 8`


def best_labels(scores: NDArray[np.floating], alpha: float = ALPHA) -> NDArray[np.int64]:
    """The labels (n,) whose scores (n, labels) sum up to the most, less `alpha` for each change from frame to frame.

    Of equally good ones that whose last label is the smallest, then whose last but one is, and so on.
    """
    frames, labels = scores.shape
    if not frames:
        return np.zeros(0, np.int64)
    cost = alpha * (1 - np.eye(labels))  # (to, from)
    total = np.asarray(scores[0], np.float64)
    came_from = np.zeros((frames, labels), np.int64)
    for frame in range(1, frames):
        options = total - cost
        came_from[frame] = options.argmax(axis=1)
        total = scores[frame] + options.max(axis=1)
    chosen = np.zeros(frames, np.int64)
    chosen[-1] = total.argmax()
    for frame in range(frames - 1, 0, -1):
        chosen[frame - 1] = came_from[frame, chosen[frame]]
    return chosen


def two_states(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, 2): the scores (n,) of an action as label 0, and of everything else, 1 − score, as label 1."""
    action = np.asarray(scores, np.float64)
    return np.stack([action, 1 - action], axis=1)


def runs(labels: NDArray[np.int64], wanted: int) -> list[slice]:
    """Where the wanted label stands without a break, in time."""
    edges = np.diff(np.concatenate([[False], labels == wanted, [False]]).astype(np.int8))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [slice(begin, end) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]


def trimmed(path: ActionTube, labels: NDArray[np.int64], wanted: int) -> list[ActionTube]:
    """The parts of a path, labelled frame by frame, that stand for the wanted label in at least 10 frames.

    A part's score is the mean of its 40 best, as `convert2eval.m` has it; parts without any score are dropped.
    """
    parts = [_part(path, run) for run in runs(labels, wanted) if run.stop - run.start >= MIN_FRAMES]
    return [part for part in parts if part.score > 0]


def trimmed_by_own_score(paths: Sequence[ActionTube], alpha: float = ALPHA) -> list[ActionTube]:
    """All paths cut by two states, the action or anything else, by the score of their own action alone."""
    return [part for path in paths for part in trimmed(path, best_labels(two_states(path.scores), alpha), 0)]


def _part(path: ActionTube, run: slice) -> ActionTube:
    scores = path.scores[run]
    score = mean_of_best(scores, TUBE_BEST)
    return replace(path, frames=path.frames[run], boxes=path.boxes[run], scores=scores, score=score)
