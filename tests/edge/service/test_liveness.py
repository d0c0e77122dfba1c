from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from edge.service.liveness import Mark, Progress, late, look, news
from tests.support.laws import law


def seen(*looks: tuple[float, dict[str, float]], limit: float = 10.0) -> Progress:
    """Progress after looks at stages that showed these values at those seconds."""
    progress: Progress = {}
    for now, values in looks:
        progress = look(progress, {name: Mark(value, limit) for name, value in values.items()}, now)
    return progress


def test_where_nothing_should_get_on_all_is_well() -> None:
    assert late({}, 1e9) == ()


def test_a_stage_that_gets_on_is_well() -> None:
    progress = seen((0, {"network": 1}), (9, {"network": 2}), (18, {"network": 3}))
    assert not late(progress, 28)
    assert late(progress, 28.1)


def test_a_stage_that_stands_still_is_named() -> None:
    progress = seen((0, {"publisher": 5, "network": 1}), (8, {"publisher": 5, "network": 2}), (12, {"publisher": 5}))
    assert late(progress, 12) == ("publisher: nothing for 12 s, 10 s are allowed",)
    assert not late(progress, 10)


def test_one_stage_that_stands_still_is_enough_however_well_the_others_do() -> None:
    looks = [(float(second), {"loop": float(second), "camera door": 7.0}) for second in range(20)]
    assert late(seen(*looks), 19) == ("camera door: nothing for 19 s, 10 s are allowed",)


def test_a_camera_that_is_away_is_not_asked_for_and_has_its_time_when_it_comes_back() -> None:
    away = seen((0, {"camera door": 7}), (5, {}), (500, {}))
    assert not late(away, 500)
    back = look(away, {"camera door": Mark(7, 10)}, 500)
    assert not late(back, 510)
    assert late(back, 511)


def test_a_count_that_begins_anew_is_progress_too() -> None:
    assert not late(seen((0, {"camera": 100}), (9, {"camera": 0})), 19)


def test_a_limit_that_is_set_anew_holds_at_once() -> None:
    progress = look(seen((0, {"network": 1}), limit=100), {"network": Mark(1, 5)}, 6)
    assert late(progress, 6)


def test_what_begins_and_what_is_over_is_told_once() -> None:
    """`network` shows something new at the second 0 and then not before 30."""
    progress: Progress = {}
    standing: Mapping[str, float] = {}
    begun: dict[int, tuple[str, ...]] = {}
    over: dict[int, tuple[str, ...]] = {}
    for now in range(0, 60, 5):
        progress = look(progress, {"network": Mark(float(now >= 30), 10), "loop": Mark(float(now), 10)}, now)
        found = news(standing, progress, now)
        standing = found.standing
        begun |= {now: found.begun} if found.begun else {}
        over |= {now: found.over} if found.over else {}
    # it shows 1 from 30 on and is late again at 45, which is 15 s after
    assert begun == {
        15: ("network: nothing for 15 s, 10 s are allowed",),
        45: ("network: nothing for 15 s, 10 s are allowed",),
    }
    assert over == {30: ("network: gets on again, after 30 s",)}


def test_a_late_stage_that_has_nothing_to_do_any_more_is_told_so() -> None:
    told = news({}, seen((0, {"camera door": 7}), (12, {"camera door": 7})), 12)
    assert told.standing == {"camera door": 0}
    gone = news(told.standing, seen((0, {"camera door": 7}), (14, {})), 14)
    assert gone.over == ("camera door: nothing is asked of it any more, after 14 s without a sign of it",)
    assert (gone.standing, gone.begun) == ({}, ())


@law
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 2)), min_size=1, max_size=40), st.floats(1, 20))
def test_it_is_late_where_the_last_change_is_longer_ago_than_allowed(
    steps: list[tuple[float, int]], limit: float
) -> None:
    now, changed, shown = 0.0, 0.0, None
    progress: Progress = {}
    for seconds, value in steps:
        now += seconds
        changed = now if value != shown else changed
        shown = value
        progress = look(progress, {"stage": Mark(value, limit)}, now)
        assert bool(late(progress, now)) == (now - changed > limit)
