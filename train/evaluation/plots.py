"""Shell. Plots of an evaluation and of a training run, as PNG files."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.files import replacing
from edge.video import fonts, text_rendering
from train.evaluation.metrics import Curve, at_best_f1

if TYPE_CHECKING:  # matplotlib is imported where something is drawn: nothing else of an evaluation needs it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLOURS = 10  # of matplotlib's cycle; more curves are dashed, then dotted, and named beside the panel
STYLES = ("-", "--", ":")
LINES_BESIDE = 25  # names in one column there


class PlotError(Exception):
    """A plot that cannot be drawn or written; the message names the file and the remedy."""


def precision_recall_curves(
    labels: Sequence[str], curves: Sequence[Curve], scores: Sequence[float], png_path: Path
) -> None:
    """Precision over recall, one line a class; `scores` (0..1, nan where unknown) are the APs for the legend."""
    with _lettered(labels):
        figure = _new_figure(7, 6)
        axes = figure.add_subplot()
        drawn: list[Line2D] = []
        names = []
        for label, points, score in zip(labels, curves, scores, strict=True):
            if not points.truths:
                continue
            ends = np.concatenate([[0.0], points.recall]), np.concatenate([[1.0], points.precision])
            (line,) = axes.plot(*ends, _style(len(drawn)))
            drawn.append(line)
            names.append(f"{text_rendering.displayable(label)} {100 * score:.1f}")
            best = at_best_f1(points)
            axes.plot(best.recall, best.precision, "o", color=line.get_color())
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.set_title("Boxes in frames, IoU 0.5; AP in percent; a dot at the best F1")
        axes.grid(alpha=0.3)
        if drawn:
            axes.legend(drawn, names, **_legend(len(drawn), "lower left"))
        _save(figure, png_path)


def confusion(labels: Sequence[str], matrix: NDArray[np.int64], score: float, png_path: Path) -> None:
    """The confusion matrix (classes + 1, classes + 1), coloured by the share of each row, with its counts."""
    names = [*map(text_rendering.displayable, labels), "background"]
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.8 * len(names)
    with _lettered(labels):
        figure = _new_figure(side + 0.8, side)
        axes = figure.add_subplot()
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(f"Boxes that score at least {score:.2f}, IoU 0.5")
        figure.colorbar(image, label="share of the row")
        _save(figure, png_path)


def training_curves(csv_path: Path, png_path: Path) -> None:
    """The log of a training run: losses on the left (logarithmic), every other number column on the right.

    The first column is the horizontal axis; cells may be empty, as validation is rarer than a step. Columns of the
    learning rate and of times are left out.
    """
    columns = logged_columns(csv_path)
    axis = next(iter(columns))
    left = [name for name in columns if "loss" in name.split("_")]
    right = [name for name in columns if name not in (axis, *left) and not is_bookkeeping(name)]
    figure = _new_figure(12 + (len(right) > COLOURS) * 2 * -(-len(right) // LINES_BESIDE), 4.5)
    panels = figure.subplots(1, 2)
    for panel, names in zip(panels, (left, right), strict=True):
        _draw(panel, columns, axis, names)
    if any(np.nanmax(columns[name], initial=0) > 0 for name in left):
        panels[0].set_yscale("log")
    _save(figure, png_path)


def _new_figure(width: float, height: float) -> "Figure":
    """In inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


@contextmanager
def _lettered(labels: Sequence[str]) -> Iterator[None]:
    """Draw labels as they are, whatever script they are in; a `$` in them is no formula."""
    from matplotlib import font_manager, rc_context

    families = ["DejaVu Sans"]  # matplotlib's own
    foreign = [fonts.font_for(frozenset(label)) for label in labels if not label.isascii()]
    for file in dict.fromkeys(filter(None, foreign)):
        font_manager.fontManager.addfont(file)
        families.append(font_manager.FontProperties(fname=file).get_name())
    with rc_context({"font.family": families, "text.parse_math": False}):
        yield


def _draw(axes: "Axes", columns: Mapping[str, NDArray[np.float64]], axis: str, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        known = np.isfinite(columns[name])
        mark = "o" if np.count_nonzero(known) < 50 else ""
        width = 2.5 if name.startswith("frame_map") else 1.5  # the means
        axes.plot(
            *(columns[one][known] for one in (axis, name)),
            _style(place, mark),
            lw=width,
            ms=3,
            label=name.replace("_", " "),
        )
    axes.set_xlabel(axis.replace("_", " "))
    axes.grid(alpha=0.3)
    if names:
        axes.legend(**_legend(len(names), "best"))


def _style(place: int, mark: str = "") -> str:
    """Of the curve at this place: no two of the first 30 are alike."""
    return f"C{place % COLOURS}{mark}{STYLES[place // COLOURS % len(STYLES)]}"


def _legend(count: int, inside: str) -> dict[str, Any]:
    """Where the names of so many curves stand: in the panel, or beside it."""
    if count <= COLOURS:
        return {"loc": inside}
    beside = -(-count // LINES_BESIDE)
    return {"loc": "upper left", "bbox_to_anchor": (1, 1), "fontsize": "x-small", "ncols": beside}


def is_bookkeeping(name: str) -> bool:
    """Whether a column of such a log is neither a loss nor a score."""
    return not {"rate", "seconds", "time", "epoch", "step", "samples"}.isdisjoint(name.split("_"))


def logged_columns(csv_path: Path) -> dict[str, NDArray[np.float64]]:
    """The columns of the log of a training run, by name; nan where a cell is empty. Raises PlotError."""
    try:
        with csv_path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise PlotError(f"{csv_path}: cannot be read ({error.strerror}); give the log of a training run") from error
    if not rows:
        raise PlotError(f"{csv_path}: holds no line yet; train for at least one step")
    try:
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
    except (TypeError, ValueError) as error:
        raise PlotError(f"{csv_path}: not a table of numbers ({error}); give the log of a training run") from error


def _save(figure: "Figure", png_path: Path) -> None:
    try:
        with replacing(png_path) as partial:
            figure.savefig(partial, dpi=120, format="png")
    except OSError as error:
        raise PlotError(f"{png_path}: cannot be written ({error.strerror}); choose another folder") from error
