import pytest

from edge.broker.message import Message, clock_jump

NOW = 1_800_000_000.0


def test_an_expiry_is_postponed_where_there_is_one() -> None:
    assert Message("t", b"", expires=NOW).expiring_later(5.0).expires == NOW + 5
    assert Message("t", b"", expires=1000.0).expiring_later(5.0).expires == 1000.0  # stamped before the clock was set
    assert Message("t", b"").expiring_later(5.0) == Message("t", b"")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((NOW, 50.0), (NOW + 5, 55.0), 0.0),
        ((NOW, 50.0), (NOW + 14, 55.0), 0.0),  # 9 s, as a time server may do
        ((NOW, 50.0), (NOW + 86_405, 55.0), 86_400.0),
        ((NOW, 50.0), (NOW - 86_395, 55.0), -86_400.0),
        ((1000.0, 50.0), (NOW, 55.0), 0.0),  # it has not been set before
        ((NOW, 50.0), (1000.0, 55.0), 0.0),
    ],
)
def test_a_jump_of_the_clock(before: tuple[float, float], now: tuple[float, float], expected: float) -> None:
    assert clock_jump(before, now) == expected
