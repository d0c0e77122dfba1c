"""Feeds: video files and live cameras as the daemon takes their frames, eight at once too."""

import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.cameras.feeds import Feed, FileFeed, LiveFeed, open_feed, wait_for_frames
from edge.cameras.live_camera import CameraCounts
from edge.config.schema import CameraConfig
from edge.sources import Frame
from tests.support.video_files import write_video
from tests.support.waiting import PATIENCE, wait_for

LEFT = (((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),)
RIGHT = (((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", "MJPG", frames=30)


@contextlib.contextmanager
def opened(source: object, **options: Any) -> Iterator[Feed]:
    feed = open_feed("door", CameraConfig(source=str(source), **options))
    try:
        yield feed
    finally:
        feed.close()


def next_frame(feed: Feed) -> Frame:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        frame = feed.newest()
        if frame is not None:
            return frame
        wait_for_frames([feed], 0.25)
    raise AssertionError(f"no frame from {feed.name}, which is {feed.state}")


def test_a_video_gives_every_frame_and_counts_them(clip: Path) -> None:
    with opened(clip) as feed:
        assert isinstance(feed, FileFeed)
        indices = [next_frame(feed).index for _ in range(30)]
        assert feed.newest() is None
        assert indices == list(range(30))
        assert (feed.finished, feed.failed, feed.state) == (True, False, "offline")
        assert feed.counts() == CameraCounts(captured=30, taken=30, dropped=0, stalls=0, reconnects=0)


def test_frames_of_a_video_are_rotated_and_masked_too(clip: Path) -> None:
    with opened(clip, rotation=90, mask=LEFT) as feed:
        next_frame(feed)
        image = next_frame(feed).image  # of the value 4
    assert image.shape == (160, 120, 3)
    assert not image[:, :60].any()
    assert image[:, 64:].any()


def reconfigure(feed: Feed, camera: CameraConfig) -> None:
    assert feed.can_reconfigure(camera)
    feed.reconfigure(camera)


@pytest.mark.parametrize("loop", [False, True])
def test_a_new_mask_is_applied_without_a_gap(clip: Path, loop: bool) -> None:
    def halves(feed: Feed) -> tuple[bool, bool]:
        image = next_frame(feed).image
        return bool(image[:, :75].any()), bool(image[:, 85:].any())

    with opened(clip, mask=LEFT, loop=loop) as feed:
        next_frame(feed)
        wait_for(lambda: halves(feed) == (False, True), "a frame masked on the left")
        reconfigure(feed, CameraConfig(source=str(clip), mask=RIGHT, loop=loop))
        wait_for(lambda: halves(feed) == (True, False), "a frame masked on the right")
        assert feed.counts().reconnects == 0


def test_stall_seconds_are_applied(clip: Path) -> None:
    with opened(clip, loop=True) as feed:
        assert isinstance(feed, LiveFeed)
        reconfigure(feed, CameraConfig(source=str(clip), loop=True, stall_seconds=60.0))
        assert feed.camera.settings.stall_seconds == 60


@pytest.mark.parametrize("change", [{"flip": "both"}, {"rotation": 90}, {"fps": 5.0}, {"width": 64, "height": 48}])
def test_what_needs_another_process_is_not_applied(clip: Path, change: dict[str, Any]) -> None:
    with opened(clip, loop=True) as feed:
        assert not feed.can_reconfigure(CameraConfig(source=str(clip), loop=True, **change))


def test_size_and_rate_of_a_video_played_as_a_camera(clip: Path) -> None:
    with opened(clip, loop=True, width=64, height=48, fps=5.0) as feed:
        assert isinstance(feed, LiveFeed)
        first = next_frame(feed)
        wait_for(lambda: feed.counts().captured >= 9, "nine captured frames")
        last = next_frame(feed)
    assert first.image.shape == (48, 64, 3)
    assert np.isclose((last.index - first.index) / (last.monotonic_time - first.monotonic_time), 5, rtol=0.4)


# Eight at once.

HEALTHY = ("one", "two", "three", "four", "five")


def test_eight_cameras_of_which_three_are_faulty(clip: Path) -> None:
    """One gives a frame a second, one hangs in mid-run, one accepts and never answers: the others feel nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute, contextlib.ExitStack() as stack:
        cameras = {name: CameraConfig(source=str(clip), loop=True) for name in (*HEALTHY, "hung")}
        cameras["slow"] = CameraConfig(source=str(clip), loop=True, fps=1.0)
        cameras["mute"] = CameraConfig(source=f"rtsp://127.0.0.1:{mute.getsockname()[1]}/live")
        feeds = {name: open_feed(name, camera) for name, camera in cameras.items()}
        for feed in feeds.values():
            stack.callback(feed.close)
        seen: Counter[str] = Counter()

        def seven_seen() -> bool:
            seen.update(taken(feeds, 0.2)[0])
            return len(+seen) == 7

        wait_for(seven_seen, "frames of seven cameras")
        well, _ = taken(feeds, 3.0)
        hung = feeds["hung"]
        assert isinstance(hung, LiveFeed)
        assert hung.camera.process_id is not None
        os.kill(hung.camera.process_id, signal.SIGSTOP)
        ill, waited = taken(feeds, 3.0)
        assert all(ill[name] > 0.5 * well[name] > 10 for name in HEALTHY), (well, ill)
        assert ill["hung"] <= 1
        assert 1 <= ill["slow"] <= 5
        assert ill["mute"] == 0
        assert waited < 1.0  # seconds of three in which the ill cameras had the loop to themselves


def taken(feeds: dict[str, Feed], seconds: float) -> tuple[Counter[str], float]:
    """Frames of each camera in that time, and the seconds spent on those of the ill ones."""
    counts: Counter[str] = Counter()
    spent, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        for name, feed in feeds.items():
            before = time.monotonic()
            counts[name] += feed.newest() is not None
            spent += 0.0 if name in HEALTHY else time.monotonic() - before
        wait_for_frames(feeds.values(), 0.25)
    return counts, spent
