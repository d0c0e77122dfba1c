"""The life of a live camera. A file played as a camera stands for any live source."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.live_camera import LiveCamera, LiveSettings, retry_delay, wait_for_any
from edge.cameras.video_file import CaptureError
from edge.sources import parse
from tests.support.live_cameras import QUICK, ROOT, alive, always, descriptors, first_frame, logged_states, watch_until
from tests.support.video_files import write_video
from tests.support.waiting import PATIENCE, wait_for


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", "MJPG")


def looped(clip: Path, settings: LiveSettings = QUICK) -> LiveCamera:
    return LiveCamera("door", parse(str(clip), loop=True), settings, always(0.5))


def test_frames_come_with_rising_index_and_the_time_of_their_capture(clip: Path) -> None:
    with looped(clip) as camera:
        before = time.time(), time.monotonic()
        frames = [first_frame(camera) for _ in range(10)]
        after = time.time(), time.monotonic()
    assert all(frame.image.shape == (120, 160, 3) and frame.camera == "door" for frame in frames)
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    for frame in frames:
        assert before[0] <= frame.unix_time <= after[0]
        assert before[1] <= frame.monotonic_time <= after[1]


def test_the_newest_frame_wins_and_the_others_are_counted(clip: Path) -> None:
    with looped(clip) as camera:
        first = first_frame(camera)
        wait_for(lambda: camera.counts().captured >= 10, "ten captured frames")
        late = camera.newest(0)
        counts = camera.counts()
    assert late is not None
    assert late.index - first.index >= 8
    assert counts.taken == 2
    assert counts.dropped == late.index - 1  # all before the second one taken, but the first
    assert counts.captured >= counts.taken + counts.dropped


def test_a_looped_video_restarts_at_its_end(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "short.avi", "MJPG", frames=5)
    with looped(clip) as camera:
        watch_until(camera, lambda: camera.counts().captured > 12)
        assert camera.state == "online"
        assert camera.counts().reconnects == 0


def test_a_frame_is_flipped_before_it_is_returned(tmp_path: Path) -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    image[:60] = 200
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (160, 120))
    writer.write(image)
    writer.release()
    with LiveCamera("door", parse(str(tmp_path / "clip.avi"), flip="vertical", loop=True)) as camera:
        frame = first_frame(camera)
    assert frame.image[:50].max() < 20
    assert frame.image[70:].min() > 180


def test_nothing_comes_within_no_time(clip: Path) -> None:
    with looped(clip) as camera:
        assert camera.state == "offline"
        assert camera.newest(0) is None


def test_a_killed_capture_process_is_replaced(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    with looped(clip) as camera:
        last = first_frame(camera)
        killed = camera.process_id
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        watch_until(camera, lambda: camera.state == "offline")
        watch_until(camera, lambda: camera.state == "online")
        assert camera.process_id != killed
        assert first_frame(camera).index > last.index
        assert camera.counts().reconnects == 1
    assert logged_states(caplog.messages) == ["online", "offline", "online"]


def test_a_hung_capture_process_is_killed_and_replaced(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    with looped(clip) as camera:
        first_frame(camera)
        hanging = camera.process_id
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        watch_until(camera, lambda: camera.state == "stalled")
        watch_until(camera, lambda: camera.state == "online")
        assert not alive(hanging)
        assert (camera.counts().stalls, camera.counts().reconnects) == (1, 1)
    assert logged_states(caplog.messages) == ["online", "stalled", "online"]


def test_a_process_that_never_comes_to_open_its_camera_is_given_up(clip: Path) -> None:
    idle = (sys.executable, "-c", "import signal; signal.pause()")
    settings = LiveSettings(start_seconds=0.5, min_retry=0.05, max_retry=0.2)
    with LiveCamera("door", parse(str(clip), loop=True), settings, always(0.5), idle) as camera:
        first = camera.process_id
        watch_until(camera, lambda: "no frame in 0.5 s" in camera.reason)
        watch_until(camera, lambda: camera.process_id not in (None, first))


class NeverDies:
    """A process that hangs in a driver: killed, and still there."""

    pid = 4711

    def poll(self) -> int | None:
        return None

    def kill(self) -> None:
        """Without effect."""


def test_processes_that_cannot_be_ended_do_not_pile_up(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    with looped(clip) as camera:
        first_frame(camera)
        for _ in range(3):
            camera.ending.add(NeverDies(), 0.0)
        process = camera.process_id
        assert process is not None
        os.kill(process, signal.SIGKILL)
        watch_until(camera, lambda: "3 of its processes hang in a driver" in camera.reason)
        assert (camera.process_id, camera.state) == (None, "offline")
        camera.ending.forget()  # as if they had died
        watch_until(camera, lambda: camera.state == "online")
        assert camera.reason == ""
        camera.ending.add(NeverDies(), 0.0)
    assert "camera door: process 4711 hangs in a driver and cannot be killed" in caplog.text


def test_each_reason_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = tmp_path / "video.avi"
    with LiveCamera("door", parse(str(video), loop=True), QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: "no such file" in camera.reason)
        video.touch()
        watch_until(camera, lambda: "is empty" in camera.reason)
        video.unlink()
        watch_until(camera, lambda: "no such file" in camera.reason)
    assert [message.split(": ")[3].split(";")[0] for message in caplog.messages] == ["no such file", "is empty"]


def test_a_consumer_that_pauses_finds_no_stall(clip: Path) -> None:
    with looped(clip) as camera:
        taken = first_frame(camera)
        wait_for(lambda: time.monotonic() > taken.monotonic_time + 2 * QUICK.stall_seconds, "twice a stall")
        assert camera.newest(0) is not None
        assert camera.counts().stalls == 0


def test_close_leaves_no_process_and_no_descriptor(clip: Path) -> None:
    before = descriptors()
    camera = looped(clip)
    first_frame(camera)
    process = camera.process_id
    assert process is not None
    camera.close()
    camera.close()
    assert not alive(process)
    assert descriptors() == before
    with pytest.raises(CaptureError, match="camera door: is closed"):
        camera.newest(0)


def test_close_ends_a_hanging_process(clip: Path) -> None:
    with looped(clip) as camera:
        first_frame(camera)
        process = camera.process_id
        assert process is not None
        os.kill(process, signal.SIGSTOP)
    assert not alive(process)


def test_many_reconnections_leave_no_descriptor(clip: Path) -> None:
    with looped(clip) as camera:
        first_frame(camera)
        before = len(descriptors())
        for number in range(1, 4):
            assert camera.process_id is not None
            os.kill(camera.process_id, signal.SIGKILL)
            watch_until(camera, lambda number=number: camera.counts().reconnects == number)  # type: ignore[misc]
        assert len(descriptors()) == before


def test_signals_to_the_capture_process_are_left_to_its_parent(clip: Path) -> None:
    with looped(clip) as camera:
        first_frame(camera)
        process = camera.process_id
        assert process is not None
        os.kill(process, signal.SIGINT)
        os.kill(process, signal.SIGTERM)
        captured = camera.counts().captured
        watch_until(camera, lambda: camera.counts().captured > captured + 3)
        assert camera.process_id == process


PARENT = """
import signal, sys, time
from edge.cameras.live_camera import LiveCamera
from edge.sources import parse
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background is started with it ignored
camera = LiveCamera("door", parse(sys.argv[1], loop=True))
while camera.newest(1) is None:
    pass
print(camera.process_id, flush=True)
while True:
    camera.newest(1)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_capture_process_dies_with_its_parent(clip: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARENT, str(clip)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        parent.send_signal(number)
        _, errors = parent.communicate(timeout=PATIENCE)
    wait_for(lambda: not alive(process), "the end of the capture process")
    assert "capture_worker" not in errors


def test_one_wait_serves_several_cameras(clip: Path) -> None:
    with (
        looped(clip) as door,
        LiveCamera("gone", parse("/dev/video9"), QUICK, always(0.5)) as gone,
        looped(clip) as yard,
    ):
        cameras = [door, gone, yard]
        seen: set[str] = set()
        deadline = time.monotonic() + PATIENCE
        while len(seen) < 2 and time.monotonic() < deadline:
            wait_for_any(cameras, 1.0)
            seen |= {camera.name + str(number) for number, camera in enumerate(cameras) if camera.newest(0)}
        assert seen == {"door0", "door2"}


def test_a_file_is_no_live_camera(clip: Path) -> None:
    with pytest.raises(CaptureError, match="read it with read_file"):
        LiveCamera("door", parse(str(clip)))


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [
        (0, 0.0, 0.5),  # 1 · 2⁰ · (0.5 + 0.5 · 0)
        (0, 1.0, 1.0),
        (3, 0.5, 6.0),  # 8 · 0.75
        (6, 1.0, 60.0),  # 64, but 60 at the longest
        (10_000, 0.0, 30.0),
    ],
)
def test_trials_become_rarer(attempt: int, chance: float, seconds: float) -> None:
    assert retry_delay(attempt, LiveSettings(), chance) == pytest.approx(seconds)


@pytest.mark.parametrize("name", ["ü" * 700, "界" * 700, "ü" * 60, "a" * 5000], ids=["700", "2100", "60", "5000"])
def test_a_too_long_name_gives_a_one_sentence_error(name: str, tmp_path: Path) -> None:
    """Its sentence as JSON was longer than the parent took at once, and what was cut off ended the daemon."""
    source = parse(str(tmp_path / name), loop=True)
    with LiveCamera("door", source, QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: bool(camera.reason))
        assert "no such file" in camera.reason or "File name too long" in camera.reason
        assert len(camera.reason) <= 2000


@pytest.mark.parametrize("nonsense", ["cut", "deep", "other", "bytes"])
def test_nonsense_from_a_capture_process_costs_its_camera_alone(nonsense: str) -> None:
    program = (sys.executable, str(ROOT / "tests/support/fake_camera.py"), "garbled")
    with LiveCamera("door", parse(nonsense, loop=True), QUICK, always(0.5), program) as camera:
        watch_until(camera, lambda: "sent a message that cannot be read" in camera.reason)
        assert camera.state == "offline"
