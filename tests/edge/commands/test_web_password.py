import io
from pathlib import Path

import pytest

from edge.commands.command_line import main
from edge.web import passwords


def written(file: Path, words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(words))
    return main(["web-password", str(file)])


def test_the_hash_is_written_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hash"
    assert written(file, "opensesame\n", monkeypatch) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert passwords.fits("opensesame", passwords.read(file))
    file.chmod(0o640)
    assert written(file, "another one", monkeypatch) == 0
    assert file.stat().st_mode & 0o777 == 0o640
    assert passwords.fits("another one", passwords.read(file))


def test_what_cannot_be_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert written(tmp_path / "hash", "short", monkeypatch) == 1
    assert "8 to 1024 characters" in capsys.readouterr().err
    assert not (tmp_path / "hash").exists()
    assert written(tmp_path, "opensesame", monkeypatch) == 1
    assert "cannot be written" in capsys.readouterr().err
