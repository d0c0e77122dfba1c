"""Where the two linkers disagree there is a doubt, where they agree none; at a bounded cost."""

import numpy as np
import pytest

from edge import events, linker
from edge.default_linker import DefaultLinker, LiveTubes
from edge.detector import Detections
from edge.event_settings import ActionSettings, EventSettings
from edge.events import EventState
from edge.history import doubts, second_linker
from edge.history.doubts import Doubt, DoubtState, Watched
from edge.history.second_linker import Linked
from edge.korsal_linker import ClassTube, KorsalLinker
from edge.linker import Linker, LinkerState
from edge.sources import Frame

RATE = 10.0
LABELS = ("Run", "Jump")
SETTINGS = EventSettings(ActionSettings(start_score=0.5, keep_score=0.3, min_duration=0.5, cooldown=0.5))
NOBODY: tuple[float, ...] = ()


def detections(places: tuple[float, ...], score: float = 0.9) -> Detections:
    """People 20 wide who run, by where they are from the left."""
    boxes = np.array([[x, 10, x + 20, 60] for x in places], np.float32).reshape(-1, 4)
    scores = np.full(len(places), score, np.float32)
    dense = np.stack([scores, 0.1 * scores], axis=1)
    return Detections(boxes, scores, np.zeros(len(places), np.int64), dense)


class Camera:
    """One camera's linker and events, and the doubts about them."""

    def __init__(self, used: Linker) -> None:
        self.used = used
        self.linked: LinkerState = linker.initial()
        self.life: EventState = events.initial("door", "seed")
        self.doubts: DoubtState = doubts.initial("door")
        self.index = 0
        self.published = 0

    def play(self, frames: list[Detections]) -> list[Doubt]:
        decided: list[Doubt] = []
        for found in frames:
            time = self.index / RATE
            frame = Frame("door", self.index, 1000 + time, time, np.zeros((80, 400, 3), np.uint8))
            self.linked, boxes = self.used.step(self.linked, found, time)
            self.life, told = events.step(self.life, boxes, frame, LABELS, SETTINGS)
            self.published += sum(event.type == "new" for event in told)
            watched = Watched(boxes, LABELS, SETTINGS, Linked(found, self.used, self.life))
            self.doubts, new = doubts.step(self.doubts, frame, watched)
            decided += new
            self.index += 1
        return decided


@pytest.mark.parametrize("used", [DefaultLinker(), KorsalLinker()])
def test_a_person_who_runs_through_is_in_no_doubt(used: Linker) -> None:
    camera = Camera(used)
    seen = [detections((10.0 + 4 * n,)) for n in range(20)]
    assert camera.play([*seen, *[detections(NOBODY)] * 30]) == []
    assert camera.published == 1
    assert camera.doubts.second.open == {}


def flickering(count: int, seen: int, missed: int) -> list[Detections]:
    """Found in some frames, not in the next ones: KORSAL's rule repeats box and score, the default one fades them."""
    return [detections((100.0,) if n % (seen + missed) < seen else NOBODY) for n in range(count)]


def test_what_the_linker_in_use_alone_makes_an_event_of() -> None:
    camera = Camera(KorsalLinker())
    flicker = flickering(60, 1, 1)
    assert camera.play(flicker[:30]) == []
    assert doubts.open_moments(camera.doubts)["doubt-door-1000-0-1-0"] == 0.0  # its clip begins there
    (found,) = camera.play([*flicker[30:], *[detections(NOBODY)] * 30])
    assert camera.published == 1
    assert (found.action, found.reason, found.name) == ("Run", "linkers", "doubt-door-1000-0-1-0")
    assert found.seconds > 5


def test_what_the_other_linker_alone_makes_an_event_of() -> None:
    camera = Camera(DefaultLinker())
    (found,) = camera.play([*flickering(9, 5, 4), *[detections(NOBODY)] * 30])
    assert camera.published == 0
    assert (found.reason, found.name) == ("linkers", "doubt-door-1000-0-1-0b")


def test_where_both_agree_no_clip_is_held_for_the_second() -> None:
    camera = Camera(DefaultLinker())
    camera.play([detections((10.0 + 4 * n,)) for n in range(20)])
    assert not any(name.endswith(doubts.SECOND) for name in doubts.open_moments(camera.doubts))
    assert len(camera.doubts.second.agreed) == 2


def test_without_what_was_detected_linkers_are_not_compared() -> None:
    state = doubts.initial("door")
    frame = Frame("door", 0, 0.0, 0.0, np.zeros((80, 400, 3), np.uint8))
    state, _ = doubts.step(state, frame, Watched((), LABELS, SETTINGS))
    assert state.second.linker.time is None


def test_a_crowd_costs_no_more_than_the_best_of_it() -> None:
    """A thousand detections a frame: the second linker keeps as many tubes as it may of 32."""
    state = second_linker.initial("door")
    random = np.random.default_rng(0)
    for index in range(20):
        boxes = random.uniform(0, 300, (1000, 2)).astype(np.float32)
        scores = np.sort(random.uniform(0.06, 1, 1000).astype(np.float32))[::-1]
        crowd = Detections(
            np.hstack([boxes, boxes + 30]), scores, np.zeros(1000, np.int64), np.stack([scores, scores], axis=1)
        )
        frame = Frame("door", index, index / RATE, index / RATE, np.zeros((400, 400, 3), np.uint8))
        linked = Linked(crowd, DefaultLinker(), events.initial("door", "seed"))
        state, _ = second_linker.step(state, frame, linked, LABELS, SETTINGS)
        live = state.linker.live
        assert isinstance(live, tuple)
        assert all(isinstance(tube, ClassTube) for tube in live)
        assert len(live) <= 3 * second_linker.MOST * len(LABELS)


def test_another_linker_after_a_reload_begins_anew() -> None:
    camera = Camera(DefaultLinker())
    camera.play([detections((10.0,))] * 5)
    camera.used = KorsalLinker()
    camera.play([detections((10.0,))] * 10)
    assert isinstance(camera.doubts.second.linker.live, LiveTubes)
    assert len(camera.doubts.second.agreed) == 2
