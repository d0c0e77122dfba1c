"""Documented commands that need no Jetson, no data set and no hours are run, as they are written."""

import importlib
import shlex
import shutil
from pathlib import Path

import pytest

from edge.history import search
from edge.history.search import EventFilter
from tests.support.documented_commands import OURS, DocumentedCommand, all_commands
from tests.support.indexed_clips import settings, write_spots
from tests.support.paths import ROOT
from tests.support.spot_model import spot, write_frames

EXAMPLE_ID = "6f1c0f6e"  # of an event, in the documentation


def commands(page: str, *beginnings: str) -> list[DocumentedCommand]:
    """Those of a page that begin so."""
    found = [one for one in all_commands() if one.page == page and shlex.join(one.words).startswith(beginnings)]
    assert found, (page, beginnings)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader stands: a configuration, videos, a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    settings(tmp_path)
    (tmp_path / "config.toml").write_text(
        '[model]\npath = "spot.onnx"\nthreads = 1\n[outbox]\ndirectory = "state"\n[cameras.yard]\nsource = "yard.mp4"\n'
    )
    write_spots(tmp_path / "footage" / "monday.avi")
    shutil.copy(tmp_path / "footage" / "monday.avi", tmp_path / "yard.mp4")
    write_frames(tmp_path / "video.mp4", [spot(place) for place in range(10)])
    return tmp_path


def run(command: DocumentedCommand, event: str = "") -> None:
    """In this process; fails where it fails."""
    program, *words = command.words
    words = [event if word == EXAMPLE_ID else word for word in words]
    assert not importlib.import_module(OURS[program]).main(words), f"{command.page}: {command.text}"


@pytest.mark.slow
def test_hours_of_footage_are_looked_through_and_searched(folder: Path) -> None:
    page = "docs/history.md"
    for command in commands(page, "korsal-edge index"):
        run(command)
    event = search.find(folder / "state" / "korsal-edge.history.sqlite", EventFilter())[0].event_id[:8]
    for command in commands(page, "korsal-edge events"):
        if "--wrong" not in command.words:  # of a daemon's event: tests/edge/commands/test_judge_event.py
            run(command, event)
    for made in ("found.mp4", "fall.mp4"):
        assert (folder / made).stat().st_size > 1000


def test_a_video_is_replayed(folder: Path) -> None:
    for command in commands("README.md", "korsal-edge replay"):
        run(command)
    assert (folder / "annotated.webm").stat().st_size > 1000
    assert (folder / "events.jsonl").exists()


def test_a_project_is_begun_and_an_engine_planned(folder: Path) -> None:
    shutil.copy(ROOT / "models" / "korsal-lite-ucf24x5-jhmdb21.onnx", folder / "korsal.onnx")
    for command in commands("docs/conversion.md", "korsal-convert build korsal.onnx"):
        if "--dry-run" in command.words:
            run(command)
    for command in commands("docs/teach.md", "korsal-train new"):
        run(command)
    assert (folder / "my-actions" / "actions.toml").exists()
