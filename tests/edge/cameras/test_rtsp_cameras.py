"""RTSP cameras against a real server, GStreamer's own, through each backend.

`gstreamer` is Debian's OpenCV under the system's Python, `ffmpeg` the OpenCV of the Python that runs the tests.
"""

import logging
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from edge.cameras.capture_process import PROGRAM
from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.cameras.rtsp_check import examine, unreachable
from edge.sources import Transport, parse
from tests.support import system_gstreamer
from tests.support.live_cameras import QUICK, always, first_frame, logged_states, watch_until
from tests.support.ports import free_port
from tests.support.system_gstreamer import require_opencv, require_server, rtsp_server

pytestmark = pytest.mark.usefixtures("server")
PROGRAMS = {"gstreamer": system_gstreamer.PROGRAM, "ffmpeg": PROGRAM}
PATIENT = LiveSettings(stall_seconds=20, open_seconds=60, min_retry=0.05, max_retry=0.2)  # on a busy machine
THROUGH = {"gstreamer": "through GStreamer, decodebin", "ffmpeg": "through FFmpeg"}


@pytest.fixture(scope="module")
def server() -> None:
    require_server()


@pytest.fixture(params=PROGRAMS)
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "gstreamer":
        require_opencv()
    return str(request.param)


def refusal(url: str) -> str | None:
    return examine(url, "tcp").reason


def camera_at(
    port: int,
    backend: str,
    login: str = "",
    scheme: str = "rtsp",
    settings: LiveSettings = PATIENT,
    transport: Transport = "auto",
) -> LiveCamera:
    source = parse(f"{scheme}://{login}127.0.0.1:{port}/live", transport=transport)
    return LiveCamera("door", source, settings, always(0.5), PROGRAMS[backend])


def test_a_camera_whose_server_is_killed_comes_back(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    port = free_port()
    with camera_at(port, backend, "viewer:pa%20ss%22!@") as camera:
        watch_until(camera, lambda: "offline" in logged_states(caplog.messages))
        for number in range(2):
            with rtsp_server(port, "h264", 'viewer:pa ss"!'):
                watch_until(camera, lambda: camera.state == "online")
                assert first_frame(camera).image.shape == (240, 320, 3)
                assert camera.counts().reconnects == number
            watch_until(camera, lambda: camera.state != "online")
    assert logged_states(caplog.messages) == ["offline", "online", "offline", "online", "offline"]
    assert f"online: 320x240 from rtsp://***@127.0.0.1:{port}/live {THROUGH[backend]}" in caplog.text
    assert "nothing listens at port" in caplog.text


def test_h265_with_a_basic_login(backend: str) -> None:
    port = free_port()
    with rtsp_server(port, "h265", "basic:viewer:secret"), camera_at(port, backend, "viewer:secret@") as camera:
        assert first_frame(camera).image.shape == (240, 320, 3)


@pytest.mark.parametrize("codec", ["264", "265"])
def test_a_jetsons_pipeline_finds_the_codec(codec: str, caplog: pytest.LogCaptureFixture) -> None:
    """With FFmpeg's decoders in the place of `nvv4l2decoder`."""
    require_opencv()
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    program = (system_gstreamer.PYTHON, str(system_gstreamer.ROOT / "tests/support/fake_camera.py"), "stand_in")
    port = free_port()
    source = parse(f"rtsp://viewer:secret@127.0.0.1:{port}/live", rotation=90)
    with (
        rtsp_server(port, f"h{codec}", "viewer:secret"),
        LiveCamera("door", source, PATIENT, always(0.5), program) as camera,
    ):
        assert first_frame(camera).image.shape == (320, 240, 3)
    assert [message.split(": ")[1] for message in caplog.messages] == ["online"]
    assert f"through GStreamer, nvv4l2decoder for H.{codec}" in caplog.text


def test_a_jetsons_pipeline_joins_a_stream_in_its_middle(caplog: pytest.LogCaptureFixture) -> None:
    """Another viewer has it already, and key frames are ten seconds apart."""
    require_opencv()
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    program = (system_gstreamer.PYTHON, str(system_gstreamer.ROOT / "tests/support/fake_camera.py"), "stand_in")
    port = free_port()
    with rtsp_server(port, "rare"), camera_at(port, "gstreamer") as viewer:
        watch_until(viewer, lambda: viewer.counts().captured > 30)
        source = parse(f"rtsp://127.0.0.1:{port}/live")
        with LiveCamera("late", source, PATIENT, always(0.5), program) as late:
            before = first_frame(late)
            watch_until(late, lambda: late.counts().captured > 30)
            assert before.image.shape == (240, 320, 3)
    assert "camera late: online: 320x240" in caplog.text
    assert "through GStreamer, nvv4l2decoder for H.264" in caplog.text


def test_a_password_is_nowhere_to_be_read(
    backend: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with the libraries' debug output enabled."""
    for name, value in [("GST_DEBUG", "6"), ("OPENCV_LOG_LEVEL", "VERBOSE"), ("OPENCV_FFMPEG_DEBUG", "1")]:
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    port = free_port()
    with rtsp_server(port, "h264", "viewer:s3cret"):
        with camera_at(port, backend, "viewer:s3cret@") as camera:
            first_frame(camera)
            process = Path(f"/proc/{camera.process_id}")
            assert b"s3cret" not in (process / "cmdline").read_bytes()
            assert b"s3cret" not in (process / "environ").read_bytes()
        with camera_at(port, backend, "viewer:wr0ng@") as camera:
            watch_until(camera, lambda: camera.state == "offline" and "refuses" in caplog.text)
    assert f"rtsp://***@127.0.0.1:{port}/live: refuses this user and password: correct them" in caplog.text
    written = caplog.text + "".join(capfd.readouterr())
    assert "s3cret" not in written
    assert "wr0ng" not in written


def test_a_server_that_stops_feeding_is_a_stall(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with rtsp_server(port, "h264") as server, camera_at(port, backend, settings=QUICK) as camera:
        first_frame(camera)
        server.send_signal(signal.SIGSTOP)
        watch_until(camera, lambda: camera.state == "stalled")
        assert "no frame for 1.5 s" in caplog.text
        server.send_signal(signal.SIGCONT)
        watch_until(camera, lambda: camera.state == "online")
        assert camera.counts().stalls >= 1


def test_a_server_that_repeats_its_image_is_a_stall(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with rtsp_server(port, "frozen"), camera_at(port, backend, settings=QUICK) as camera:
        first_frame(camera)
        watch_until(camera, lambda: camera.state == "stalled")
        assert "the same picture for 1.5 s" in caplog.text


def test_rtsps_with_a_certificate_that_the_camera_signed_itself(
    backend: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    key, pem = tmp_path / "key.pem", tmp_path / "both.pem"
    subject = ["-subj", "/CN=camera", "-days", "2", "-nodes", "-newkey", "rsa:2048"]
    files = ["-keyout", str(key), "-out", str(tmp_path / "certificate.pem")]
    command = ["openssl", "req", "-x509", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    pem.write_text((tmp_path / "certificate.pem").read_text() + key.read_text())
    port = free_port()
    with rtsp_server(port, "h264", "viewer:s3cret", str(pem)):
        assert refusal(f"rtsps://viewer:s3cret@127.0.0.1:{port}/live") is None
        assert "refuses this user" in str(refusal(f"rtsps://viewer:no@127.0.0.1:{port}/live"))
        with camera_at(port, backend, "viewer:s3cret@", "rtsps") as camera:
            assert first_frame(camera).image.shape == (240, 320, 3)
    assert THROUGH[backend] in caplog.text


@pytest.mark.parametrize("kind", ["viewer:pa ss", "basic:viewer:pa ss"])
def test_what_a_server_has_against_a_url(kind: str) -> None:
    port = free_port()
    with rtsp_server(port, "h264", kind):
        url = f"127.0.0.1:{port}"
        assert refusal(f"rtsp://viewer:pa%20ss@{url}/live") is None
        assert "refuses this user and password" in str(refusal(f"rtsp://viewer:wrong@{url}/live"))
        assert "asks for a user and a password" in str(refusal(f"rtsp://{url}/live"))
        assert "no stream under this path" in str(refusal(f"rtsp://viewer:pa%20ss@{url}/live/none"))
        assert unreachable(f"rtsp://{url}/live") is None
    assert "nothing listens" in str(unreachable(f"rtsp://{url}/live"))


@pytest.mark.parametrize("login", ["", "viewer:pa ss"])
def test_a_camera_that_supports_udp_only(backend: str, login: str, caplog: pytest.LogCaptureFixture) -> None:
    """It refuses TCP with 461; what worked is asked for first when it comes back."""
    caplog.set_level(logging.INFO, "edge.cameras.live_camera")
    port = free_port()
    with camera_at(port, backend, f"{login.replace(' ', '%20')}@" * bool(login)) as camera:
        for _ in range(2):
            with rtsp_server(port, "h264-udp", *filter(None, [login])):
                watch_until(camera, lambda: camera.state == "online")
                assert first_frame(camera).image.shape == (240, 320, 3)
            watch_until(camera, lambda: camera.state != "online")
        assert camera._transport == "udp"
    assert f"{THROUGH[backend]} over UDP" in caplog.text


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_transport_that_is_asked_for_is_the_only_one(backend: str, transport: Transport) -> None:
    port = free_port()
    with rtsp_server(port, "h264-udp"), camera_at(port, backend, transport=transport) as camera:
        if transport == "udp":
            assert first_frame(camera).image.shape == (240, 320, 3)
            return
        watch_until(camera, lambda: "461" in camera.reason)
        assert 'refuses to send over TCP (461 Unsupported Transport): set transport = "udp"' in camera.reason


def test_jpeg_over_rtsp(backend: str) -> None:
    port = free_port()
    with rtsp_server(port, "jpeg"), camera_at(port, backend) as camera:
        assert first_frame(camera).image.shape == (240, 320, 3)
