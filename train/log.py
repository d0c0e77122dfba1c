"""The log of a training run: a CSV, one row every few steps and one for each validation. Shell."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from train.evaluation.plots import training_curves

EVERY = 20  # steps in one row, averaged
TERMS = ("heatmap", "size", "offset")


class LogError(Exception):
    """A log that cannot be written or continued; the message names the file and the remedy."""


class TrainingLog:
    """Writes `log.csv`; columns: samples, learning_rate, *_loss, frame_map_50, then `scored` (percent).

    Begin it with `start` or `resume`; all methods raise LogError.
    """

    def __init__(self, path: Path, scored: Sequence[str], terms: Sequence[str] = TERMS) -> None:
        """`terms`: of the loss."""
        self.path = path
        self.terms = tuple(terms)
        self.columns = ("samples", "learning_rate", *(f"{term}_loss" for term in terms), "frame_map_50", *scored)
        self.unwritten: list[dict[str, float]] = []  # the terms of the steps since the last row of steps

    def start(self) -> None:
        """Start a new log."""
        self._write([self.columns], "w")

    def resume(self, samples: int, unwritten: Sequence[Mapping[str, float]]) -> None:
        """Continue at `samples`: later rows are dropped, for they will be written again; `unwritten` as it was then."""
        if not self.path.exists():
            self.start()
        self._write([self.columns, *(row for row in self._rows() if int(row[0]) <= samples)], "w")
        self.unwritten = [dict(terms) for terms in unwritten]

    def add(self, samples: int, terms: Mapping[str, float], learning_rate: float) -> None:
        """One step; every EVERY-th becomes a row."""
        self.unwritten.append(dict(terms))
        if len(self.unwritten) == EVERY:
            means = [math.fsum(step[name] for step in self.unwritten) / EVERY for name in self.terms]
            self._write([[samples, f"{learning_rate:.3g}", *(f"{mean:.4f}" for mean in means)]], "a")
            self.unwritten = []

    def validated(self, samples: int, scores: Sequence[float], mean: float) -> None:
        """One validation: what the columns `scored` get, and the whole, percent."""
        empty = ("" for _ in self.terms)
        self._write([[samples, "", *empty, f"{mean:.2f}", *(f"{score:.2f}" for score in scores)]], "a")

    def plot(self) -> None:
        """Draw `curves.png` beside the CSV, if that has a row yet. Raises PlotError."""
        if self._rows():
            training_curves(self.path, self.path.with_name("curves.png"))

    def _rows(self) -> list[list[str]]:
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                header, *rows = csv.reader(file)
        except (OSError, ValueError, csv.Error) as error:
            raise LogError(
                f"{self.path}: cannot be read ({error}); move it away, --resume then begins a new one"
            ) from error
        if tuple(header) != self.columns or not all(row and row[0].isdecimal() for row in rows):
            raise LogError(f"{self.path}: not the log of this run; move it away, --resume then begins a new one")
        return rows

    def _write(self, rows: Sequence[Sequence[object]], mode: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(mode, newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([*row, *[""] * (len(self.columns) - len(row))] for row in rows)
        except OSError as error:
            raise LogError(
                f"{self.path}: cannot be written ({error.strerror}); free space on the disk or choose another --out"
            ) from error
