"""Several cameras take turns, whatever one of them does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge.pipeline import PipelineSettings, Turn
from edge.service.station import Rota, Station
from edge.sources import Frame


class Feed:
    """A camera that has a new frame whenever `ready` says so."""

    def __init__(self, ready: Callable[[], bool] = lambda: True) -> None:
        self.ready, self.state, self.live, self.finished, self.failed = ready, "online", True, False, False
        self.given = 0

    def newest(self) -> Frame | None:
        if not self.ready():
            return None
        self.given += 1
        return Frame("c", self.given, 0.0, 0.0, np.zeros((4, 4, 3), np.uint8))


class Silent:
    """A teller that nobody hears."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


def station(name: str, feed: Any) -> Station:
    return Station(name, feed, PipelineSettings(), Silent(), lambda name: True)  # type: ignore[arg-type]


def names(taken: list[tuple[Station, Turn]]) -> list[str]:
    return [one.name for one, _ in taken]


def test_each_camera_comes_as_often_as_any_other() -> None:
    rota = Rota([station(name, Feed()) for name in "abcde"])
    served = [name for _ in range(10) for name in names(rota.next(2))]
    assert {name: served.count(name) for name in "abcde"} == dict.fromkeys("abcde", 4)


def test_a_batch_holds_what_is_new_and_one_frame_of_each() -> None:
    dead = Feed(lambda: False)
    rota = Rota([station("dead", dead), *(station(name, Feed()) for name in "abc")])
    assert [names(rota.next(8)) for _ in range(3)] == [["a", "b", "c"]] * 3
    assert names(rota.next(1)) == ["a"]
    assert names(rota.next(2)) == ["b", "c"]


def test_who_was_silent_comes_first() -> None:
    speaks = False
    rota = Rota([station("slow", Feed(lambda: speaks)), station("a", Feed()), station("b", Feed())])
    for _ in range(3):
        assert len(rota.next(1)) == 1
    speaks = True
    assert names(rota.next(1)) == ["slow"]


@pytest.mark.parametrize("most", [1, 3, 8])
def test_nobody_waits_longer_than_a_round(most: int) -> None:
    """Under load, with cameras that all have a frame whenever they are asked."""
    every = "abcdefgh"
    rota = Rota([station(name, Feed()) for name in every])
    last = dict.fromkeys(every, 0)
    for turn in range(1, 60):
        for name in names(rota.next(most)):
            assert turn - last[name] <= -(-len(every) // most)
            last[name] = turn
