"""Which frames and boxes of a camera are kept, followed through the real pipeline of events."""

import numpy as np

from edge import events
from edge.event_settings import ActionSettings, EventSettings
from edge.history.camera_records import CameraRecords
from edge.history.history_queue import KeptItem, KeptPicture, KeptPoints
from edge.sources import Frame
from edge.tubes import TubeBox

RULES = EventSettings(ActionSettings(start_score=0.5, keep_score=0.3, min_duration=0.2, cooldown=0.2))
BOX = np.array([16, 24, 48, 72], np.float32)


def played(scores: list[float], pictures: bool = True) -> list[list[KeptItem]]:
    """What is kept of each of the frames, ten a second, in which a person has these scores."""
    state, records, kept = events.initial("door", "seed"), CameraRecords(pictures), []
    for index, score in enumerate(scores):
        frame = Frame("door", index, 100.0 + index / 10, index / 10, np.full((96, 64, 3), index, np.uint8))
        tube = TubeBox(tube=1, label=0, box=BOX, class_scores=np.array([score], np.float32), score=score, observed=True)
        state, _ = events.step(state, [tube], frame, ["Run"], RULES)
        kept.append(list(records.update(frame, state)))
    return kept


def test_the_tube_begins_where_the_event_began_not_where_it_was_published() -> None:
    kept = played([0.1, 0.6, 0.5, 0.4, 0.4])
    points = [[one.points for one in items if isinstance(one, KeptPoints)] for items in kept]
    assert points[:3] == [[], [], []]  # published once it has lasted for 0.2 s
    ((first, second, third),) = points[3]
    assert [first.frame_index, second.frame_index, third.frame_index] == [1, 2, 3]
    assert (first.seconds, round(first.score, 3), first.box) == (0.0, 0.6, (0.25, 0.25, 0.75, 0.75))
    assert [one.frame_index for one in points[4][0]] == [4]


def test_the_picture_is_the_frame_of_the_best_score_even_before_the_event_is_published() -> None:
    kept = played([0.1, 0.9, 0.5, 0.4, 0.4, 0.95, 0.3])
    pictures = {index: one for index, items in enumerate(kept) for one in items if isinstance(one, KeptPicture)}
    assert {index: int(one.image[0, 0, 0]) for index, one in pictures.items()} == {3: 1, 5: 5}
    assert round(pictures[5].mark.top_score, 2) == 0.95


def test_a_person_without_an_event_leaves_nothing() -> None:
    assert played([0.6, 0.1, 0.6, 0.1]) == [[], [], [], []]
    assert not any(isinstance(one, KeptPicture) for items in played([0.9] * 5, pictures=False) for one in items)
