"""Which run is gone on with, and when a new one begins."""

import os
from pathlib import Path

import pytest

from convert.project import folders, run_folders
from convert.project.folders import Project
from convert.project.run_folders import RunState
from tests.support.full_disk import full_disk
from train.datasets.annotation_records import AnnotationError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    list(folders.create(tmp_path, ["fall"]))
    (tmp_path / "videos" / "a.mp4").write_bytes(b"video")
    (tmp_path / "annotations" / "a.xml").write_text("<annotations/>")
    return folders.read(tmp_path)


def test_whatever_decides_how_a_run_turns_out_changes_its_fingerprint(project: Project) -> None:
    seen = {run_folders.fingerprint(project, {})}
    assert run_folders.fingerprint(project, {}) in seen
    seen.add(run_folders.fingerprint(project, {"samples": 7}))
    (project.folder / "annotations" / "a.xml").write_text("<annotations> </annotations>")
    seen.add(run_folders.fingerprint(project, {}))
    os.utime(project.folder / "videos" / "a.mp4", (1, 1))
    seen.add(run_folders.fingerprint(project, {}))
    for name in ("validationlist.txt", "quietlist.txt"):
        (project.folder / name).write_text("a\n")
        seen.add(run_folders.fingerprint(project, {}))
    (project.folder / "actions.toml").write_text('actions = ["climb"]\n')
    seen.add(run_folders.fingerprint(project, {}))
    assert len(seen) == 7
    (project.folder / "runs").mkdir()
    (project.folder / "README.md").write_text("what decides nothing")
    assert run_folders.fingerprint(project, {}) in seen


def test_other_weights_of_the_same_name_change_it(project: Project) -> None:
    start = project.folder / "start.pt"
    (project.folder / "actions.toml").write_text('actions = ["fall"]\nstart = "start.pt"\n')
    own = folders.read(project.folder)
    seen = {run_folders.fingerprint(own, {})}  # there is no such file yet
    for content in (b"one", b"two"):
        start.write_bytes(content)
        seen.add(run_folders.fingerprint(own, {}))
    assert len(seen) == 3


def test_runs_are_numbered_on(project: Project) -> None:
    first = run_folders.begin(project, "mark", {"samples": 7})
    (project.runs / "099").mkdir()  # of somebody else: without a state
    second = run_folders.begin(project, "mark", {})
    assert (first.path.name, second.path.name) == ("001", "100")
    second.with_done("train").with_all_done()
    assert [(one.path.name, one.state) for one in run_folders.all_runs(project)] == [
        ("001", RunState("mark", options={"samples": 7})),
        ("100", RunState("mark", ("train",), True)),
    ]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"fingerprint": 1}', "\xff"])
def test_a_state_that_cannot_be_read_is_no_run(content: str, project: Project) -> None:
    made = run_folders.begin(project, "mark", {})
    (made.path / "run.json").write_bytes(content.encode("latin-1"))
    assert run_folders.all_runs(project) == []
    assert run_folders.begin(project, "mark", {}).path.name == "002"


def test_two_runs_at_once(project: Project) -> None:
    busy = "runs: another korsal-train run is teaching this project; wait"
    with run_folders.alone(project), pytest.raises(AnnotationError, match=busy), run_folders.alone(project):
        pass
    with run_folders.alone(project):
        pass


def test_a_disk_that_is_full(project: Project) -> None:
    made = run_folders.begin(project, "mark", {})
    with (
        full_disk(0),
        pytest.raises(AnnotationError, match=r"run.json: cannot be written .* free space"),
    ):
        made.with_done("train")
    assert run_folders.all_runs(project)[0].state.done == ()
