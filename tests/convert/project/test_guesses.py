"""What one detector's people do, by another: on whom it lies, whom it alone has found, and frames that one has not."""

import numpy as np

from convert.project.guesses import laid_over
from edge.tubes import TubeBox


def tube(number: int, x: float, *scores: float) -> TubeBox:
    return TubeBox(number, 0, np.array([x, 0, x + 10, 20], np.float32), 0.9, np.array(scores, np.float32), True)


def rows(history: list[tuple[int, list[TubeBox]]]) -> list[tuple[int, list[tuple[int, list[float]]]]]:
    return [
        (frame, [(one.tube, np.round(one.class_scores, 2).tolist()) for one in live])
        for frame, live in laid_over([(0, [tube(1, 0, 0.9), tube(2, 50, 0.8)]), (1, [tube(1, 0, 0.9)])], history)
    ]


def test_scores_come_from_whoever_lies_there() -> None:
    assert rows([(0, [tube(7, 1, 0.25, 0.5)])]) == [(0, [(1, [0.25, 0.5]), (2, [0.0, 0.0])]), (1, [(1, [0.0, 0.0])])]


def test_whom_the_first_has_missed_is_somebody_too() -> None:
    found = rows([(0, [tube(7, 200, 0.5)]), (1, [tube(7, 200, 0.5)]), (2, [tube(7, 200, 0.5)])])
    assert [[number for number, _ in live] for _, live in found] == [[1, 2, -8], [1, -8], [-8]]


def test_one_who_is_beside_for_a_moment_is_not() -> None:
    assert rows([(0, [tube(7, 1, 0.5)]), (1, [tube(7, 200, 0.5)])])[1] == (1, [(1, [0.0])])


def test_nobody() -> None:
    assert laid_over([], []) == []
    assert rows([]) == [(0, [(1, [0.0]), (2, [0.0])]), (1, [(1, [0.0])])]
