"""What is wrong with a source before it is opened; what its server says is in test_rtsp_check.py."""

from pathlib import Path

import pytest

from edge.cameras.gstreamer_pipelines import InstalledElements
from edge.cameras.source_check import check_source, require_argus
from edge.cameras.video_file import CaptureError
from edge.sources import parse


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("/dev/video9", "/dev/video9: no such camera: plug it in"),
        ("v4l2://{folder}", "is not a camera device: write /dev/video0"),
        ("{folder}/none.mp4", "no such file"),
        ("{folder}", "is a directory"),
        ("rtsp://127.0.0.1:1/live", "rtsp://127.0.0.1:1/live: nothing listens at port 1"),
    ],
)
def test_what_is_wrong_before_anything_is_opened(tmp_path: Path, uri: str, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        check_source(parse(uri.format(folder=tmp_path)))


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        (None, "this OpenCV was built without GStreamer"),
        ({"videoconvert": frozenset()}, "GStreamer has no nvarguscamerasrc, nvvidconv: install JetPack's"),
    ],
)
def test_what_a_csi_camera_lacks(installed: InstalledElements | None, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        require_argus(parse("csi://0"), installed)


def test_other_sources_need_no_argus() -> None:
    require_argus(parse("/dev/video0"), None)
