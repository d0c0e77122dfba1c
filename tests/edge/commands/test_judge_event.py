"""What somebody says of an event is kept, and its clip goes among those to teach with, once."""

import json
from pathlib import Path

import pytest

from convert.project import fetch
from edge.commands.command_line import main
from edge.history import search
from edge.history.event_store import EventStore, KeptStep
from edge.history.search import EventFilter
from edge.history.store_files import CLIP

ID = "6f1c0f6e-6a0a-5f43-9d55-0d2d0a9b7c11"
PAYLOAD = {
    "event_id": ID,
    "type": "end",
    "seq": 0,
    "camera": "back-door",
    "action": "Fall",
    "top_score": 0.7,
    "started": "2026-09-21T13:33:20.000Z",
    "duration": 2.0,
}


def store(folder: Path, clip: bytes = b"clip", video: str | None = None) -> Path:
    with_event = EventStore(folder / "roof.history.sqlite")
    with_event.write([KeptStep(PAYLOAD, 1_790_000_000.0, video)], {})
    if clip:
        with_event.write_media(ID, CLIP, clip, -5.0)
    with_event.close()
    return with_event.path


def mark(path: Path, event: str = ID[:6]) -> int:
    return main(["events", event, "--wrong", "--store", str(path)])


def test_it_is_copied_and_can_be_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = store(tmp_path)
    assert (mark(path), mark(path)) == (0, 0)
    folder = tmp_path / "roof.teaching"
    (clip,) = folder.glob("*.mp4")
    assert capsys.readouterr().out == f"{clip}\n" * 2
    assert clip.read_bytes() == b"clip"
    facts = json.loads(clip.with_suffix(".json").read_text())
    assert (facts["reason"], facts["event_id"], facts["seconds"]) == ("marked", ID, 2.0)
    (found,) = fetch.clips_in([f"{folder.name}/{clip.name}"])
    assert found.camera == "back-door"


@pytest.mark.parametrize(
    ("made", "reason"),
    [({"clip": b""}, "has no clip: clips was off"), ({"video": "/x/y.mp4"}, "put that video into the project itself")],
)
def test_what_has_no_clip_of_its_own(
    tmp_path: Path, made: dict[str, bytes], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mark(store(tmp_path, **made)) == 1  # type: ignore[arg-type]
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "roof.teaching").exists()
    (event,) = search.find(tmp_path / "roof.history.sqlite", EventFilter())
    assert event.verdict == "wrong"


def test_it_may_be_right_or_another_action_and_the_last_word_counts(tmp_path: Path) -> None:
    path = store(tmp_path)
    assert main(["events", ID, "--right", "--store", str(path)]) == 0
    assert main(["events", ID, "--relabel", "Lie down", "--store", str(path)]) == 0
    (clip,) = (tmp_path / "roof.teaching").glob("*.json")
    facts = json.loads(clip.read_text())
    assert (facts["verdict"], facts["action"], facts["right_action"]) == ("relabelled", "Fall", "Lie down")
    (event,) = search.find(path, EventFilter())
    assert (event.verdict, event.right_action) == ("relabelled", "Lie down")


@pytest.mark.parametrize("action", ["", " ", "two\nlines", "x" * 2000])
def test_an_action_is_a_line(tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", ID, "--relabel", action, "--store", str(store(tmp_path))]) == 1
    assert "name the action that it was" in capsys.readouterr().err


def test_which_event_is_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["events", "--wrong", "--store", str(store(tmp_path))])
    assert "--wrong and --relabel are of one event: name it by its ID" in capsys.readouterr().err
