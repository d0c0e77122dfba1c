"""The history as the daemon has it: off by default, changed by a reload, never in the way."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge import events
from edge.cameras.video_file import probe
from edge.config.history import HistoryConfig, TeachingConfig
from edge.config.schema import CameraConfig, Config, OutboxConfig
from edge.event_settings import ActionSettings, EventSettings
from edge.history.doubts import Watched
from edge.history.encoders import available
from edge.history.history import History, copied_stream
from edge.sources import Frame
from edge.threads import ThreadError
from edge.tubes import TubeBox
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


def nothing_waits(history: History, camera: str) -> bool:
    """Whether the encoder has taken all frames of a camera."""
    recorder = history._clips[camera]
    return recorder is not None and not recorder._waiting


@pytest.mark.skipif(not any(available()), reason="no encoder is on this machine")
def test_doubts_are_kept_where_asked_for_without_an_event_store(off: History, tmp_path: Path) -> None:
    """Two cameras, of which one sees somebody whose score stays below the start score."""
    kept = config(tmp_path, "door", "yard").model_copy(update={"teaching": TeachingConfig(keep=True)})
    off.reconfigure(kept)
    settings = EventSettings(ActionSettings(start_score=0.5, keep_score=0.3, cooldown=0.2))
    person = TubeBox(0, 0, np.array([10, 10, 30, 40], np.float32), 0.45, np.array([0.45], np.float32), True)
    image = np.zeros((64, 96, 3), np.uint8)
    folder = tmp_path / "korsal-edge.teaching"
    for index in range(60):
        for camera in ("door", "yard"):
            seen = (person,) if camera == "door" and 10 <= index < 20 else ()
            one = Frame(camera, index, index / 10, index / 10, image)
            off.frame(one, events.initial(camera, "seed"), Watched(seen, ("Fall",), settings))
            wait_for(partial(nothing_waits, off, camera), "the encoder")
    off.close()
    wait_for(lambda: len(list(folder.glob("*.mp4"))) == 1, "the clip")
    (clip,) = folder.glob("*.mp4")
    assert clip.name == "doubt-door-1-10-0-0.mp4"
    assert probe(clip).size == (96, 64)
    assert not (tmp_path / "korsal-edge.history.sqlite").exists()
    assert off.payload() is None


def test_a_mask_ends_the_copying_of_a_stream_that_would_show_what_it_hides(off: History, tmp_path: Path) -> None:
    """Nothing answers on that port: this is about who is asked for what."""
    camera, address, hidden = "door", "rtsp://127.0.0.1:9/live", (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)
    made = config(tmp_path, enabled=True)
    before, after = (
        made.model_copy(update={"cameras": {camera: CameraConfig.model_construct(source=address, mask=mask)}})
        for mask in ((), hidden)
    )
    off.reconfigure(before)
    off.frame(frame(camera), events.initial(camera, "seed"))
    (copying,) = off._clips.values()
    off.reconfigure(before)
    assert list(off._clips.values()) == [copying]
    off.reconfigure(after)
    assert off._clips == {}
    off.frame(frame(camera), events.initial(camera, "seed"))
    assert copied_stream(before, camera) is not None
    assert copied_stream(after, camera) is None
    never = HistoryConfig(enabled=True, copy_streams=False)
    assert copied_stream(before.model_copy(update={"history": never}), camera) is None
