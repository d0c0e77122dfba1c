"""The store's thread: what it keeps, and what it says where the disk refuses."""

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.history import recorder as recorders
from edge.history import search, store_tables
from edge.history.event_store import EventStore, KeptStep, StoreLimits
from edge.history.history_queue import HistoryQueue, KeptClip, KeptPicture, KeptPoints
from edge.history.recorder import Recorder, RecorderSettings
from edge.history.search import EventFilter
from edge.history.tube_points import TubePoint
from edge.history.unfinished import UnfinishedEvents
from edge.video.snapshot import Mark
from tests.support.full_disk import full_disk
from tests.support.waiting import wait_for

WIDE = StoreLimits(1e9, 1 << 40, 1_000_000)
NOW = 1_790_000_000.0
POINT = TubePoint(0.5, 12, (0.25, 0.5, 0.75, 1.0), 0.5, True)


def step(event_id: str, kind: str, at: float = NOW) -> KeptStep:
    fields = {"event_id": event_id, "type": kind, "camera": "door", "action": "Run", "top_score": 0.5}
    return KeptStep({**fields, "started": "2026-09-21T13:33:20.000Z", "duration": 2.0}, at)


def picture(event_id: str, grey: int) -> KeptPicture:
    image = np.full((48, 64, 3), grey, np.uint8)
    return KeptPicture(event_id, image, Mark(np.array([8, 8, 40, 40], np.float32), "Run", 0.5))


@pytest.fixture
def settings(tmp_path: Path) -> RecorderSettings:
    return RecorderSettings(tmp_path / "state" / "roof.history.sqlite", WIDE)


def test_steps_tube_picture_and_clip_are_kept(settings: RecorderSettings) -> None:
    published: list[tuple[str, str, str, bytes]] = []
    recorder = Recorder(settings, lambda *what: published.append(what))
    for item in (step("aaaa1", "new"), KeptPoints("aaaa1", (POINT,)), picture("aaaa1", 40), picture("aaaa1", 200)):
        recorder.queue.put(item)
    recorder.queue.put(step("aaaa1", "end"))
    recorder.queue.put(KeptClip("aaaa1", b"mp4", -5.0))
    recorder.close()
    found = search.find_one(settings.path, "aaaa1")
    assert (recorder.state.usage.events, recorder.state.usage.clips) == (1, 1)
    assert found.ended
    assert found.picture is not None
    assert found.clip is not None
    best = cv2.imread(str(found.picture))
    assert best is not None
    assert best[46, 60].tolist() == pytest.approx([200] * 3, abs=3)
    assert found.clip.read_bytes() == b"mp4"
    assert search.tube(settings.path, found) == (POINT,)
    assert published == [("door", "Run", "aaaa1", found.picture.read_bytes())]


def test_an_event_that_goes_on_when_the_daemon_stops_keeps_its_tube(settings: RecorderSettings) -> None:
    recorder = Recorder(settings)
    for item in (step("aaaa1", "new"), KeptPoints("aaaa1", (POINT,)), picture("aaaa1", 40)):
        recorder.queue.put(item)
    recorder.close()
    found = search.find_one(settings.path, "aaaa1")
    assert not found.ended
    assert found.picture is not None
    assert search.tube(settings.path, found) == (POINT,)
    Recorder(settings, first=False).close()  # after a reload it still goes on
    assert not search.find_one(settings.path, "aaaa1").ended


def test_a_refusing_disk_is_told_once_each_way(
    settings: RecorderSettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders, "RETRY_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    settings.path.parent.write_text("a file where the folder is to be")
    recorder = Recorder(settings)
    wait_for(lambda: recorder.state.fault, "the refusal")
    for _ in range(3):
        recorder.queue.put(step("aaaa1", "new"))
    wait_for(lambda: recorder.state.lost >= 3, "the loss")
    assert caplog.text.count("events cannot be kept") == 1
    assert "events are published all the same" in caplog.text
    settings.path.parent.unlink()
    wait_for(lambda: keeps(recorder, settings, "bbbb2"), "the disk")
    recorder.close()
    assert recorder.state.fault is None
    assert caplog.text.count("is written again") == 1


def keeps(recorder: Recorder, settings: RecorderSettings, event_id: str) -> bool:
    recorder.queue.put(step(event_id, "end"))
    return settings.path.exists() and bool(search.find(settings.path, EventFilter(id_prefix=event_id)))


def test_a_newer_store_is_left_alone_and_told(settings: RecorderSettings, caplog: pytest.LogCaptureFixture) -> None:
    settings.path.parent.mkdir()
    with sqlite3.connect(settings.path) as database:
        database.execute(f"PRAGMA user_version = {store_tables.VERSION + 1}")
    before = settings.path.read_bytes()
    recorder = Recorder(settings)
    recorder.queue.put(step("aaaa1", "new"))
    recorder.close()
    assert settings.path.read_bytes() == before
    assert caplog.text.count("install the newer korsal-edge again") == 1


def test_pictures_and_clips_are_refused_by_themselves(
    settings: RecorderSettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.history.store_files.RESERVED_BYTES", 1 << 62)
    recorder = Recorder(settings)
    for number in range(3):
        for item in (step(f"aaaa{number}", "new"), picture(f"aaaa{number}", 9), step(f"aaaa{number}", "end")):
            recorder.queue.put(item)
        wait_for(partial(holds, settings, number + 1), "the event")
    recorder.close()
    assert caplog.text.count("pictures and clips cannot be kept (only") == 1
    assert all(one.picture is None for one in search.find(settings.path, EventFilter()))


def holds(settings: RecorderSettings, count: int) -> bool:
    return settings.path.exists() and len(search.find(settings.path, EventFilter())) == count


@pytest.mark.parametrize(
    ("queue", "make", "kept"),
    [
        (HistoryQueue(most=3), lambda number: step(f"aaaa{number}", "new"), 3),
        (HistoryQueue(most_image_bytes=2 * 48 * 64 * 3), lambda number: picture(f"aaaa{number}", 9), 2),
        (HistoryQueue(most_image_bytes=10), lambda number: KeptClip("aaaa1", b"12345", 0.0), 2),
    ],
)
def test_the_queue_is_bounded(queue: HistoryQueue, make: Callable[[int], KeptStep], kept: int) -> None:
    for number in range(5):
        queue.put(make(number))
    assert queue.dropped == 5 - kept
    assert len(queue.take(0.0)) == kept
    queue.put(make(0))
    assert len(queue.take(0.0)) == 1
    queue.close()
    assert queue.take(60.0) == []


def test_events_whose_ends_were_lost_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.history.unfinished.MOST_EVENTS", 3)
    events = UnfinishedEvents(640, 80)
    for number in range(5):
        events.add_points(KeptPoints(f"aaaa{number}", (POINT,)))
    assert events.all_ids() == ("aaaa2", "aaaa3", "aaaa4")


@pytest.mark.parametrize(("jumped", "left"), [(0.0, 0), (1e7, 1)])
def test_a_jump_of_the_clock_makes_nothing_too_old(
    settings: RecorderSettings, monkeypatch: pytest.MonkeyPatch, jumped: float, left: int
) -> None:
    monkeypatch.setattr(recorders, "clock_jump", lambda before, now: jumped)
    monkeypatch.setattr("edge.sensors.clock.synced", lambda: True)
    monkeypatch.setattr(recorders, "PRUNE_SECONDS", 0.0)
    recorder = Recorder(replace(settings, limits=StoreLimits(60.0, 1 << 40, 100)))
    recorder.queue.put(step("aaaa1", "end", time.time() - 3600))
    recorder.close()
    assert len(search.find(settings.path, EventFilter())) == left


def test_a_full_disk_is_told_once_and_used_again_when_there_is_space(
    settings: RecorderSettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders, "RETRY_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    recorder = Recorder(settings)
    wait_for(lambda: keeps(recorder, settings, "aaaa1"), "the store")
    with full_disk(200_000):
        wait_for(lambda: fills(recorder), "the disk to be full")
    told, again = (caplog.text.count(words) for words in ("events cannot be kept", "is written again"))
    assert told == again + 1, "a small step may still find space in between"
    wait_for(lambda: keeps(recorder, settings, "bbbb2"), "the space")
    recorder.close()
    assert recorder.state.fault is None
    assert {"aaaa1", "bbbb2"} <= {one.event_id for one in search.find(settings.path, EventFilter())}


def fills(recorder: Recorder) -> bool:
    for _ in range(20):
        recorder.queue.put(KeptPoints("aaaa1", (POINT,) * 100))
        recorder.queue.put(step(uuid.uuid4().hex, "end"))
    return recorder.state.fault is not None


def test_a_disk_that_hangs_holds_nobody_up_and_is_told(
    settings: RecorderSettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, write = threading.Event(), EventStore.write

    def hang(store: EventStore, *what: Any) -> None:
        disk.wait(60)
        write(store, *what)

    monkeypatch.setattr(EventStore, "write", hang)
    recorder = Recorder(settings)
    recorder.queue = HistoryQueue(most=10)
    wait_for(lambda: puts_until_it_drops(recorder), "the queue to be full")
    disk.set()
    wait_for(lambda: "is too slow" in caplog.text, "the loss to be told")
    recorder.close()
    assert caplog.text.count("is too slow for all that happens") == 1
    assert recorder.state.lost


def puts_until_it_drops(recorder: Recorder) -> bool:
    recorder.queue.put(step("aaaa1", "update"))
    return recorder.queue.dropped > 5
