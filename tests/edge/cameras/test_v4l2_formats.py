import errno
import struct
from pathlib import Path

import pytest

from edge.cameras import source_check
from edge.cameras.source_check import check_source
from edge.cameras.v4l2_formats import bayer_only
from edge.cameras.video_file import CaptureError
from edge.sources import parse

VIDIOC_ENUM_FMT = 0xC0405602  # as strace and the kernel's headers give it


class Driver:
    """VIDIOC_ENUM_FMT of a driver with these formats, for one kind of buffer."""

    def __init__(self, *formats: str, kind: int = 1) -> None:
        self.formats, self.kind = formats, kind

    def __call__(self, device: int, request: int, argument: bytes) -> bytes:
        assert (request, len(argument)) == (VIDIOC_ENUM_FMT, 64)
        index, kind = struct.unpack_from("=II", argument)
        if kind != self.kind or index >= len(self.formats):
            raise OSError(errno.EINVAL, "no such format")
        return argument[:44] + self.formats[index].encode() + argument[48:]


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (Driver("RG10"), "RG10"),  # an IMX219 on a Jetson
        (Driver("BG12", "BG10"), "BG12"),
        (Driver("RGGB", kind=9), "RGGB"),
        (Driver("YUYV", "MJPG"), ""),
        (Driver("RG10", "YUYV"), ""),  # a driver that makes images itself
        (Driver("Y16 "), ""),
        (Driver(), ""),
    ],
)
def test_which_devices_are_sensors(tmp_path: Path, driver: Driver, expected: str) -> None:
    device = tmp_path / "video0"
    device.touch()
    assert bayer_only(str(device), driver) == expected


def test_what_is_no_video_device_is_no_sensor(tmp_path: Path) -> None:
    assert bayer_only("/dev/null") == ""
    assert bayer_only(str(tmp_path / "none")) == ""


def test_a_sensor_is_refused_with_the_source_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_check, "bayer_only", lambda path: "RG10")
    with pytest.raises(CaptureError, match=r"is a CSI sensor that gives raw Bayer values \(RG10\): write csi://0"):
        check_source(parse("v4l2:///dev/null"))
