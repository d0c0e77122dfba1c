"""`korsal-edge record`: a live camera becomes files that play, bounded in length and size."""

from pathlib import Path

import pytest

from edge.cameras.video_file import decodable_frames, probe, read_file
from edge.commands.command_line import main
from edge.commands.record import RecordError, RecordOptions, record
from edge.history.encoders import available
from edge.sources import parse
from tests.support.started_daemon import LiveStream

needs_encoder = pytest.mark.skipif(not any(available()), reason="no encoder is here: pip install 'korsal-edge[clips]'")


@needs_encoder
def test_a_camera_becomes_files_of_its_own_time(stream: LiveStream, tmp_path: Path) -> None:
    """Two seconds in files of one second each; frames are as far apart as they came."""
    made = list(record("door", parse(stream.url), RecordOptions(tmp_path / "videos", 2.2, 1.0)))
    paths = sorted((tmp_path / "videos").iterdir())
    assert len(made) == len(paths) >= 2
    assert all(path.name.startswith("door_2") and path.suffix == ".mp4" for path in paths)
    first = list(read_file(paths[0], "door"))
    assert probe(paths[0]).size == (64, 48)
    assert len(decodable_frames(paths[0])) == len(first) > 2
    assert 0.9 < first[-1].monotonic_time < 3


@needs_encoder
def test_a_camera_of_a_configuration(stream: LiveStream, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its mask is black in the file too, and what is wrong elsewhere in the configuration does not matter."""
    (tmp_path / "config.toml").write_text(
        f'[cameras.door]\nsource = "{stream.url}"\nmask = [[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]]\n[mqtt]\nport = "x"\n'
    )
    words = ["record", "--config", str(tmp_path / "config.toml"), "--out", str(tmp_path / "out"), "--minutes", "0.01"]
    assert main([*words, "--camera", "door"]) == 0
    (path,) = (tmp_path / "out").iterdir()
    assert str(path) in capsys.readouterr().out
    image = next(read_file(path, "door")).image
    assert image[:20].mean() < 20 < 200 < image[30:].mean()
    assert main([*words, "--camera", "roof"]) == 1
    assert "has no camera roof (it has: door); give one of these" in capsys.readouterr().err


@needs_encoder
def test_it_ends_where_it_has_recorded_enough(stream: LiveStream, tmp_path: Path) -> None:
    bounded = record("door", parse(stream.url), RecordOptions(tmp_path, 60, 0.1, most_bytes=1))
    assert next(bounded).startswith(f"{tmp_path}/door_")
    with pytest.raises(RecordError, match="holds the 0 MB of --megabytes; copy them away, or allow more"):
        next(bounded)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").touch()
    out = ["--out", str(tmp_path / "out")]
    assert main(["record", "--source", str(tmp_path / "a.mp4"), *out]) == 1
    assert "a.mp4: is a file already; copy it to" in capsys.readouterr().err
    for words in (("--minutes", "0"), ("--part", "-1"), ("--megabytes", "inf")):
        assert main(["record", "--source", "/dev/video0", *out, *words]) == 1
        assert f"{words[0]} {words[1]}: give a number above 0" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["record", "--source", "/dev/video0", "--out", str(tmp_path / "file" / "x")]) == 1
    assert "cannot be made (Not a directory); choose another --out" in capsys.readouterr().err
