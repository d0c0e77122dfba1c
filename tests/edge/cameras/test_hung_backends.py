"""Decoders that hang: the next one is tried, and the first one comes back. Real processes throughout."""

import logging
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from edge.cameras import backend_memory, live_camera
from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.sources import parse
from tests.support import system_gstreamer
from tests.support.live_cameras import ROOT, always, first_frame, watch_until
from tests.support.system_gstreamer import require_opencv

HASTY = LiveSettings(stall_seconds=1.0, open_seconds=2.0, start_seconds=60, min_retry=0.05, max_retry=0.2)


def camera(plan: str, path: str, python: str = sys.executable) -> LiveCamera:
    program = (python, str(ROOT / "tests/support/fake_camera.py"), plan)
    return LiveCamera("door", parse(path), HASTY, always(0.5), program)


@pytest.mark.parametrize("plan", ["hanging_first", "hanging_later"])
def test_the_next_pipeline_is_used_after_one_that_hangs(plan: str, caplog: pytest.LogCaptureFixture) -> None:
    require_opencv()
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    with camera(plan, "v4l2:///dev/null", system_gstreamer.PYTHON) as live:
        watch_until(live, lambda: "through other decoder" in caplog.text)
        first_frame(live)
    sentences = [message for message in caplog.messages if "is tried before it" in message]
    fault = "gives no frame in 2 s" if plan == "hanging_first" else "stops soon after its first frames"
    assert sentences == [
        f"camera door: hanging decoder {fault}: other decoder is tried before it for the next 10 minutes"
    ]


def test_another_backend_is_used_after_ffmpeg_hangs(caplog: pytest.LogCaptureFixture) -> None:
    """In a camera that takes the connection and never answers; FFmpeg blocks in a read that nothing ends."""
    require_opencv()
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"
        with camera("hanging_ffmpeg", uri, system_gstreamer.PYTHON) as live:
            watch_until(live, lambda: "through other decoder" in caplog.text)
            first_frame(live)
            assert live.ending.hanging == 0  # the process that hung is gone
    assert "FFmpeg gives no frame in 2 s: other decoder is tried before it for the next 10 minutes" in caplog.text


def test_the_best_one_comes_back_when_its_time_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    monkeypatch.setattr(backend_memory, "FIRST_SECONDS", 1.0)
    monkeypatch.setattr(live_camera, "STABLE_SECONDS", 0.5)
    hangs = tmp_path / "hangs"
    hangs.touch()
    with camera("choosing", f"v4l2://{hangs}") as live:
        watch_until(live, lambda: "through other" in caplog.text)
        hangs.unlink()
        watch_until(live, lambda: "best hung before and is due again" in caplog.text)
        watch_until(live, lambda: "through best" in caplog.text)
        watch_until(live, lambda: not live._backends.hung)  # forgiven
        process = live.process_id
        first_frame(live)
        assert live.process_id == process


def test_a_camera_that_is_silent_whatever_reads_it_keeps_its_best_backend(tmp_path: Path) -> None:
    """Unplugged at its far end, say: all hang, and nothing is held against the first."""
    silent = tmp_path / "silent"
    silent.touch()
    with camera("choosing", f"v4l2://{silent}") as live:
        watch_until(live, lambda: [one.name for one in live._backends.hung] == ["best"])
        live._backends = live._backends.with_hang("other", "best", 0.0)  # the other one is silent too
        silent.unlink()
        watch_until(live, lambda: live.state == "online")
        assert live._process is not None
        assert live._process.through in ("best", "other")
        assert live._backends.hung == ()


def test_a_process_that_dies_twice_soon_after_its_start_counts_as_a_hang(tmp_path: Path) -> None:
    with camera("choosing", f"v4l2://{tmp_path}/none") as live:
        for _ in range(2):
            first_frame(live)
            assert live.process_id is not None
            os.kill(live.process_id, signal.SIGKILL)
            watch_until(live, lambda: live.state == "offline")
            watch_until(live, lambda: live.state == "online")
        assert live._process is not None
        assert live._process.through == "other"
