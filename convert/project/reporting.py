"""`korsal-train report`: the page of a run in a project, from the files that its steps have left. Shell."""

from pathlib import Path

from convert.project import run_folders, steps
from convert.project.folders import Project
from convert.project.run_folders import RunFolder
from convert.report import report as pages
from convert.report.results import RunFiles, ScoredFiles
from train.datasets import loader
from train.evaluation.splits import Split

NAME = "report.html"
CHANGED = (
    "Annotations, videos or settings have changed since this was taught: figures are of then; intervals, curves, "
    "events and pictures compare what was found then with what is annotated now. korsal-train run begins a new one."
)


def report(project: Project, folder: RunFolder) -> Path:
    """Write it into the run's folder; returns its path.

    Raises AnnotationError, ColumnError, EvaluationError, ScoreError.
    """
    changed = run_folders.fingerprint(project, folder.state.options) != folder.state.fingerprint
    path = folder.path / NAME
    title = f"{project.name}, run {folder.path.name}"
    files = RunFiles(folder.path / "train" / "log.csv", _scored(folder))
    pages.write(title, loader.load(project.folder), files, path, CHANGED if changed else "")
    return path


def _scored(folder: RunFolder) -> ScoredFiles | None:
    """What was scored; None where nothing was, or not yet."""
    if "score" not in folder.state.done:
        return None
    # runs of older versions have not kept what was found in videos to test on
    split: Split = "test" if "detect-test" in folder.state.done else "validation"
    scores, starts = folder.path / steps.SCORES, folder.path / steps.START_SCORES
    return ScoredFiles(split, scores, folder.path / steps.detections(split), starts)
