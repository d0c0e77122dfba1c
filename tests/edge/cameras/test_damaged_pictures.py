"""Live images that cannot be decoded: they are skipped, that is logged once, and the camera stays online."""

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.live_camera import LiveCamera
from edge.sources import BgrImage, parse
from tests.support.live_cameras import QUICK, always, first_frame, watch_until
from tests.support.video_files import jpegs, shade, shades, write_matroska, write_mp4


def noise(count: int) -> list[BgrImage]:
    """Pictures of several packets each, as a camera's are: of small ones FFmpeg skips those that are damaged itself."""
    return [np.random.default_rng(number).integers(0, 255, (240, 320, 3), np.uint8) for number in range(count)]


SKIPPED = "some of its pictures cannot be decoded and are skipped"


@contextlib.contextmanager
def http_camera(parts: Sequence[bytes], seconds: float = 0.02) -> Iterator[str]:
    """The address of a camera that sends these JPEGs over and over, as multipart/x-mixed-replace."""

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            with contextlib.suppress(OSError):
                for part in itertools.cycle(parts):
                    head = f"\r\n--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
                    self.wfile.write(head.encode() + part)
                    time.sleep(seconds)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stream"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("damaged", [[3], [4, 5, 6, 7], list(range(1, 30, 2))])
def test_a_camera_that_sends_bad_images_stays_online(damaged: list[int], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    with (
        http_camera(jpegs(noise(30), damaged)) as address,
        LiveCamera("door", parse(address), QUICK, always(0.5)) as camera,
    ):
        first_frame(camera)
        watch_until(camera, lambda: camera.counts().captured > 80)
        counts, process = camera.counts(), camera.process_id
        watch_until(camera, lambda: camera.counts().captured > counts.captured + 20)
        assert (camera.state, camera.process_id, camera.counts().reconnects) == ("online", process, 0)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [f"camera door: {address}: {SKIPPED}: check its cable or network"]


def test_a_camera_that_sends_only_bad_images_is_offline() -> None:
    with (
        http_camera(jpegs(noise(3), range(3)), seconds=0.001) as address,
        LiveCamera("door", parse(address), QUICK, always(0.5)) as camera,
    ):
        watch_until(camera, lambda: address in camera.reason)
        assert camera.state == "offline"
        assert camera.counts().captured == 0


def test_a_video_with_bad_frames_is_played_to_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_mp4(tmp_path / "clip.mp4", jpegs(shades(30), [10, 11]), [20] * 30)
    seen = set()
    with LiveCamera("door", parse(str(path), loop=True), QUICK, always(0.5)) as camera:
        while camera.counts().captured < 120:
            seen.add(shade(first_frame(camera).image))
        assert camera.counts().reconnects == 0
    assert 29 in seen
    assert not seen & {10, 11}
    assert [record.getMessage() for record in caplog.records] == [
        f"camera door: {path}: 2 of 30 frames cannot be decoded and are skipped"
    ]


def pace(path: Path, frames: int) -> list[tuple[float, int]]:
    """The times of `frames` frames of a looped file since the first, and what they showed."""
    found: list[tuple[float, int]] = []
    with LiveCamera("door", parse(str(path), loop=True), QUICK, always(0.5)) as camera:
        while camera.counts().captured < frames:
            frame = first_frame(camera)
            found.append((frame.monotonic_time, shade(frame.image)))
        assert (camera.state, camera.counts().reconnects, camera.counts().stalls) == ("online", 0, 0)
    return [(moment - found[0][0], number) for moment, number in found]


def test_a_looped_video_keeps_its_own_time(tmp_path: Path) -> None:
    """40 ms a frame whatever rate is announced, but for one of 0.8 s: the last of 20 frames begins after 1.52 s."""
    times = [0.04 * i + (0.76 if i > 4 else 0.0) for i in range(20)]
    path = write_matroska(tmp_path / "clip.mkv", jpegs(shades(20)), times, announced_fps=1000)
    found = pace(path, 20)
    assert min(moment for moment, number in found if number > 4) >= 0.9  # 5 frames of 0.04 s and 0.76 s
    assert found[-1][0] >= 1.4


def test_a_long_pause_in_a_looped_video_is_not_a_stall(tmp_path: Path) -> None:
    times = [0.04 * i + (30.0 if i > 4 else 0.0) for i in range(10)]
    path = write_matroska(tmp_path / "clip.mkv", jpegs(shades(10)), times)
    source = parse(str(path), loop=True)
    patient = replace(QUICK, stall_seconds=3.0)
    with LiveCamera("door", source, patient, always(0.5)) as camera:
        seen = {shade(first_frame(camera).image) for _ in range(10)}
        assert (camera.counts().reconnects, camera.counts().stalls) == (0, 0)
    assert max(seen) > 4


def test_a_one_frame_video_is_played_at_its_rate(tmp_path: Path) -> None:
    path = write_matroska(tmp_path / "clip.mkv", jpegs(shades(1)), [0.0], announced_fps=10)
    assert pace(path, 6)[-1][0] >= 0.45  # five times a tenth of a second
