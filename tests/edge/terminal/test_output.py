"""Labels of any script, printed to terminals that know their own alone."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge.terminal import output as terminal
from tests.support.paths import ROOT
from tests.support.spot_model import MANIFEST, write_spot_model, write_spot_video
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize(("encoding", "printed"), [("utf-8", "投篮"), ("latin-1", "\\u6295\\u7bee")])
def test_a_replay_prints_any_label(tmp_path: Path, encoding: str, printed: str) -> None:
    """Where the encoding lacks its letters, they are codes; before, that ended the program."""
    write_spot_video(tmp_path / "video.avi")
    write_spot_model(tmp_path / "spot.onnx", replace(MANIFEST, labels=("投篮", "Größe")[: len(MANIFEST.labels)]))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "edge", "replay", "video.avi", "--model", "spot.onnx"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    words = done.stdout.decode(encoding)
    assert words.count(printed) == len(words.splitlines()) == 3


@pytest.mark.parametrize("module", ["edge.__main__", "train.evaluate"])
def test_other_commands_do_so_too(module: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'korsal-edge[train]'")
    program = f"import sys, {module} as command\ntry: command.main(['--help'])\nexcept SystemExit: print('投')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.endswith(b"\\u6295\n"), done.stderr


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("words", ["edge models", "convert doctor", "convert.project new {folder}"])
def test_where_nobody_reads_on_they_end_and_say_nothing(words: str, buffered: bool, tmp_path: Path) -> None:
    """As in `korsal-edge models | head -1`."""
    assert unread(words.format(folder=tmp_path / "mine").split(), buffered) == (terminal.UNREAD, b"")


@pytest.mark.parametrize("module", ["train.evaluate", "train.train"])
def test_so_does_help(module: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'korsal-edge[train]'")
    assert unread([module, "--help"], buffered=True) == (terminal.UNREAD, b"")


def unread(words: list[str], buffered: bool) -> tuple[int, bytes]:
    """Exit status and errors of a module of whose output the reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    with open(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT, env=environment, stdout=gone, stderr=subprocess.PIPE, timeout=PATIENCE, check=False,
        )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("is_file", [True, False])
def test_another_broken_pipe_is_no_quiet_end(is_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that to a worker that was killed."""

    @terminal.program
    def main() -> int:
        raise BrokenPipeError("of a worker")

    with (tmp_path / "output").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file if is_file else None)
        with pytest.raises(BrokenPipeError, match="of a worker"):
            main()


def test_what_is_no_terminal_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert terminal.program(lambda: 3)() == 3
