"""Streams from real servers on loopback, and cameras that are not there."""

import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edge.cameras import opening_faults, source_reader
from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.cameras.video_file import CaptureError
from edge.sources import parse
from tests.support.live_cameras import QUICK, ROOT, always, first_frame, logged_states, serve, watch_until
from tests.support.ports import free_port
from tests.support.video_files import write_video


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("stream") / "stream.ts", "mp4v")


@pytest.mark.parametrize(
    ("protocol", "address", "login"),
    [
        ("rtsp", "rtsp://127.0.0.1:{port}/live", []),
        ("rtsp", "rtsp://viewer:p%40ss@127.0.0.1:{port}/live", ["viewer:p@ss"]),
        ("tcp", "tcp://127.0.0.1:{port}", []),
    ],
)
def test_a_stream_whose_server_dies_comes_back(
    stream: Path, caplog: pytest.LogCaptureFixture, protocol: str, address: str, login: list[str]
) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    port = free_port()
    with LiveCamera("door", parse(address.format(port=port)), QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: camera.state == "offline" and "offline" in caplog.text)
        with serve(protocol, port, stream, *login):
            watch_until(camera, lambda: camera.state == "online")
            assert first_frame(camera).image.shape == (120, 160, 3)
        watch_until(camera, lambda: camera.state != "online")
        with serve(protocol, port, stream, *login):
            watch_until(camera, lambda: camera.state == "online")
        assert camera.counts().reconnects == 1
    assert logged_states(caplog.messages) == ["offline", "online", "offline", "online"]
    assert "p%40ss" not in caplog.text


def test_a_stream_that_stops_feeding_is_stalled_and_comes_back(stream: Path) -> None:
    port = free_port()
    with (
        serve("rtsp", port, stream) as server,
        LiveCamera("door", parse(f"rtsp://127.0.0.1:{port}/live"), QUICK, always(0.5)) as camera,
    ):
        watch_until(camera, lambda: camera.state == "online")
        server.send_signal(signal.SIGSTOP)
        watch_until(camera, lambda: camera.state == "stalled")
        server.send_signal(signal.SIGCONT)
        watch_until(camera, lambda: camera.state == "online")
        assert camera.counts().stalls == 1


def test_a_wrong_password_is_logged_and_retried(stream: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    source = parse(f"rtsp://viewer:wrong@127.0.0.1:{port}/live")
    with serve("rtsp", port, stream, "viewer:right"), LiveCamera("door", source, QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: bool(caplog.records))
        assert camera.state == "offline"
        assert f"rtsp://***@127.0.0.1:{port}/live: refuses this user and password: correct them" in caplog.text
        assert "wrong" not in caplog.text


def test_a_server_that_accepts_and_never_answers_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    settings = LiveSettings(stall_seconds=0.5, open_seconds=1.5, min_retry=0.05, max_retry=0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        source = parse(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live")
        with LiveCamera("door", source, settings, always(0.5)) as camera:
            first = camera.process_id
            watch_until(camera, lambda: bool(caplog.records))
            assert "no frame in 1.5 s" in caplog.text
            watch_until(camera, lambda: camera.process_id not in (None, first))


def test_the_password_is_not_in_the_process_list(stream: Path) -> None:
    port = free_port()
    source = parse(f"rtsp://viewer:s3cret@127.0.0.1:{port}/live")
    with serve("rtsp", port, stream, "viewer:s3cret"), LiveCamera("door", source, QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: camera.state == "online")
        process = Path(f"/proc/{camera.process_id}")
        assert b"s3cret" not in (process / "cmdline").read_bytes()
        assert b"s3cret" not in (process / "environ").read_bytes()


ALL_IMPORTS = """
import sys
before = set(sys.modules)
import edge.cameras.capture_worker
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""


def test_a_capture_process_needs_numpy_and_opencv_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", ALL_IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"cv2", "edge", "numpy"}


# Cameras that are not there.


@pytest.mark.parametrize(
    ("uri", "remedy"),
    [
        ("/dev/video9", "/dev/video9: no such camera: plug it in"),
        ("v4l2:///dev/null", "/dev/null: cannot be opened: another program may hold it, or it is no camera"),
        ("rtsp://127.0.0.1:1/live", "rtsp://127.0.0.1:1/live: nothing listens at port 1 of 127.0.0.1: check that"),
        ("rtsp://no-such.invalid/live", "the name no-such.invalid is not known in this network: correct it"),
    ],
)
def test_a_missing_camera_is_logged_once_and_retried(
    uri: str, remedy: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    trials: set[int | None] = set()
    with LiveCamera("door", parse(uri), QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: trials.add(camera.process_id) or len(trials) >= 4)
        assert camera.state == "offline"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith("camera door: offline: ")
    assert remedy in caplog.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER), reason="this OpenCV has GStreamer")
def test_a_csi_camera_needs_gstreamer(caplog: pytest.LogCaptureFixture) -> None:
    with LiveCamera("door", parse("csi://0"), QUICK, always(0.5)) as camera:
        watch_until(camera, lambda: bool(caplog.records))
    assert "csi://0: this OpenCV was built without GStreamer" in caplog.text


@pytest.mark.parametrize("login", [[], ["viewer:right"]])
def test_a_udp_only_test_camera_is_read(stream: Path, login: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    port = free_port()
    source = parse(f"rtsp://{''.join(f'{one}@' for one in login)}127.0.0.1:{port}/live")
    with serve("rtsp-udp", port, stream, *login), LiveCamera("door", source, QUICK, always(0.5)) as camera:
        assert first_frame(camera).image.shape == (120, 160, 3)
    assert "through FFmpeg over UDP" in caplog.text


def test_lost_packets_are_logged(stream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a firewall: the camera agrees, and nothing comes."""
    monkeypatch.setattr(source_reader, "UDP_TIMEOUT_MS", 1500)
    monkeypatch.setattr(opening_faults, "UDP_SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(source_reader, "_OPTIONS_GIVEN", False)
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "")
    port = free_port()
    with (
        serve("rtsp-silent", port, stream),
        pytest.raises(CaptureError, match="sends over UDP, but no picture arrives: let UDP through the firewall"),
    ):
        next(source_reader.read_source(parse(f"rtsp://127.0.0.1:{port}/live")))
