import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sensors.thermal import SHARE_AT_LIMIT, STEP, ThermalSettings, admit, share_to_skip

HOT = ThermalSettings(limit=90.0)


def chosen(share: float, count: int) -> list[bool]:
    """Which of so many frames are taken."""
    credit, frames = 0.0, []
    for _ in range(count):
        taken, credit = admit(credit, share)
        frames.append(taken)
    return frames


@pytest.mark.parametrize(
    ("before", "celsius", "expected"),
    [
        (0.0, None, 0.0),
        (0.0, 89.9, 0.0),
        (0.0, 90.0, 0.2),  # SHARE_AT_LIMIT
        (0.0, 92.0, 0.35),  # 0.2 + 2/10 · 0.7 = 0.34
        (0.0, 95.0, 0.55),
        (0.0, 100.0, 0.9),
        (0.0, 130.0, 0.9),
        (0.5, 89.9, 0.2),  # cooler than the limit, not yet below 85
        (0.2, 85.0, 0.2),
        (0.2, 84.9, 0.0),
        (0.5, None, 0.0),
    ],
)
def test_share_to_skip(before: float, celsius: float | None, expected: float) -> None:
    assert share_to_skip(before, celsius, HOT) == pytest.approx(expected)


def test_without_a_limit_nothing_is_left_out() -> None:
    assert share_to_skip(0.5, 200.0, ThermalSettings()) == 0.0


def test_resuming_has_a_threshold_of_its_own() -> None:
    settings = ThermalSettings(limit=90.0, resume=70.0, most_skipped=0.5)
    assert share_to_skip(0.2, 70.0, settings) == SHARE_AT_LIMIT
    assert share_to_skip(0.2, 69.0, settings) == 0.0
    assert share_to_skip(0.2, 120.0, settings) == 0.5


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"limit": 80.0, "resume": 81.0}, "resume 81.0 is above limit 80.0: lower it"),
        ({"resume": 81.0}, "without a limit"),
    ],
)
def test_settings_that_contradict_themselves(keys: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ThermalSettings(**keys)


@pytest.mark.parametrize(
    ("share", "taken"),
    [
        (0.0, "1111111111"),
        (0.2, "0111101111"),
        (0.5, "0101010101"),
        (0.75, "0001000100"),
        (0.9, "0000000001"),
        (1.0, "0000000000"),
    ],
)
def test_which_frames_are_taken(share: float, taken: str) -> None:
    assert "".join(str(int(frame)) for frame in chosen(share, 10)) == taken


@given(st.integers(0, 20), st.integers(1, 500))
def test_frames_are_left_out_evenly(steps: int, count: int) -> None:
    """Of any run of frames as many are taken as the share says, give or take one."""
    share = steps * STEP
    frames = chosen(share, count)
    for length in (1, 7, count // 2, count):
        for first in range(0, count - length + 1, max(1, length)):
            assert abs(sum(frames[first : first + length]) - length * (1 - share)) <= 1 + 1e-6


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_a_share_that_changes_saves_up_nothing(steps: list[int]) -> None:
    """After whatever came before, no more is taken at once than the share allows, and one frame."""
    credit = 0.0
    for step in steps:
        _, credit = admit(credit, step * STEP)
        assert -1e-6 <= credit < 1


@given(st.lists(st.one_of(st.none(), st.floats(-50, 150)), max_size=60), st.floats(60, 100), st.floats(0, 30))
def test_the_share_is_one_and_hotter_is_never_less(
    temperatures: list[float | None], limit: float, margin: float
) -> None:
    settings = ThermalSettings(limit, limit - margin)
    share = 0.0
    for celsius in temperatures:
        before, share = share, share_to_skip(share, celsius, settings)
        assert 0 <= share <= settings.most_skipped
        if celsius is not None:
            assert share_to_skip(before, celsius + 1, settings) >= share
            assert bool(share) == (celsius >= limit or (bool(before) and celsius >= limit - margin))
