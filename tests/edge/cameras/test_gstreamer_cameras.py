"""Cameras through GStreamer, for real: Debian's OpenCV under the system's Python, with `videotestsrc` as the camera.

What runs is `edge.cameras.capture_worker` itself; only the elements of a Jetson have stand-ins.
"""

import itertools
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.cameras.gstreamer_elements import known_elements
from edge.cameras.live_camera import LiveCamera
from edge.sources import Source, parse
from tests.support.live_cameras import QUICK, always, first_frame, watch_until
from tests.support.system_gstreamer import PROGRAM, PYTHON, ROOT, require_opencv
from tests.support.video_files import MATRICES, corners, jpegs, moved, quarters, shades, write_mp4, write_video

Matrix = tuple[int, int, int, int]

pytestmark = pytest.mark.usefixtures("opencv")


@pytest.fixture(scope="module")
def opencv() -> None:
    require_opencv()


def stand_in(source: Source) -> LiveCamera:
    program = (PYTHON, str(ROOT / "tests/support/fake_camera.py"), "stand_in")
    return LiveCamera("door", source, QUICK, always(0.5), program)


def colour(image: NDArray[np.uint8], row: float, column: float) -> list[int]:
    """Of the pixel at a share of height and width: 1 where a channel (B, G, R) is on."""
    height, width = image.shape[:2]
    return [int(value > 100) for value in image[int(row * height), int(column * width)]]


# SMPTE bars: from left to right white, yellow, cyan, green, magenta, red, blue.
WHITE, BLUE = [1, 1, 1], [1, 0, 0]


def test_a_csi_camera_is_opened_and_rotated_by_its_pipeline(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    with stand_in(parse("csi://0", width=640, height=480, fps=15, rotation=90)) as camera:
        image = first_frame(camera).image
        assert image.shape == (640, 480, 3)
        assert colour(image, 0.05, 0.8) == WHITE  # the left edge has become the upper one
        assert colour(image, 0.95, 0.8) == BLUE
    assert "online: 480x640 from csi://0 through GStreamer, nvarguscamerasrc" in caplog.text


def test_a_csi_camera_has_its_default_size_where_none_is_requested() -> None:
    with stand_in(parse("csi://0")) as camera:
        assert first_frame(camera).image.shape == (720, 1280, 3)


def test_a_usb_camera_without_raw_pixels_is_read_as_jpeg(caplog: pytest.LogCaptureFixture) -> None:
    """The first candidate, raw video from a real `v4l2src`, does not open here; the second is JPEG."""
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    with stand_in(parse("v4l2:///dev/null", flip="horizontal")) as camera:
        image = first_frame(camera).image
        assert colour(image, 0.2, 0.95) == WHITE  # the reader has flipped it
    assert "online: 320x240 from v4l2:///dev/null through GStreamer, jpegdec" in caplog.text


def test_4k_from_hardware_arrives_small(caplog: pytest.LogCaptureFixture) -> None:
    program = (PYTHON, str(ROOT / "tests/support/fake_camera.py"), "large")
    with LiveCamera("door", parse("v4l2:///dev/null"), QUICK, always(0.5), program) as camera:
        assert first_frame(camera).image.shape == (720, 1280, 3)
        assert camera.counts().captured >= 1
        assert camera.counts().reconnects == 0


def test_a_pipeline_is_read_at_the_rate_that_it_gives() -> None:
    with stand_in(parse("csi://0", width=320, height=240)) as camera:
        before = first_frame(camera)
        watch_until(camera, lambda: camera.counts().captured > 40)
        after = first_frame(camera)
    rate = (after.index - before.index) / (after.monotonic_time - before.monotonic_time)
    assert rate < 40  # it is asked for 30, and is not read faster than it gives


def test_the_mask_can_be_changed_while_the_camera_runs() -> None:
    left = (((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),)
    right = (((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),)
    with stand_in(parse("csi://0", width=320, height=240, mask=left)) as camera:
        image = first_frame(camera).image
        assert not image[:, :160].any()
        assert image[:150, 165:].any(axis=2).all()
        process = camera.process_id
        camera.mask(right)
        seen: list[NDArray[np.uint8]] = []
        watch_until(camera, lambda: not (seen.append(first_frame(camera).image) or seen[-1][:, 160:].any()))
        assert seen[-1][:150, :155].any(axis=2).all()
        assert (camera.process_id, camera.counts().reconnects) == (process, 0)


def test_a_video_is_played_in_real_time_and_restarts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    clip = write_video(tmp_path / 'my "clip" ! x.avi', "MJPG", frames=25)
    source = parse(str(clip), loop=True)
    with LiveCamera("door", source, QUICK, always(0.5), PROGRAM) as camera:
        first = first_frame(camera)
        values = [round(float(first.image.mean()) / 4)]
        while camera.counts().captured < 60:
            frame = first_frame(camera)
            values.append(round(float(frame.image.mean()) / 4))
        seconds = frame.monotonic_time - first.monotonic_time
    assert frame.index - first.index == pytest.approx(25 * seconds, rel=0.3)
    assert max(values) <= 25
    assert any(later < earlier for earlier, later in itertools.pairwise(values))
    assert "through FFmpeg" in caplog.text


WITHOUT_FFMPEG = "OPENCV_VIDEOIO_PRIORITY_FFMPEG"  # 0: OpenCV has none


@pytest.mark.parametrize("matrix", [MATRICES[1], MATRICES[4], MATRICES[7]])  # turned, mirrored, both
@pytest.mark.parametrize("ffmpeg", ["1", "0"])
def test_a_phone_video_is_upright_in_every_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matrix: Matrix, ffmpeg: str
) -> None:
    monkeypatch.setenv(WITHOUT_FFMPEG, ffmpeg)
    path = write_mp4(tmp_path / "clip.mp4", jpegs([corners()] * 5), [100] * 5, matrix=matrix)
    with LiveCamera("door", parse(str(path), loop=True), QUICK, always(0.5), PROGRAM) as camera:
        image = first_frame(camera).image
    shown = moved(corners(), matrix)
    assert image.shape == shown.shape
    assert quarters(image) == quarters(shown)


def test_a_jetsons_decoder_leaves_a_video_sideways_and_the_reader_rotates_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """First as the file asks, then as the configuration does: scaled, mirrored, by a quarter turn."""
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    matrix = (0, -1, -1, 0)
    path = write_mp4(tmp_path / "clip.mp4", jpegs([corners()] * 20), [50] * 20, matrix=matrix)
    with stand_in(parse(str(path), width=96, height=128, flip="horizontal", rotation=90, loop=True)) as camera:
        image = first_frame(camera).image
    assert image.shape == (96, 128, 3)
    assert quarters(image) == quarters(np.rot90(moved(corners(), matrix)[:, ::-1], -1))
    assert "through GStreamer" in caplog.text


def test_a_video_of_uneven_frame_times_ignores_gstreamers_clock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    path = write_mp4(tmp_path / "clip.mp4", jpegs(shades(20)), [40, 900] * 10)
    with stand_in(parse(str(path), loop=True)) as camera:
        first_frame(camera)
    assert "through FFmpeg" in caplog.text


def test_a_video_that_gstreamer_cannot_read_is_reported_by_ffmpeg(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(range(256)) * 40)
    source = parse(str(broken), loop=True)
    with LiveCamera("door", source, QUICK, always(0.5), PROGRAM) as camera:
        watch_until(camera, lambda: bool(caplog.records))
    assert f"{broken}: cannot be read as video" in caplog.text


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("csi://0", "csi://0: GStreamer has no nvarguscamerasrc, nvvidconv: install JetPack's nvidia-l4t-gstreamer"),
        ("v4l2:///dev/null", "v4l2:///dev/null: cannot be opened: another program may hold it, or it is no camera"),
    ],
)
def test_a_file_that_cannot_be_opened_gives_a_one_sentence_error(
    uri: str, sentence: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with LiveCamera("door", parse(uri), QUICK, always(0.5), PROGRAM) as camera:
        watch_until(camera, lambda: bool(caplog.records))
    assert f"camera door: offline: {sentence}" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_elements_are_known_with_their_properties() -> None:
    known = known_elements(["appsink", "rtspsrc", "no-such-element"])
    assert known.keys() == {"appsink", "rtspsrc"}
    assert {"drop", "max-buffers", "sync"} <= known["appsink"]
    assert {"location", "protocols", "latency", "tcp-timeout", "tls-validation-flags"} <= known["rtspsrc"]


def test_this_python_has_another_opencv() -> None:
    """So that the other tests of cameras are those of OpenCV without GStreamer."""
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this Python's OpenCV has GStreamer too")
    assert cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG)
