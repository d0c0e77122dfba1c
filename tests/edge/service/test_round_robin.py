import pytest

from edge.pipeline import FrameInput
from edge.service.camera_session import CameraSession
from edge.service.round_robin import RoundRobin
from tests.support.fake_feed import FakeFeed, session


def names(taken: list[tuple[CameraSession, FrameInput]]) -> list[str]:
    return [one.name for one, _ in taken]


def test_each_camera_comes_as_often_as_any_other() -> None:
    round_robin = RoundRobin([session(name, FakeFeed()) for name in "abcde"])
    served = [name for _ in range(10) for name in names(round_robin.next(2))]
    assert {name: served.count(name) for name in "abcde"} == dict.fromkeys("abcde", 4)


def test_a_batch_holds_what_is_new_and_one_frame_of_each() -> None:
    dead = FakeFeed(lambda: False)
    round_robin = RoundRobin([session("dead", dead), *(session(name, FakeFeed()) for name in "abc")])
    assert [names(round_robin.next(8)) for _ in range(3)] == [["a", "b", "c"]] * 3
    assert names(round_robin.next(1)) == ["a"]
    assert names(round_robin.next(2)) == ["b", "c"]


def test_a_camera_that_was_silent_comes_first() -> None:
    speaks = False
    round_robin = RoundRobin(
        [session("slow", FakeFeed(lambda: speaks)), session("a", FakeFeed()), session("b", FakeFeed())]
    )
    for _ in range(3):
        assert len(round_robin.next(1)) == 1
    speaks = True
    assert names(round_robin.next(1)) == ["slow"]


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_nobody_waits_longer_than_a_round(limit: int) -> None:
    """Under load, with cameras that all have a frame whenever they are asked."""
    every = "abcdefgh"
    round_robin = RoundRobin([session(name, FakeFeed()) for name in every])
    last = dict.fromkeys(every, 0)
    for turn in range(1, 60):
        for name in names(round_robin.next(limit)):
            assert turn - last[name] <= -(-len(every) // limit)
            last[name] = turn
