"""`korsal-train run`: the whole way with tiny videos, interrupted and gone on with, repeated and begun anew."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from convert.project import folders, reporting, run, run_folders, steps
from convert.project.__main__ import main
from convert.project.run import RunOptions
from convert.project.run_folders import RunFolder, RunState
from convert.project.steps import EVALUATE, RunPlan, RunStep
from edge.engines import onnxruntime_engine
from edge.packages import MissingPackageError
from tests.support.made_project import ACTIONS, SCENES, add_video, begin_small, change, make_project
from tests.support.untrained_model import MANIFEST
from train import checkpoint
from train.checkpoint import Checkpoint
from train.datasets import loader
from train.datasets.annotation_records import VideoAnnotation
from train.evaluation import start_scores

WORDS = ("--samples", "32", "--workers", "0", "--precision", "float32", "--device", "cpu", "--no-int8", "-q")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.slow
def test_the_whole_way(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the fourth step, gone on with, repeated, and begun anew when there is more to learn."""
    project = make_project(tmp_path / "mine", clips=1)
    begin_small(project)
    folder = project / "runs" / "001"
    with monkeypatch.context() as stopped:
        programs = run._programs()
        stopped.setattr(run, "_programs", lambda: {**programs, EVALUATE: lambda words: 130})
        assert main(["run", str(project), *WORDS]) == 130
    out = capsys.readouterr().out
    assert f"{folder}: stopped at step 4, detect; what was done is kept\nNext: korsal-train run {project}" in out
    assert "held out for validation: 3 of 8: beach/Dunk_0, beach/Surf_0, street_0/quiet" in out
    learned = (folder / "train" / "best.pt").read_bytes()

    assert main(["run", str(project), *WORDS]) == 0
    out = capsys.readouterr().out
    assert out.count(": done before") == 3
    assert out.splitlines()[-1] == f"Next: korsal-train deploy {project} root@DEVICE"
    assert (folder / "train" / "best.pt").read_bytes() == learned
    manifest = onnxruntime_engine.load(folder / "mine.onnx", threads=1).manifest
    assert (manifest.name, manifest.labels, manifest.input_size) == ("mine", ACTIONS, (128, 96))
    assert manifest.training["scores"]["protocol"]["videos"] == 3
    assert manifest.start_scores == start_scores.load(folder / "start_scores.json")
    _assert_report(folder)

    assert main(["run", str(project), *WORDS]) == 0
    assert f"{folder}: nothing has changed since it was taught; --again teaches it anew" in capsys.readouterr().out
    add_video(project, "yard/Surf_9", 1, seed=7)
    options = RunOptions(samples=32, int8=False)
    assert run._folder(folders.read(project), options).path.name == "002"


def _assert_report(folder: Path) -> None:
    """It has the figures of the model itself, which those of the saved detections equal."""
    text = (folder / "report.html").read_text()
    scores = _scores(folder)
    assert f"<strong>{scores['frame_map']['0.5']:.2f}</strong>" in text
    for label in ACTIONS:
        assert f">{label}</th><td>{scores['per_class'][label]['frame_ap']['0.5']:.2f}</td>" in text
    assert 'class="warning"' not in text


def _scores(folder: Path) -> Any:
    return json.loads((folder / "scores.json").read_text())


def test_what_is_wrong_stops_it_before_anything_is_taught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "mine", clips=1)
    (project / "videos" / "yard" / "Surf_0.avi").write_bytes(b"no video")
    assert main(["run", str(project), *WORDS]) == 1
    out = capsys.readouterr().out
    assert "wrong: yard/Surf_0: " in out
    assert f"{project}: nothing was taught; correct what is wrong above, and run it again" in out
    assert not (project / "runs").exists()


def test_one_scene_is_told_before_it_learns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "mine", clips=1)
    begin_small(project)
    change(project, 'scenes = "auto"', 'scenes = "folder"')
    change(project, 'quiet = ["street_*"]', "")
    for scene in SCENES[1:]:
        shutil.rmtree(project / "annotations" / scene)
    assert main(["run", str(project), *WORDS]) == 1
    sentence = "leaves no video for validation: whole scenes are held out, and every action keeps one; film another"
    assert sentence in capsys.readouterr().err


def test_start_scores_are_chosen_on_a_quiet_scene_even_where_there_is_one_alone() -> None:
    busy, street, yard = VideoAnnotation("a", 9, ()), *(VideoAnnotation(name, 9, (), quiet=True) for name in "bc")
    assert run._silent([busy, street], [yard]) == [yard]
    assert run._silent([busy, street], [busy]) == [street]
    assert run._silent([busy], [busy]) == []


def test_what_comes_after_a_missing_file_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where that is stopped: else a model would have no scores, or those of the one before."""
    list(folders.create(tmp_path, ACTIONS))
    project, done, stops = folders.read(tmp_path), list[str](), {"choose"}

    def do(step: RunStep) -> int:
        done.append(step.name)
        step.makes.parent.mkdir(exist_ok=True)
        step.makes.write_text(step.name)
        return 130 if step.name in stops else 0

    def go() -> tuple[int, list[str]]:
        done.clear()
        return run._go(project, plan, run_folders.all_runs(project)[0]), done

    monkeypatch.setattr(run, "_done_by", do)
    monkeypatch.setattr(reporting, "report", lambda _, folder: (folder.path / "report.html").write_text("new"))
    folder = run_folders.begin(project, "mark", {})
    plan = RunPlan(tmp_path, folder.path, "mine", "", (), int8=False)
    (folder.path / "report.html").write_text("of a run that had not ended")
    assert go() == (130, ["train", "export", "detect", "choose"])
    stops.clear()
    assert go() == (0, ["choose", "score", "finish"])
    assert (folder.path / "report.html").read_text() == "new"
    plan.model.rename(tmp_path / "moved.onnx")
    stops.add("detect")
    assert go() == (130, ["export", "detect"])
    assert not run_folders.all_runs(project)[0].state.finished
    stops.clear()
    assert go() == (0, ["detect", "choose", "score", "finish"])
    assert run_folders.all_runs(project)[0].state.done == ("train", "export", "detect", "choose", "score", "finish")


def test_quiet_videos_alone_give_no_last_score(tmp_path: Path) -> None:
    """Nothing is right or wrong about actions in them: that of the held-out scenes is kept."""
    project = make_project(tmp_path / "mine", clips=1)
    names = [step.name for step in steps.steps(_planned(project))]
    assert "score" in names
    assert "detect-test" not in names
    change(project, '# test = ["garage"]', 'test = ["street_1"]')
    assert [step.name for step in steps.steps(_planned(project))] == names
    change(project, '"street_1"', '"street_1", "hall"')
    assert "detect-test" in [step.name for step in steps.steps(_planned(project))]


def _planned(project: Path) -> RunPlan:
    options = RunOptions()
    found = folders.read(project)
    return run._plan(found, RunFolder(project / "runs" / "001", RunState("")), loader.load(project), options, None)


def test_it_goes_on_from_another_folder_and_begins_anew_in_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training refuses to go on with other data, and knows its data by its place."""
    monkeypatch.chdir(tmp_path)
    project, options = folders.read(make_project(Path("mine"), clips=1)), RunOptions()
    folder = run._folder(project, options)
    plan = run._plan(project, folder, loader.load(project.folder), options, None)
    settings = {"data": [steps.steps(plan)[0].words[0]], "weights": plan.weights}
    checkpoint.save(Checkpoint(MANIFEST, {}, settings), folder.path / "train" / "last.pt")
    monkeypatch.chdir("mine")
    assert run._folder(folders.read(Path()), options).path == Path("runs/001")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").rename("moved")
    assert run._folder(folders.read(Path("moved")), options).path == Path("moved/runs/002")
    assert "moved/runs/001: was begun with data or weights in another place, so a new run" in capsys.readouterr().out


def test_weights_that_cannot_be_begun_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "mine", clips=1)
    change(project, 'start = "shipped"', 'start = "none.onnx"')
    assert main(["run", str(project), *WORDS]) == 1
    assert f"{project}/actions.toml: start: {project}/none.onnx: cannot be read" in capsys.readouterr().err
    assert not (project / "runs").exists()


def test_a_machine_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = folders.read(make_project(tmp_path / "mine", clips=1))
    monkeypatch.setattr(run, "NEEDED", ("torch_that_is_missing",))
    with pytest.raises(MissingPackageError, match="torch_that_is_missing is not installed: "):
        run.run(project, RunOptions())


def test_the_lines_that_say_what_comes_next_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run.WithoutNext(sys.stdout)
    shown.write("one\nNext: two\nthr")
    shown.write("ee\n")
    shown.flush()
    assert capsys.readouterr().out == "one\nthree\n"
