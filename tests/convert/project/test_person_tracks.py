"""From live tubes to tracks: who was there, until when, and what they seem to do."""

from collections.abc import Sequence

import numpy as np
import pytest

from convert.project.person_tracks import tracks
from edge.tubes import TubeBox

RATE = 10.0  # of which four frames are the shortest that counts


def at(x: float, tube: int = 1, scores: Sequence[float] = (0.0, 0.0), observed: bool = True) -> TubeBox:
    values = np.array(scores, np.float32)
    box = np.array([x, 10, x + 20, 50], np.float32)
    return TubeBox(tube, int(values.argmax()), box, float(values.max()), values, observed)


def test_a_person_up_to_the_last_frame_in_which_it_was_seen() -> None:
    history = [(frame, [at(frame, observed=frame < 8)]) for frame in range(3, 12)]
    (track,) = tracks(history, (100, 60), RATE, {})
    assert (track.first, len(track.boxes), track.actions) == (3, 5, (None,) * 5)
    assert track.boxes[0] == pytest.approx([3, 10, 23, 50], abs=1e-3)


def test_who_was_there_for_a_moment_is_nobody() -> None:
    assert tracks([(frame, [at(5)]) for frame in range(3)], (100, 60), RATE, {}) == ()
    assert tracks([], (100, 60), RATE, {}) == ()
    assert tracks([(frame, [at(5, observed=False)]) for frame in range(9)], (100, 60), RATE, {}) == ()


def test_boxes_stay_in_the_picture_and_bridge_frames_that_are_lost() -> None:
    history = [(frame, [at(10.0 * frame - 10)]) for frame in (0, 1, 2, 5, 6)]
    (track,) = tracks(history, (50, 40), RATE, {})
    assert len(track.boxes) == 7
    assert track.boxes[0] == pytest.approx([0, 10, 10, 40], abs=1e-3)
    assert track.boxes[3] == pytest.approx([20, 10, 40, 40], abs=1e-3)  # between those of frames 2 and 5
    assert track.boxes[6] == pytest.approx([50, 10, 50, 40], abs=1e-3)


def test_guesses_need_their_score_and_do_not_flicker() -> None:
    known = {0: ("fall", 0.5), 1: ("climb", 0.9)}
    scores = [(0.2, 0.8)] * 4 + [(0.6, 0.95)] + [(0.6, 0.8)] * 5 + [(0.1, 0.0)] * 5
    history = [(frame, [at(5, scores=each)]) for frame, each in enumerate(scores)]
    (track,) = tracks(history, (100, 60), RATE, known)
    assert track.actions == (None,) * 4 + ("fall",) * 6 + (None,) * 5


def test_people_by_their_first_frames() -> None:
    history = [(n, [at(50, tube=7), *([at(5, tube=2)] if n > 2 else [])]) for n in range(9)]
    assert [one.first for one in tracks(history, (100, 60), RATE, {})] == [0, 3]
