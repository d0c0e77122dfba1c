"""A project folder is begun once, and never written over."""

from pathlib import Path

import pytest

from convert.project import command_line, folders
from convert.project.__main__ import main
from train.datasets.annotation_records import AnnotationError


def test_a_new_folder_has_all_that_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my actions"
    assert main(["new", str(folder), "--actions", "fall", "über Zaun klettern"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "actions.toml", "annotations", "videos"]
    project = folders.read(folder)
    assert project.settings.actions == ("fall", "über Zaun klettern")
    assert (project.name, project.settings.scenes) == ("my actions", "auto")
    assert Path(project.start()).name == "korsal-lite-ucf24x5-jhmdb21.onnx"
    assert capsys.readouterr().out.splitlines()[-1] == f"Next: korsal-train propose '{folder}'"


def test_commas_separate_actions_too(tmp_path: Path) -> None:
    for number, given in enumerate((["fall,climb"], ["fall,", "climb"], ["fall , climb"], ["fall ", "climb"])):
        folder = tmp_path / str(number)
        assert main(["new", str(folder), "--actions", *given]) == 0
        assert folders.read(folder).settings.actions == ("fall", "climb")


def test_what_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path), "--actions", "fall"]) == 0
    (tmp_path / "actions.toml").write_text('actions = ["climb"]\n')
    (tmp_path / "README.md").unlink()
    capsys.readouterr()
    assert main(["new", str(tmp_path), "--actions", "fall"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        f"{tmp_path}/videos/: kept",
        f"{tmp_path}/annotations/: kept",
        f"{tmp_path}/actions.toml: kept, and does not list fall; add that to its actions",
        f"{tmp_path}/README.md: new",
    ]
    assert folders.read(tmp_path).settings.actions == ("climb",)


def test_actions_that_a_kept_file_does_not_list_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, words = tmp_path / "mine" / "actions.toml", ["new", str(tmp_path / "mine")]
    main(words)
    for given, lacking in ((["fall", "climb"], "fall, climb"), (["sit", "fall"], "sit"), (["fall"], "")):
        assert main([*words, "--actions", *given]) == 0
        more = f", and does not list {lacking}; add that to its actions" if lacking else ""
        assert f"{path}: kept{more}\n" in capsys.readouterr().out
        path.write_text('actions = ["fall", "climb"]\n')


def test_every_line_of_the_example_may_be_used(tmp_path: Path) -> None:
    list(folders.create(tmp_path, ["fall"]))
    path = tmp_path / "actions.toml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line[2:] if line.startswith("# ") and " = [" in line else line for line in lines))
    settings = folders.read(tmp_path).settings
    assert (settings.validation, settings.test) == (("kitchen", "hall_*"), ("garage",))
    assert settings.quiet == ("street/*",)


def test_what_cannot_be_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path / "a"), "--actions", "fall", "Fall"]) == 1
    assert "the actions 'fall' and 'Fall' are one but for their spelling; keep one" in capsys.readouterr().err
    for action in ("none", "a\nb", "caf\udce9"):
        assert main(["new", str(tmp_path / "b"), "--actions", action]) == 1
    assert "holds 'caf\\udce9', which is not a line" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "a\nb"), "--actions", "fall"]) == 1
    assert "the name of this folder is not a line of up to 256 visible characters; choose" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert main(["new", str(tmp_path / "file")]) == 1
    assert "file: cannot be written (" in capsys.readouterr().err


def test_a_folder_named_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "./-x", "--actions", "fall"]) == 0
    assert command_line._parser().parse_args(["run", "./-x"]).project == tmp_path / "-x"
    assert command_line._parser().parse_args(["run", "../x"]).project == Path("../x")


@pytest.mark.parametrize("command", ["new", "propose", "run"])
def test_a_folder_without_a_name(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main([command, ""])
    assert "give a folder; . is the one here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_weights_to_begin_with(tmp_path: Path) -> None:
    for given, expected in (("", ""), ("mine.pt", str(tmp_path / "mine.pt")), ("/a/b.onnx", "/a/b.onnx")):
        (tmp_path / "actions.toml").write_text(f'actions = ["fall"]\nstart = "{given}"\n')
        assert folders.read(tmp_path).start() == expected


@pytest.mark.parametrize("name", ["actions.toml.txt", "Actions.toml"])
@pytest.mark.parametrize("command", ["new", "propose", "check", "run"])
def test_a_file_that_almost_has_its_name(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Windows gives it: it would go unseen, and the folder be taken for another data set or none."""
    list(folders.create(tmp_path / "mine", ["fall"]))
    (tmp_path / "mine" / "actions.toml").rename(tmp_path / "mine" / name)
    assert main([command, str(tmp_path / "mine")]) == 1
    expected = f"korsal-train: {tmp_path / 'mine' / name}: is not read under this name; name it actions.toml\n"
    assert capsys.readouterr().err == expected
    assert not (tmp_path / "mine" / "actions.toml").exists()


def test_a_link_to_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(folders.create(tmp_path, ["fall"]))
    (tmp_path / "actions.toml").unlink()
    (tmp_path / "actions.toml").symlink_to(tmp_path / "gone")
    for command in ("propose", "check"):
        assert main([command, str(tmp_path)]) == 1
        assert f"{tmp_path}/actions.toml: cannot be read (No such file or directory)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["propose", "run", "deploy"])
def test_a_folder_that_is_no_project(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(tmp_path)]) == 1
    sentence = f"is no project, it has no actions.toml; korsal-train new {tmp_path} begins one"
    assert sentence in capsys.readouterr().err
    with pytest.raises(AnnotationError):
        folders.read(tmp_path)


def test_actions_that_are_not_named_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path)]) == 0
    assert f"Name the actions in {tmp_path}/actions.toml" in capsys.readouterr().out
    assert main(["propose", str(tmp_path)]) == 1
    assert "names no action; write them as actions = " in capsys.readouterr().err
