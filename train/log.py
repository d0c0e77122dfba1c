"""The log of a training run: a CSV, one row every few steps and one for each validation. Shell."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from train.plots import training_curves

EVERY = 20  # steps in one row, averaged


class Log:
    """Writes `log.csv`; columns: samples, learning_rate, *_loss, frame_map_50, then the labels' frame-AP (percent)."""

    def __init__(self, path: Path, labels: Sequence[str], goes_on: bool) -> None:
        self.path = path
        self.labels = labels
        self.terms: list[Mapping[str, float]] = []
        if not (goes_on and path.exists()):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(
                ["samples", "learning_rate", "heatmap_loss", "size_loss", "offset_loss", "frame_map_50", *labels], "w"
            )

    def add(self, samples: int, terms: Mapping[str, float], learning_rate: float) -> None:
        """One step; every EVERY-th becomes a row."""
        self.terms.append(terms)
        if len(self.terms) == EVERY:
            means = [math.fsum(t[name] for t in self.terms) / EVERY for name in ("heatmap", "size", "offset")]
            self._write([samples, f"{learning_rate:.3g}", *(f"{mean:.4f}" for mean in means)])
            self.terms = []

    def validated(self, samples: int, precision: Sequence[float], mean: float) -> None:
        """One validation: frame-AP of each label and their mean, percent."""
        self._write([samples, "", "", "", "", f"{mean:.2f}", *(f"{p:.2f}" for p in precision)])

    def plot(self) -> None:
        """Draw `curves.png` beside the CSV."""
        training_curves(self.path, self.path.with_name("curves.png"))

    def _write(self, row: Sequence[object], mode: str = "a") -> None:
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([*row, *[""] * (6 + len(self.labels) - len(row))])
