"""The report of a run whose detections are made up: its figures, its pictures, and what it needs from outside."""

import base64
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.project import folders, reporting, run_folders, steps
from convert.project.__main__ import main
from convert.project.folders import Project
from convert.project.run_folders import RunFolder
from convert.report import page, results
from convert.report.page import Pictures
from convert.report.results import ClassScenes, RunFiles, RunResults
from tests.support.made_project import change
from tests.support.reported_run import finished_run
from train.datasets import loader
from train.datasets.annotation_records import AnnotationError
from train.evaluate import main as evaluate

Finished = tuple[Project, RunFolder]


class Cells(HTMLParser):
    """The text of all cells, row by row; a first empty row is no row of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = [[]]
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        self.inside = self.inside or tag in ("td", "th")
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_run(tmp_path_factory.mktemp("reported") / "mine")


@pytest.fixture(scope="module")
def text(finished: Finished) -> str:
    return reporting.report(*finished).read_text()


def test_scores_are_those_of_korsal_evaluate(finished: Finished, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As it prints them, but for one decimal more."""
    project, folder = finished
    data = ("--data", str(project.folder), "--split", "validation", "-q")
    found, tubes = str(folder.path / "validation.npz"), str(folder.path / "tubes.npz")
    assert evaluate(["score", *data, "--detections", found, "--tubes", tubes]) == 0
    printed = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[3:6]}
    rows = {row[0]: row for row in Cells(text).rows if len(row) == 11}
    assert [*printed] == ["Dunk", "Surf", "mean"]
    for name, figures in printed.items():
        detected, linked, _, half, _, whole, precision, recall, f1, *_ = figures
        shown = [rows[name][column] for column in (1, 4, 5, 6, 7, 8)]
        assert [f"{float(cell):.1f}" for cell in shown] == [detected, half, whole, precision, recall, f1]
        assert (linked, rows[name][3]) == ("-", "–")
    assert rows["Dunk"][2] == "0.0 to 100.0"  # found in one scene, missed in the other
    assert 'class="warning"' not in text  # the saved detections give the same


def test_events_are_those_of_korsal_evaluate(finished: Finished, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    project, folder = finished
    words = ["events", str(folder.path / "validation.npz"), "--data", str(project.folder), "--split", "validation"]
    capsys.readouterr()
    assert evaluate([*words, "--start-scores", str(folder.path / steps.START_SCORES)]) == 0
    printed = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()[2:-1]]
    rows = [row for row in Cells(text).rows if len(row) == 9]
    assert rows[1:] == printed
    assert rows[-1][:2] == ["all", "4"]


def test_nothing_is_fetched_or_executed(text: str) -> None:
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "url(" not in text
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 4
    for source in sources:
        head, content = source.split(",", 1)
        assert head == "data:image/jpeg;base64"
        image = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape[1] == 320


def test_the_worst_are_shown_and_named(text: str) -> None:
    words = html.unescape(re.sub(r"<[^>]*>", " ", text))
    assert re.search(r"Dunk 0\.70\s+yard/Surf_0, 0:00\.6\s+Surf 0\.60\s+street_0/quiet", words)
    assert ["Dunk", "yard", "yard/Dunk_0, 0:00.6", "1.4 s", "never"] in Cells(text).rows
    assert "Dunk is learned from one scene (one tube)" in words
    assert "1 of 2 actions Dunk got an event; missed in yard" in words


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", '"><b>', "&amp;", "\u202eevil", "\x1b[31m"])
def test_names_are_text_wherever_they_come_from(name: str) -> None:
    scenes = {name: ClassScenes(1, 1, 0, 0)}
    shown = page.as_html(name, RunResults({name: np.zeros(2), f"{name}_loss": np.ones(2)}, scenes, 0, None), Pictures())
    assert "<img" not in shown
    assert "<b>" not in shown
    assert "\x1b" not in shown
    assert html.escape(name.replace("\x1b", "?")) in shown


def test_what_has_changed_since_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, folder = finished_run(tmp_path / "mine")
    (project.folder / "videos" / "yard" / "Dunk_0.avi").write_bytes(b"no video any more")
    assert main(["report", str(project.folder)]) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"Next: korsal-train deploy {project.folder} root@DEVICE\n")
    text = (folder.path / reporting.NAME).read_text()
    assert "have changed since this was taught" in text
    assert text.count("the frame cannot be read") == 1
    assert text.count("data:image/jpeg") == 3


def test_a_run_without_scores_has_curves_all_the_same(finished: Finished) -> None:
    project, folder = finished
    files = RunFiles(folder.path / "train" / "log.csv")
    found = results.read(loader.load(project.folder), files)
    text = page.as_html("all", found, Pictures())
    assert found.scenes["Dunk"] == ClassScenes(3, 3, 0, 0)  # all was learned from
    assert "Nothing was held out" in text
    assert "heatmap loss" in text
    assert "frame map 50" in text
    assert "The log of this run cannot be read" not in text
    gone = results.read(loader.load(project.folder), RunFiles(folder.path / "none.csv"))
    assert "The log of this run cannot be read" in page.as_html("all", gone, Pictures())


def test_scores_of_other_videos_or_broken_ones(tmp_path: Path) -> None:
    project, folder = finished_run(tmp_path / "mine")
    path = folder.path / steps.SCORES
    whole = path.read_text()
    path.write_text(whole.replace(", validation", ", test"))
    with pytest.raises(AnnotationError, match=r"is of test videos, .*validation.npz of validation; korsal-train run"):
        reporting.report(project, folder)
    path.write_text(whole.replace('"Dunk"', '"Other"'))
    with pytest.raises(AnnotationError, match="are no scores of these actions"):
        reporting.report(project, folder)


def test_which_run(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    project, folder = finished
    assert run_folders.one_of(project, None).path == folder.path
    assert run_folders.one_of(project, "001").path == run_folders.one_of(project, "1").path == folder.path
    assert main(["report", str(project.folder), "--run", "002"]) == 1
    assert "no run 002 has learned something; those that have: 001" in capsys.readouterr().err


def test_an_action_that_was_renamed_is_no_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, _ = finished_run(tmp_path / "mine")
    change(project.folder, '"Surf"', '"Swim"')
    for path in (project.folder / "annotations").glob("**/*.xml"):
        path.write_text(path.read_text().replace("Surf<", "Swim<"))
    assert folders.read(project.folder).settings.actions == ("Dunk", "Swim")
    assert main(["report", str(project.folder)]) == 0
    capsys.readouterr()
