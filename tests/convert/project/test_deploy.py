"""`korsal-train deploy`: files arrive whole or not at all; ssh and scp are replaced by programs that stay here."""

import os
import shutil
from pathlib import Path, PurePosixPath

import pytest

from convert.project import deploy, folders, run_folders
from convert.project.__main__ import main
from convert.project.deploy import DeployError
from convert.project.folders import Project
from convert.project.run_folders import RunState
from tests.support.memory_model import write_memory_model
from train.datasets.annotation_records import AnnotationError

SSH = '#!/bin/sh\n[ "$1" = -- ] && shift\nshift\nexec sh -c "$*"\n'  # "log in" here
SCP = """#!/bin/sh
for last; do :; done
for one; do case $one in /*) cp "$one" "${last#*:}";; esac; done
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One complete run, and a later one that is not."""
    list(folders.create(tmp_path / "mine", ["fall"]))
    found = folders.read(tmp_path / "mine")
    for number, finished in (("001", True), ("002", False)):
        folder = found.runs / number
        folder.mkdir(parents=True)
        run_folders.save(folder, RunState("mark", ("train",), finished))
        for name in ("mine.onnx", "mine-int8.onnx", "mine-int8-cpu.onnx", "other.txt"):
            (folder / name).write_text(f"{name} of {number}")
    return found


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in (("ssh", SSH), ("scp", SCP)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_without_a_host_it_says_what_to_do(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(project.folder)]) == 0
    out = capsys.readouterr().out
    assert f"{project.runs}/001/mine-int8.onnx" in out
    assert '[model]\npath = "/etc/korsal-edge/models/mine.onnx"' in out
    assert "other.txt" not in out


def test_a_later_run_that_is_not_complete_is_named(
    project: Project, programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"{project.runs}/002: is not complete, so the model is that of {project.runs}/001"
    for words in ([], ["root@jetson", "--folder", str(tmp_path / "models")]):
        assert main(["deploy", str(project.folder), *words]) == 0
        assert capsys.readouterr().out.splitlines()[0] == said
    shutil.rmtree(project.runs / "002")
    assert main(["deploy", str(project.folder)]) == 0
    assert "is not complete" not in capsys.readouterr().out


def test_a_folder_that_depends_on_where_one_is(project: Project) -> None:
    for folder in ("models", "~/models"):
        with pytest.raises(DeployError, match=f"--folder {folder}: begins in no certain place; give it from the"):
            deploy.deploy(project, None, PurePosixPath(folder))


def test_the_model_of_an_older_run_is_not_taken_for_the_last_one(project: Project) -> None:
    last = project.runs / "003"
    last.mkdir()
    run_folders.save(last, RunState("mark", ("train",), True))
    with pytest.raises(AnnotationError, match=r"003/mine\.onnx: is missing, the model of the last complete run; put"):
        deploy.finished_model(project)
    assert deploy.known_model(project) == project.runs / "001" / "mine.onnx"


def test_the_files_arrive(project: Project, programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "device's models"
    for _ in range(2):  # a second time too
        assert main(["deploy", str(project.folder), "root@jetson", "--folder", str(target)]) == 0
        assert sorted(path.name for path in target.iterdir()) == ["mine-int8-cpu.onnx", "mine-int8.onnx", "mine.onnx"]
    assert (target / "mine.onnx").read_text() == "mine.onnx of 001"
    assert (target / "mine.onnx").stat().st_mode & 0o777 == 0o644
    assert capsys.readouterr().out.splitlines()[-1] == "Next: ssh root@jetson systemctl restart korsal-edge"


def test_a_models_memory_arrives_with_it(project: Project, programs: Path, tmp_path: Path) -> None:
    model = write_memory_model(project.runs / "001", "mine")
    assert main(["deploy", str(project.folder), "root@jetson", "--folder", str(tmp_path / "models")]) == 0
    assert (tmp_path / "models" / model.memory.name).read_bytes() == model.memory.read_bytes()


def test_a_file_that_arrives_damaged_replaces_nothing(project: Project, programs: Path, tmp_path: Path) -> None:
    target = tmp_path / "models"
    target.mkdir()
    (target / "mine.onnx").write_text("the old one")
    (programs / "scp").write_text(
        SCP.replace('cp "$one" "${last#*:}"', 'head -c 5 "$one" > "${last#*:}$(basename "$one")"')
    )
    with pytest.raises(DeployError, match="has not got them whole; try again: what ran before is still there"):
        deploy.deploy(project, "jetson", PurePosixPath(target))
    assert (target / "mine.onnx").read_text() == "the old one"


@pytest.mark.parametrize(
    ("failing", "message"),
    [("ssh", "jetson: cannot make .*models; log in once"), ("scp", "jetson: did not take the files; free space there")],
)
def test_a_device_that_refuses(failing: str, message: str, project: Project, programs: Path, tmp_path: Path) -> None:
    (programs / failing).write_text("#!/bin/sh\nexit 255\n")
    with pytest.raises(DeployError, match=message):
        deploy.deploy(project, "jetson", PurePosixPath(tmp_path / "models"))


def test_hosts_that_are_options_and_no_ssh(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for host in ("-oProxyCommand=x", ""):
        with pytest.raises(DeployError, match="is no host; give one as ssh does"):
            deploy.deploy(project, host)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeployError, match=r"ssh cannot be run .* install OpenSSH's client"):
        deploy.deploy(project, "jetson")


def device(folder: Path, monkeypatch: pytest.MonkeyPatch, check: str) -> Path:
    """What `activate` calls on a device, here: a command that notes what it is told, and whose check ends so."""
    program, config = folder / "korsal-edge", folder / "config.toml"
    config.write_text("the old one")
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/calls\n[ "$1" = models ] && echo new > {config}\n'
        f'[ "$1" = check ] && {check}\nexit 0\n'
    )
    (folder / "programs" / "systemctl").write_text(f'#!/bin/sh\necho "systemctl $@" >> {folder}/calls\n')
    for path in (program, folder / "programs" / "systemctl"):
        path.chmod(0o755)
    monkeypatch.setattr(deploy, "PROGRAM", program)
    monkeypatch.setattr(deploy, "CONFIG", config)
    return config


def test_a_model_is_named_in_the_configuration_and_the_service_restarted(
    project: Project,
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = device(tmp_path, monkeypatch, "exit 0")
    words = ["deploy", str(project.folder), "jetson", "--folder", str(tmp_path / "models"), "--activate"]
    assert main(words) == 0
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"models --use {tmp_path}/models/mine.onnx --config {config}",
        f"check --config {config}",
        "systemctl restart korsal-edge",
    ]
    assert config.read_text() == "new\n"
    assert not config.with_name("config.toml.deploy").exists()


def test_a_configuration_that_does_not_fit_stays_and_nothing_is_restarted(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = device(tmp_path, monkeypatch, "exit 1")
    with pytest.raises(DeployError, match="did not take the model, and runs what it ran"):
        deploy.activate("jetson", PurePosixPath("/models/mine.onnx"))
    assert config.read_text() == "the old one"
    assert not config.with_name("config.toml.deploy").exists()
    assert "systemctl" not in (tmp_path / "calls").read_text()


def test_without_a_complete_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(folders.create(tmp_path, ["fall"]))
    assert main(["deploy", str(tmp_path)]) == 1
    assert f"holds no complete run; korsal-train run {tmp_path} makes one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("root@jetson", "root@jetson:/a"),
        ("fe80::1%eth0", "[fe80::1%eth0]:/a"),
        ("root@2001:db8::1", "root@[2001:db8::1]:/a"),
        ("root@[::1]", "root@[::1]:/a"),
    ],
)
def test_a_path_on_a_host_as_scp_takes_it(host: str, expected: str) -> None:
    assert deploy.remote(host, "/a") == expected


def test_a_project_whose_path_looks_like_a_host_is_here(
    project: Project, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To scp `jetson:mine/a` is a file on another machine; only what begins with / never is."""
    (tmp_path / "mine").rename(tmp_path / "jetson:mine")
    (tmp_path / "jetson:mine" / "actions.toml").write_text('actions = ["fall"]\nname = "mine"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["deploy", "jetson:mine", "root@jetson", "--folder", str(tmp_path / "models")]) == 0
    assert (tmp_path / "models" / "mine.onnx").read_text() == "mine.onnx of 001"
