"""GStreamer as Debian has it, for the tests of cameras: its Python, its OpenCV, its RTSP server."""

import contextlib
import functools
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.paths import ROOT

PYTHON = "/usr/bin/python3"
PROGRAM = (PYTHON, "-m", "edge.cameras.capture_worker")
OPENCV_PACKAGES = "python3-opencv gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-libav"
SERVER_PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 glib-networking gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
HAS_OPENCV = """
import cv2
from edge.cameras.gstreamer_elements import known_elements
assert cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER)
names = "appsink avdec_h264 decodebin h264parse h265parse jpegdec jpegenc rtspsrc videoconvert videoflip videotestsrc"
assert known_elements(names.split()).keys() == set(names.split())
"""
HAS_SERVER = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, Gst, GstRtspServer
Gst.init(None)
assert Gio.TlsBackend.get_default().supports_tls()
names = ["x264enc", "x265enc", "rtph264pay", "videotestsrc"]
assert all(map(Gst.ElementFactory.find, names))
"""


@functools.cache
def runs(code: str) -> bool:
    """True where the system's Python runs this."""
    with contextlib.suppress(OSError):
        done = subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True, check=False)
        return done.returncode == 0
    return False


def require_opencv() -> None:
    """Skip where the system's OpenCV has no GStreamer."""
    if not runs(HAS_OPENCV):
        pytest.skip(f"{PYTHON} has no OpenCV with GStreamer: apt-get install {OPENCV_PACKAGES}")


def require_server() -> None:
    """Skip where there is no RTSP server."""
    if not runs(HAS_SERVER):
        pytest.skip(f"no RTSP server for {PYTHON}: apt-get install {SERVER_PACKAGES}")


@contextlib.contextmanager
def rtsp_server(port: int, codec: str, *login: str) -> Iterator[subprocess.Popen[str]]:
    command = [PYTHON, str(ROOT / "tests/support/rtsp_server.py"), str(port), codec, *login]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield server
        finally:
            server.kill()
