"""Files that are whole or the old ones, whatever happens meanwhile."""

import errno
import os
import stat
from pathlib import Path

import pytest

from edge import files
from edge.files import check_writable, existing_path, move_into_place, replacing, write_atomically, write_new
from tests.support.full_disk import full_disk
from tests.support.sync_recorder import SyncRecorder


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "timings"
    for content in (b"old", b"new"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    with pytest.raises(OSError, match="File too large"), full_disk(3):
        write_atomically(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_replaces_another_and_its_name_is_afterwards(tmp_path: Path) -> None:
    path, disk = tmp_path / "timings", SyncRecorder(tmp_path)
    path.write_bytes(b"old")
    write_atomically(path, b"new", sync=disk.sync)
    partial = disk.seen[0][0]
    assert partial.endswith(".partial")
    assert disk.seen == [
        (partial, {"timings": b"old", partial: b"new"}),
        (tmp_path.name, {"timings": b"new"}),
    ]


def test_what_the_disk_does_not_take_replaces_nothing(tmp_path: Path) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "timings"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(path, b"new", sync=broken)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_what_raises_while_it_writes_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "timings"
    path.write_bytes(b"old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as partial:
        partial.write_text("half \ud800", encoding="utf-8")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    """But neither what another one may be writing at this moment, nor what belongs to another file."""
    path = tmp_path / "best[1].pt"
    abandoned, fresh, other = (
        tmp_path / f"{name}.partial" for name in ("best[1].pt.ab", "best[1].pt.cd", "best1.pt.ab")
    )
    for partial in (abandoned, fresh, other):
        partial.touch()
    for partial in (abandoned, other):
        os.utime(partial, (0, 0))
    write_atomically(path, b"new")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, fresh.name, other.name])


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path: Path) -> None:
    def of_a_network(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")

    write_atomically(tmp_path / "timings", b"new", sync=of_a_network)
    assert (tmp_path / "timings").read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o444, 0o600, 0o640, 0o755])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(mode)
    with replacing(path) as partial:
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600  # until it is complete: it may hold a password
        partial.write_bytes(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_mode_that_the_user_gives_all(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_complete_file_is_moved(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    move_into_place(tmp_path / "new", tmp_path / "timings")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"timings": b"new"}


def test_whether_a_file_can_be_written_is_known_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "folder" / "file")
    assert list((tmp_path / "folder").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        check_writable(tmp_path / "file" / "file")


def test_no_file_takes_the_place_of_a_device_a_pipe_or_a_folder(tmp_path: Path) -> None:
    pipe, folder, new, link = (tmp_path / name for name in ("pipe", "folder", "new", "stdout"))
    os.mkfifo(pipe)
    folder.mkdir()
    new.touch()
    link.symlink_to(pipe)
    for taken, said in ((pipe, "it is a device or a pipe"), (link, "a device"), (folder, "Is a directory")):
        with pytest.raises(OSError, match=said):
            write_atomically(taken, b"x")
        with pytest.raises(OSError, match=said):
            check_writable(taken)
        with pytest.raises(OSError, match=said):
            move_into_place(new, taken)
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert set(tmp_path.iterdir()) == {pipe, folder, new, link}


def test_a_name_in_another_unicode_form_is_found(tmp_path: Path) -> None:
    typed, on_disk = "caf\u00e9/video.avi", "cafe\u0301/video.avi"
    (tmp_path / on_disk).parent.mkdir()
    (tmp_path / on_disk).touch()
    assert existing_path(tmp_path, typed) == tmp_path / on_disk
    assert existing_path(tmp_path, "caf\u00e9/none.avi") == tmp_path / "caf\u00e9/none.avi"


def test_a_new_file_is_private_and_takes_nobodys_place(tmp_path: Path) -> None:
    write_new(tmp_path / "new", b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "new", b"another")
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "link", b"another")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "new"]


def test_a_new_file_where_there_are_no_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    write_new(tmp_path / "new", b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    with pytest.raises(PermissionError):
        write_new(tmp_path / "new", b"another")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_files_below_a_folder_are_found_through_links_and_once(tmp_path: Path) -> None:
    (tmp_path / "disk" / "b").mkdir(parents=True)
    (tmp_path / "disk" / "b" / "one").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "here")
    for name in ("two", "._two"):
        (tmp_path / "here" / name).touch()
    assert files.below(tmp_path / "here") == [tmp_path / "here" / "link" / "b" / "one", tmp_path / "here" / "two"]
    assert files.below(tmp_path / "none") == []
