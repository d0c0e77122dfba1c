"""The history as the daemon has it: off by default, changed by a reload, never in the way."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import events
from edge.config.schema import CameraConfig, Config, HistoryConfig, OutboxConfig
from edge.history.history import History
from edge.sources import Frame
from edge.threads import ThreadError
from tests.support.waiting import wait_for


def config(folder: Path, *cameras: str, **history: bool) -> Config:
    return Config(
        cameras={name: CameraConfig.model_construct(source=name) for name in cameras or ("door",)},
        outbox=OutboxConfig(directory=folder),
        history=HistoryConfig(**history),
    )


def unwanted(*picture: object) -> None:
    raise AssertionError


@pytest.fixture
def off(tmp_path: Path) -> Iterator[History]:
    history = History(config(tmp_path), unwanted)
    yield history
    history.close()


def frame(camera: str) -> Frame:
    return Frame(camera, 0, 0.0, 0.0, np.zeros((48, 64, 3), np.uint8))


def test_it_is_off_by_default_and_leaves_no_file(off: History, tmp_path: Path) -> None:
    off.step({"type": "new"}, 0.0)
    off.frame(frame("door"), events.initial("door", "seed"))
    off.no_more_frames("door")
    assert off.payload() is None
    off.reconfigure(config(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_reload_switches_it_on_and_off_and_forgets_removed_cameras(off: History, tmp_path: Path) -> None:
    off.reconfigure(config(tmp_path, "door", "yard", enabled=True))
    for camera in ("door", "yard"):
        off.frame(frame(camera), events.initial(camera, "seed"))
    assert sorted(off._clips) == ["door", "yard"]
    recorder = off._recorder
    wait_for(lambda: (tmp_path / "korsal-edge.history.sqlite").exists(), "the store")
    off.reconfigure(config(tmp_path, "yard", enabled=True))
    assert off._recorder is recorder  # its table is the same
    assert sorted(off._clips) == ["yard"]
    assert off.payload() == {"events": 0, "clips": 0, "bytes": 0, "lost": 0, "fault": None}
    off.reconfigure(config(tmp_path, "yard", enabled=False))
    assert off.payload() is None
    assert off._clips == {}


def test_where_no_thread_can_be_started_events_are_published_all_the_same(
    off: History, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*work: object) -> None:
        raise ThreadError("no new thread can be started: raise TasksMax")

    off.reconfigure(config(tmp_path, enabled=True))
    monkeypatch.setattr("edge.threads.start", refuse)
    for _ in range(3):
        off.frame(frame("door"), events.initial("door", "seed"))
    assert caplog.text.count("its events are kept without clips: no new thread") == 1
    off.reconfigure(config(tmp_path, enabled=True, clips=False))
    assert off.payload() is None
    assert caplog.text.count("events are published, but not kept: no new thread") == 1
