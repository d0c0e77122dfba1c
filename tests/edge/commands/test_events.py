"""The times that `korsal-edge events --since` takes."""

import argparse
import time
from datetime import datetime, timezone

import pytest

from edge.commands.events import since


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800)])
def test_a_span_counts_back_from_now(text: str, seconds: float) -> None:
    assert time.time() - since(text) == pytest.approx(seconds, abs=10)


def test_a_time_is_of_its_zone() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp()
    assert since("2026-01-31T12:00:00Z") == since("2026-01-31T13:00+01:00") == noon
    assert since("2026-01-31") == datetime(2026, 1, 31).astimezone().timestamp()


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 hours", "yesterday", "2026-13-01"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give a time span as 90s"):
        since(text)


def test_a_very_long_span_takes_all() -> None:
    assert since("9999999999d") < 0
