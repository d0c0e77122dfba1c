"""Paths that commands write to, checked before the work."""

import json
import os
from pathlib import Path

import pytest

from tests.support.full_disk import full_disk
from tests.support.other_user import as_nobody, everybodys_folder
from train import output_paths
from train.output_paths import OutputPathError


def test_the_folder_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    output_paths.check(tmp_path / "a" / "b" / "c.npz", "-o", ".npz")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    old = tmp_path / "old.json"
    old.write_text("the old ones")
    output_paths.check(old, "--json")
    assert old.read_text() == "the old ones"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["old.json"]


@pytest.mark.parametrize(
    ("name", "ending", "message"),
    [
        ("folder", ".npz", "folder: is a folder; give -o a file to write"),
        ("folder.npz", ".npz", "folder.npz: is a folder; give -o a file to write"),
        ("file/x.npz", ".npz", "file/x.npz: cannot be written (its folder is a file); choose another -o"),
        ("file/x/y.npz", ".npz", "file/x/y.npz: cannot be written (Not a directory)"),
        ("pipe", "", "pipe: is no plain file; give -o a file to write"),
        ("found", ".npz", "found: would not be read back; give -o a name that ends in .npz"),
        ("found.NPZ", ".npz", "found.NPZ: would not be read back"),
        ("found.npz.pkl", ".npz", "a name that ends in .npz"),
        ("x" * 300, "", "cannot be written (File name too long)"),
        ("x" * 250, "", "cannot be written (File name too long)"),  # the file that it grows in has a longer name
    ],
)
def test_unwritable_paths_are_refused_naming_the_option(name: str, ending: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputPathError) as caught:
        output_paths.check(tmp_path / name, "-o", ending)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_folder_of_another_user_is_refused() -> None:
    with everybodys_folder() as folder, as_nobody():
        for path in (folder / "x.json", folder / "new" / "x.json"):
            with pytest.raises(OutputPathError, match=r"x\.json: cannot be written \(Permission denied\)"):
                output_paths.check(path, "--json")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.json"
    output_paths.write_json({"a": 1}, path, "--json")
    with (
        full_disk(100),
        pytest.raises(OutputPathError, match=r"File too large\); free space on the disk or choose another"),
    ):
        output_paths.write_json({"b": "x" * 200}, path, "--json")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [one.name for one in path.parent.iterdir()] == ["scores.json"]
