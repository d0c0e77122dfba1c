"""The last ten minutes of scores, by camera and action."""

import numpy as np

from edge.tubes import TubeBox
from edge.web.score_history import NO_FRAME, SCALE, SLOTS, STEP, ScoreHistory


def person(*scores: float, observed: bool = True) -> TubeBox:
    return TubeBox(1, 0, np.zeros(4, np.float32), max(scores), np.array(scores, np.float32), observed)


def rows(history: ScoreHistory, now: float, after: int = 0, camera: str = "door") -> list[list[int]]:
    part = history.since(camera, now, after)
    return np.frombuffer(part.content, np.uint8).reshape(-1, 2).tolist()


def test_of_each_half_second_the_best_score_of_each_action_is_kept() -> None:
    history = ScoreHistory(2)
    history.add("door", 100.0, [person(0.2, 0.6), person(0.4, 0.0)])
    history.add("door", 100.4, [person(0.1, 0.8, observed=False), person(np.nan, 2.0)])
    history.add("door", 101.1, [])
    assert rows(history, 101.6)[-4:] == [[100, SCALE], [NO_FRAME] * 2, [0, 0], [NO_FRAME] * 2]
    assert rows(history, 101.6, after=202) == [[0, 0], [NO_FRAME] * 2]
    assert rows(history, 101.6, after=10**9) == []
    assert rows(history, 101.6, camera="nowhere") == [[NO_FRAME] * 2] * 204  # that is since the machine has started


def test_what_is_older_than_ten_minutes_is_forgotten_also_where_no_frame_came() -> None:
    history = ScoreHistory(2)
    history.add("door", 100.0, [person(1, 1)])
    later = 100.0 + SLOTS * STEP
    assert [SCALE, SCALE] in rows(history, later - STEP)
    assert [SCALE, SCALE] not in rows(history, later)
    history.add("door", later + 50 * STEP, [person(0, 0)])
    assert set(map(tuple, rows(history, later + 50 * STEP)[:-1])) == {(NO_FRAME, NO_FRAME)}
    history.add("door", later + 9 * SLOTS * STEP, [])
    assert len(rows(history, later + 9 * SLOTS * STEP)) == SLOTS


def test_a_camera_that_is_gone_is_forgotten() -> None:
    history = ScoreHistory(2)
    history.add("door", 1.0, [person(1, 1)])
    history.keep_only({"yard": None})
    assert set(map(tuple, rows(history, 1.0))) == {(NO_FRAME, NO_FRAME)}
