"""What counts as a stall, and what does not."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.sources import parse
from tests.support.live_cameras import ROOT, always, first_frame, logged_states, watch_until

STALL = LiveSettings(stall_seconds=1.0, open_seconds=30, min_retry=0.05, max_retry=1.5)


def fake_camera(plan: str, steering: Path, settings: LiveSettings = STALL) -> LiveCamera:
    program = (sys.executable, str(ROOT / "tests/support/fake_camera.py"), plan)
    return LiveCamera("door", parse(f"v4l2://{steering}"), settings, always(0.5), program)


def watch_for(camera: LiveCamera, seconds: float) -> int:
    """How many frames come in that time."""
    end = time.monotonic() + seconds
    found: Sequence[object] = []
    while time.monotonic() < end:
        found = [*found, *filter(None, [camera.newest(0.05)])]
    return len(found)


def test_an_image_that_repeats_is_a_stall(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    freeze = tmp_path / "freeze"
    processes: set[int | None] = set()
    with fake_camera("freezing", freeze) as camera:
        first_frame(camera)
        freeze.touch()
        # It is restarted, then once more, and stays stalled all that time.
        watch_until(camera, lambda: processes.add(camera.process_id) or len(processes - {None}) == 3)
        assert logged_states(caplog.messages) == ["online", "stalled"]
        assert f"camera door: stalled: v4l2://{freeze}: the same picture for 1 s" in caplog.text
        assert camera.counts().stalls == 1
        freeze.unlink()
        watch_until(camera, lambda: camera.state == "online")
        assert camera.counts().reconnects == 1
    assert logged_states(caplog.messages) == ["online", "stalled", "online"]


def test_a_scene_that_does_not_change_but_for_noise_is_no_stall(tmp_path: Path) -> None:
    with fake_camera("still", tmp_path / "none") as camera:
        first_frame(camera)
        process = camera.process_id
        assert watch_for(camera, 2.5 * STALL.stall_seconds) > 10
        assert camera.counts().stalls == 0
        assert camera.process_id == process


def test_a_camera_without_frames_is_stalled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    silence = tmp_path / "silence"
    with fake_camera("silent", silence) as camera:
        first_frame(camera)
        silence.touch()
        watch_until(camera, lambda: camera.state == "stalled")
        assert "no frame for 1 s" in caplog.text
        silence.unlink()
        watch_until(camera, lambda: camera.state == "online")
        assert camera.counts().stalls == 1


def test_a_camera_with_a_long_stall_limit_may_repeat_its_image(tmp_path: Path) -> None:
    freeze = tmp_path / "freeze"
    with fake_camera("freezing", freeze, LiveSettings(stall_seconds=60)) as camera:
        freeze.touch()
        first_frame(camera)
        assert watch_for(camera, 2.0) > 10
        assert camera.state == "online"


def test_a_video_of_a_still_image_is_not_a_stall(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "still.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (160, 120))
    for _ in range(10):
        writer.write(np.full((120, 160, 3), 90, np.uint8))
    writer.release()
    with LiveCamera("door", parse(str(tmp_path / "still.avi"), loop=True), STALL, always(0.5)) as camera:
        first_frame(camera)
        assert watch_for(camera, 2.5 * STALL.stall_seconds) > 10
        assert (camera.state, camera.counts().stalls) == ("online", 0)
