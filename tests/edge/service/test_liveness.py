from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from edge.service.liveness import Heartbeat, StageStates, changes, stalled, update


def states(*looks: tuple[float, dict[str, float]], limit: float = 10.0) -> StageStates:
    """The states of stages with these values at those seconds."""
    stages: StageStates = {}
    for now, values in looks:
        stages = update(stages, {name: Heartbeat(value, limit) for name, value in values.items()}, now)
    return stages


def test_without_stages_nothing_is_stalled() -> None:
    assert stalled({}, 1e9) == ()


def test_a_stage_that_progresses_is_not_stalled() -> None:
    stages = states((0, {"network": 1}), (9, {"network": 2}), (18, {"network": 3}))
    assert not stalled(stages, 28)
    assert stalled(stages, 28.1)


def test_a_stage_that_stands_still_is_named() -> None:
    stages = states((0, {"publisher": 5, "network": 1}), (8, {"publisher": 5, "network": 2}), (12, {"publisher": 5}))
    assert stalled(stages, 12) == ("publisher: no progress for 12 s, the limit is 10 s",)
    assert not stalled(stages, 10)


def test_one_stalled_stage_is_enough_whatever_the_others_do() -> None:
    looks = [(float(second), {"loop": float(second), "camera door": 7.0}) for second in range(20)]
    assert stalled(states(*looks), 19) == ("camera door: no progress for 19 s, the limit is 10 s",)


def test_a_disconnected_camera_is_not_checked_and_starts_afresh_when_it_returns() -> None:
    away = states((0, {"camera door": 7}), (5, {}), (500, {}))
    assert not stalled(away, 500)
    back = update(away, {"camera door": Heartbeat(7, 10)}, 500)
    assert not stalled(back, 510)
    assert stalled(back, 511)


def test_a_reset_counter_is_progress_too() -> None:
    assert not stalled(states((0, {"camera": 100}), (9, {"camera": 0})), 19)


def test_a_new_limit_holds_at_once() -> None:
    stages = update(states((0, {"network": 1}), limit=100), {"network": Heartbeat(1, 5)}, 6)
    assert stalled(stages, 6)


def test_the_begin_and_the_end_of_a_stall_are_reported_once() -> None:
    """`network` shows something new at the second 0 and then not before 30."""
    stages: StageStates = {}
    stalled_since: Mapping[str, float] = {}
    begun: dict[int, tuple[str, ...]] = {}
    recovered: dict[int, tuple[str, ...]] = {}
    for now in range(0, 60, 5):
        stages = update(stages, {"network": Heartbeat(float(now >= 30), 10), "loop": Heartbeat(float(now), 10)}, now)
        found = changes(stalled_since, stages, now)
        stalled_since = found.stalled_since
        begun |= {now: found.stalled} if found.stalled else {}
        recovered |= {now: found.recovered} if found.recovered else {}
    # it shows 1 from 30 on and is late again at 45, which is 15 s after
    assert begun == {
        15: ("network: no progress for 15 s, the limit is 10 s",),
        45: ("network: no progress for 15 s, the limit is 10 s",),
    }
    assert recovered == {30: ("network: makes progress again, after 30 s",)}


def test_a_stalled_stage_that_is_no_longer_checked_is_reported() -> None:
    found = changes({}, states((0, {"camera door": 7}), (12, {"camera door": 7})), 12)
    assert found.stalled_since == {"camera door": 0}
    gone = changes(found.stalled_since, states((0, {"camera door": 7}), (14, {})), 14)
    assert gone.recovered == ("camera door: no longer checked, after 14 s without progress",)
    assert (gone.stalled_since, gone.stalled) == ({}, ())


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 2)), min_size=1, max_size=40), st.floats(1, 20))
def test_it_is_late_where_the_last_change_is_longer_ago_than_allowed(
    steps: list[tuple[float, int]], limit: float
) -> None:
    now, changed, shown = 0.0, 0.0, None
    stages: StageStates = {}
    for seconds, value in steps:
        now += seconds
        changed = now if value != shown else changed
        shown = value
        stages = update(stages, {"stage": Heartbeat(value, limit)}, now)
        assert bool(stalled(stages, now)) == (now - changed > limit)
