"""All cameras at once: opened or not, changed without a gap, reopened, closed."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.cameras.feeds import FileFeed
from edge.cameras.video_file import CaptureError
from edge.config.schema import CameraConfig
from edge.pipeline import PipelineSettings
from edge.service.camera_sessions import CameraSessions, open_feeds
from tests.support.video_files import write_video


class Announcer:
    """Remembers which method was called for which camera."""

    people_score = 0.15

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda camera, *arguments: self.calls.append((name, camera))


class Cameras:
    """Sessions of video files, and what was announced of them."""

    def __init__(self, folder: Path, **cameras: CameraConfig) -> None:
        self.folder, self.announcer = folder, Announcer()
        announcer: Any = self.announcer
        self.sessions = CameraSessions(open_feeds(cameras), settings(*cameras), announcer, lambda name: True)

    def reconfigure(self, gap: float | None = None, **cameras: CameraConfig) -> None:
        self.announcer.calls.clear()
        self.sessions.reconfigure(cameras, settings(*cameras, gap=gap))


def settings(*names: str, gap: float | None = None) -> dict[str, PipelineSettings]:
    return {name: PipelineSettings(motion_gap=gap) for name in names}


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write_video(tmp_path / "clip.avi", "MJPG", frames=3))


@pytest.fixture
def cameras(file: str, tmp_path: Path) -> Iterator[Cameras]:
    made = Cameras(tmp_path, door=CameraConfig(source=file), yard=CameraConfig(source=file))
    yield made
    made.sessions.close()


def test_a_file_that_cannot_be_opened_leaves_everything_as_it_was(cameras: Cameras, file: str) -> None:
    feeds = {name: session.feed for name, session in cameras.sessions.items()}
    mask = (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)
    with pytest.raises(CaptureError, match="nowhere"):
        cameras.reconfigure(
            gap=3,
            door=CameraConfig(source=file, mask=mask),
            hall=CameraConfig(source=str(cameras.folder / "nowhere.avi")),
        )
    assert {name: session.feed for name, session in cameras.sessions.items()} == feeds
    assert all(session.settings.motion_gap is None for session in cameras.sessions.values())
    door = feeds["door"]
    assert isinstance(door, FileFeed)
    assert door._source.mask == ()
    assert cameras.announcer.calls == []


def test_cameras_come_and_go_and_settings_change(cameras: Cameras, file: str) -> None:
    door = cameras.sessions["door"].feed
    cameras.reconfigure(gap=3, door=CameraConfig(source=file), hall=CameraConfig(source=file))
    assert set(cameras.sessions) == {"door", "hall"}
    assert cameras.sessions["door"].feed is door
    assert [session.settings.motion_gap for session in cameras.sessions.values()] == [3, 3]
    assert ("clear_retained", "yard") in cameras.announcer.calls
    assert [session.name for session, _ in cameras.sessions.next_inputs(8)] == ["door", "hall"]


def test_a_changed_camera_is_reopened_and_its_events_end(cameras: Cameras, file: str) -> None:
    door, yard = (cameras.sessions[name].feed for name in ("door", "yard"))
    cameras.reconfigure(door=CameraConfig(source=file, rotation=90), yard=CameraConfig(source=file))
    assert cameras.sessions["door"].feed is not door
    assert cameras.sessions["yard"].feed is yard
    assert cameras.announcer.calls == [("events", "door")]


def test_they_are_finished_when_the_last_file_is(cameras: Cameras) -> None:
    frames = 0
    while not cameras.sessions.finished:
        frames += len(cameras.sessions.next_inputs(1))
    assert frames == 6
    assert not cameras.sessions.failed


def test_all_feeds_are_opened_or_none(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    closed: list[str] = []
    monkeypatch.setattr(FileFeed, "close", lambda feed: closed.append(feed.name))
    with pytest.raises(CaptureError):
        open_feeds({"a": CameraConfig(source=file), "b": CameraConfig(source=str(tmp_path / "nowhere.avi"))})
    assert closed == ["a"]


def test_a_camera_is_switched_off_and_on(cameras: Cameras, file: str) -> None:
    door = cameras.sessions["door"]
    before = door.feed
    cameras.sessions.switch("door", None)
    cameras.sessions.switch("door", None)  # once more changes nothing
    assert (door.feed.state, door.feed.newest(), door.feed.finished) == ("disabled", None, False)
    assert door.request_snapshot() == "camera door is switched off: switch it on with request/camera"
    cameras.sessions.switch("door", CameraConfig(source=file))
    assert (door.feed.state, door.feed is before) == ("online", False)


def test_a_camera_that_cannot_be_opened_stays_off(cameras: Cameras, tmp_path: Path) -> None:
    cameras.sessions.switch("door", None)
    with pytest.raises(CaptureError):
        cameras.sessions.switch("door", CameraConfig(source=str(tmp_path / "none.avi")))
    assert cameras.sessions["door"].feed.state == "disabled"


def test_a_reload_leaves_a_camera_off_whatever_changes_about_it(cameras: Cameras, file: str, tmp_path: Path) -> None:
    cameras.sessions.switch("door", None)
    cameras.reconfigure(
        gap=2, door=CameraConfig(source=str(tmp_path / "none.avi"), rotation=90), yard=CameraConfig(source=file)
    )
    assert cameras.sessions["door"].feed.state == "disabled"
    assert cameras.sessions["door"].settings.motion_gap == 2


def test_a_camera_that_is_off_stays_so_in_its_topic_when_the_daemon_stops(cameras: Cameras) -> None:
    cameras.sessions.switch("door", None)
    cameras.announcer.calls.clear()
    cameras.sessions.close()
    assert [camera for name, camera in cameras.announcer.calls if name == "camera_state"] == ["yard"]


def test_disabled_cameras_are_not_opened(tmp_path: Path) -> None:
    feeds = open_feeds({"door": CameraConfig(source=str(tmp_path / "none.avi"))}, {"door", "unknown"})
    assert feeds["door"].state == "disabled"
