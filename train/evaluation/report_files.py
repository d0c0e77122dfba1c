"""Shell. Where a report is written: its scores as JSON, its curves and confusion matrix as PNG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge import packages
from edge.terminal import progress
from train import output_paths
from train.evaluation import plots
from train.evaluation.report import Report

CURVES_FILE = "precision_recall.png"


def check_paths(json_path: Path | None, folder: Path | None) -> None:
    """Whether the scores and the plots can be written, before the work. Raises OutputPathError, MissingPackageError."""
    if json_path is not None:
        output_paths.check(json_path, "--json")
    if folder is not None:
        packages.require("matplotlib")
        output_paths.check(folder / CURVES_FILE, "--plots")


def write_scores(document: Mapping[str, Any], json_path: Path) -> None:
    """Write the JSON and print its name. Raises OutputPathError."""
    output_paths.write_json(document, json_path, "--json")
    print(f"scores: {progress.file_summary(json_path)}")


def draw(scores: Report, folder: Path) -> None:
    """Write the curves and the confusion matrix and print the folder's name. Raises PlotError."""
    averages = [one.frame_ap for one in scores.classes]
    plots.precision_recall_curves(scores.labels, scores.curves, averages, folder / CURVES_FILE)
    plots.confusion(scores.labels, scores.confusion, scores.confusion_score, folder / "confusion.png")
    print(f"plots: {progress.file_summary(folder)}")
