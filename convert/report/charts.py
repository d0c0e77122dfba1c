"""Pure. Line charts as SVG, in the colours of the page that they are part of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.report.markup import Html, joined, tag

WIDTH, HEIGHT = 420, 280
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 40  # of the plot, from the edges
TICKS = 5
COLOURS = 8  # that the page has; further lines are dashed
MOST_POINTS = 300  # of a line: more cannot be seen
FEW_POINTS = 40  # of a line: fewer are marked, as one alone makes no line


@dataclass(frozen=True, eq=False)
class Line:
    """A named line through the points x (N,), y (N,); those that are not finite are left out."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """What an axis shows, from where to where."""

    title: str
    low: float
    high: float

    def share(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where values lie on it, 0..1."""
        shares: NDArray[np.float64] = (values - self.low) / (self.high - self.low)
        return shares


def axis_of(title: str, values: Sequence[NDArray[np.float64]]) -> Axis:
    """From 0 to a round number that all finite values lie below."""
    known = np.concatenate([np.zeros(1), *(one[np.isfinite(one)] for one in values)])
    highest = float(known.max())
    if highest <= 0:
        return Axis(title, 0, 1)
    unit = 10 ** math.floor(math.log10(highest))
    return Axis(title, 0, next(step * unit for step in (1, 2, 2.5, 5, 10) if step * unit >= highest))


def line_chart(lines: Sequence[Line], across: Axis, up: Axis, title: str) -> Html:
    """The chart with its title, and the names of its lines below."""
    drawn = [_drawn(line, place, across, up) for place, line in enumerate(lines)]
    picture = tag("svg", *_grid(across, up), *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)
    names = [tag("li", tag("span", class_=f"swatch {_style(n)}"), line.name) for n, line in enumerate(lines)]
    return tag("figure", tag("figcaption", title), picture, tag("ul", *names, class_="legend"))


def _style(place: int) -> str:
    return f"s{place % COLOURS}" + " dashed" * (place >= COLOURS)


def _drawn(line: Line, place: int, across: Axis, up: Axis) -> Html:
    known = np.flatnonzero(np.isfinite(line.x) & np.isfinite(line.y))
    chosen = known[np.unique(np.linspace(0, len(known) - 1, MOST_POINTS).round().astype(int))] if len(known) else known
    x, y = _to_pixels(line.x[chosen], line.y[chosen], across, up)
    points = " ".join(f"{one:.1f},{other:.1f}" for one, other in zip(x.tolist(), y.tolist(), strict=True))
    marked = zip(x.tolist(), y.tolist(), strict=True) if len(chosen) < FEW_POINTS else ()
    marks = [tag("circle", cx=f"{one:.1f}", cy=f"{other:.1f}", r="2.5", class_=_style(place)) for one, other in marked]
    return joined(tag("polyline", points=points, class_=f"line {_style(place)}"), *marks)


def _to_pixels(
    x: NDArray[np.float64], y: NDArray[np.float64], across: Axis, up: Axis
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return LEFT + wide * across.share(x), TOP + high * (1 - up.share(y))


def _grid(across: Axis, up: Axis) -> list[Html]:
    steps = np.linspace(0, 1, TICKS + 1)
    values = [axis.low + steps * (axis.high - axis.low) for axis in (across, up)]
    x, y = _to_pixels(values[0], values[1], across, up)
    bottom, parts = f"{HEIGHT - BOTTOM}", []
    for place, share in enumerate(steps.tolist()):
        level, column = f"{y[place]:.1f}", f"{x[place]:.1f}"
        parts.append(tag("line", x1=f"{LEFT}", x2=f"{WIDTH - RIGHT}", y1=level, y2=level, class_="grid"))
        words = (_number(axis.low + share * (axis.high - axis.low)) for axis in (up, across))
        parts.append(tag("text", next(words), x=f"{LEFT - 5}", y=f"{y[place] + 4:.1f}", text_anchor="end"))
        parts.append(tag("text", next(words), x=column, y=f"{HEIGHT - BOTTOM + 16}", text_anchor="middle"))
    parts.append(tag("line", x1=f"{LEFT}", x2=f"{LEFT}", y1=f"{TOP}", y2=bottom, class_="grid"))
    middle = f"{(LEFT + WIDTH - RIGHT) / 2:.0f}"
    titles = tag("text", across.title, x=middle, y=f"{HEIGHT - 5}", text_anchor="middle")
    lead = tag("text", up.title, x="12", y=f"{HEIGHT // 2 - 10}", text_anchor="middle", class_="upright")
    return [joined(*parts, titles, lead)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
