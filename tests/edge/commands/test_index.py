"""`korsal-edge index` and `events` over videos, from the command line."""

import csv
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edge.commands.command_line import main
from edge.commands.index import IndexingError, find_videos, search_settings
from edge.config.config_file import load
from edge.history.encoders import available
from tests.support.indexed_clips import DARK, SHOWN, found_in, settings, write_spots
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, one of them in a folder below, and files that are none."""
    folder = tmp_path_factory.mktemp("footage")
    write_spots(folder / "in" / "a.avi", 2)
    write_spots(folder / "in" / "below" / "b.avi")
    (folder / "in" / "notes.txt").write_text("not looked at\n")
    (folder / "in" / "list.mp4").write_text("no video\n")
    (folder / "in" / "empty.MOV").touch()
    settings(folder)
    return folder


def arguments(folder: Path, *more: str) -> list[str]:
    config = folder / "config.toml"
    config.write_text(
        '[model]\npath = "spot.onnx"\nthreads = 1\n[outbox]\ndirectory = "state"\n'
        '[cameras.door]\nsource = "/dev/video0"\n'
    )
    return ["index", str(folder / "in"), "--config", str(config), *more]


def test_what_was_stopped_goes_on_is_found_cut_and_summed_up(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = folder / "state" / "korsal-edge.history.sqlite"
    words = [sys.executable, "-m", "edge", *arguments(folder, "--jobs", "1")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as first:
        assert first.stdout is not None
        assert b"Basketball" in first.stdout.readline()  # the first video is done
        first.kill()
    once = found_in(store)
    assert once
    summary = tmp_path / "summary.mp4"
    options = ("--summary", str(summary)) if any(available()) else ()
    assert main(arguments(folder, "--jobs", "1", *options)) == 0
    said = capsys.readouterr()
    assert "list.mp4: is text, not video" in said.err
    assert "empty.MOV: is empty" in said.err
    assert "1 were done before, 2 cannot be read; events: Basketball" in said.err
    times = [("a.avi", pytest.approx(0.4)), ("a.avi", pytest.approx(0.4 + (10 + SHOWN + DARK) / 25))]
    assert found_in(store) == [*times, ("b.avi", pytest.approx(0.4))]
    if options:
        assert 3 * 2.4 * 25 <= frames(summary) <= 3 * 3.2 * 25  # each a second, with one before and one after
    assert main(arguments(folder)) == 0
    assert "0 videos looked through, 2 were done before, 2 cannot be read; events: none" in capsys.readouterr().err
    finds(store, tmp_path, capsys)


def finds(store: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `korsal-edge events` makes of it."""
    assert main(["events", "--store", str(store), "--csv", "--camera", "b.avi"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["action"], row["reason_ended"] in ("lost", "camera"), row["clip"]) == ("Basketball", True, "")
    one = row["event_id"]
    assert main(["events", one, "--store", str(store), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["points"][0][1] == 10
    assert Path(shown["video"]).name == "b.avi"
    if any(available()):
        clip = folder / "clip.mp4"
        assert main(["events", one, "--store", str(store), "--clip", str(clip)]) == 0
        assert frames(clip) == 10 + SHOWN + DARK  # all of a video that is shorter than a clip may be
    assert main(["events", "ffffffff", "--store", str(store)]) == 1
    assert "holds no event ffffffff" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["events", "--store", str(store), "--clip", "out.mp4"])
    assert "name it by its ID" in capsys.readouterr().err
    assert main(["events", one, "--store", str(store), "--picture", str(store / "a file")]) == 1


def frames(video: Path) -> int:
    capture = cv2.VideoCapture(str(video))
    count = 0
    while capture.grab():
        count += 1
    return count


def test_a_named_file_that_is_no_video_fails_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = str(folder / "in" / "notes.txt")
    assert main(["index", text, *arguments(folder)[2:], "--store", str(folder / "other.sqlite")]) == 1
    assert "notes.txt: is text, not video" in capsys.readouterr().err


def test_a_name_that_is_no_text_is_a_sentence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/\xff.avi"))
    odd.write_bytes((folder / "in" / "below" / "b.avi").read_bytes())
    assert main(["index", str(tmp_path), *arguments(folder)[2:], "--store", str(tmp_path / "s.sqlite")]) == 0
    assert "its name is not UTF-8" in capsys.readouterr().err


def test_videos_are_found_once_each_in_order(folder: Path, tmp_path: Path) -> None:
    inside = folder / "in"
    names = [path.name for path in find_videos([inside / "below", inside, inside / "a.avi"])]
    assert names == ["b.avi", "a.avi", "empty.MOV", "list.mp4"]
    for wrong, words in ((tmp_path, "holds no video"), (tmp_path / "gone", "no such file or folder")):
        with pytest.raises(IndexingError, match=words):
            find_videos([wrong])


@pytest.mark.parametrize(
    ("content", "words"),
    [("no store", "is damaged or no event store"), ("", "0 events")],
)
def test_files_that_are_no_store(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, words: str
) -> None:
    store = tmp_path / "store.sqlite"
    store.write_text(content * 200)
    assert main(["events", "--store", str(store)]) == int(bool(content))
    assert words in capsys.readouterr().err


def test_a_camera_that_is_not_configured_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "--camera", "yard")) == 1
    assert "--camera yard: give one of door" in capsys.readouterr().err


def test_workers_elsewhere_get_no_password_and_no_camera_address(tmp_path: Path) -> None:
    written = tmp_path / "config.toml"
    written.write_text(
        '[cameras.door]\nsource = "rtsp://me:hunter22@camera/1"\nfps = 5.0\nflip = "horizontal"\n'
        '[mqtt]\nhost = "broker.example"\nusername = "somebody"\nsnapshot_width = 320\n'
    )
    chosen = search_settings(load(written), "door", None, parallel=True)
    sent = pickle.dumps(chosen)
    assert not any(secret in sent for secret in (b"hunter22", b"somebody", b"broker.example", b"rtsp"))
    assert chosen.config.cameras["door"].to_source().flip == "horizontal"
    assert (chosen.config.mqtt.snapshot_width, chosen.config.model.threads) == (320, 1)


def test_what_hinders_a_summary_is_said_before_hours_of_work(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ("--store", str(tmp_path / "s.sqlite"))
    monkeypatch.setattr("edge.commands.history_options.available", lambda: iter(()))
    assert main(arguments(folder, *store, "--summary", str(tmp_path / "out.mp4"))) == 1
    assert "there is no H.264 encoder" in capsys.readouterr().err
    monkeypatch.setattr("edge.commands.history_options.available", lambda: iter(("any",)))
    assert main(arguments(folder, *store, "--summary", str(folder / "config.toml" / "out.mp4"))) == 1
    assert "choose another place" in capsys.readouterr().err
    assert not (tmp_path / "s.sqlite").exists()
