"""Lines and axes of charts."""

import re

import numpy as np
import pytest

from convert.report.charts import MOST_POINTS, Axis, Line, axis_of, line_chart


def points(text: str) -> list[str]:
    return next(words.split() for words in re.findall(r'<polyline points="([^"]*)"', text))


@pytest.mark.parametrize(
    ("highest", "end"), [(0.9, 1), (1.0, 1), (1.1, 2), (23, 25), (30, 50), (99, 100), (3000, 5000), (0.04, 0.05)]
)
def test_an_axis_ends_at_a_round_number(highest: float, end: float) -> None:
    assert axis_of("", [np.array([np.nan, highest, 0.0])]).high == pytest.approx(end)


@pytest.mark.parametrize("values", [[], [0.0], [np.nan], [-3.0]])
def test_an_axis_of_nothing(values: list[float]) -> None:
    assert axis_of("", [np.array(values, np.float64)]) == Axis("", 0, 1)


def test_gaps_are_bridged_and_long_lines_thinned() -> None:
    x = np.arange(10_000.0)
    y = np.where(x % 2, np.nan, x)
    text = line_chart([Line("a", x, y)], axis_of("", [x]), axis_of("", [y]), "t").text
    assert len(points(text)) == MOST_POINTS
    assert "nan" not in text


def test_corners_lie_in_the_corners() -> None:
    unit = Axis("", 0, 1)
    text = line_chart([Line("a", np.array([0.0, 1.0]), np.array([0.0, 1.0]))], unit, unit, "t").text
    assert points(text) == ["46.0,240.0", "408.0,10.0"]
    assert text.count("<circle") == 2
    nothing = line_chart([Line("a", np.zeros(0), np.zeros(0))], unit, unit, "t").text
    assert points(nothing) == []
