"""Which pixel formats a video device gives, asked of its driver. Shell over V4L2's ioctl.

A CSI sensor of a Jetson has a video device too, which gives the sensor's raw Bayer values: only Argus makes images of
them. FourCC codes are those of Linux' `videodev2.h`.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator

BAYER = frozenset((
    "BA81", "GBRG", "GRBG", "RGGB", "BG10", "GB10", "BA10", "RG10", "pBAA", "pGAA", "pgAA", "pRAA",
    "BG12", "GB12", "BA12", "RG12", "pBCC", "pGCC", "pgCC", "pRCC", "BG14", "GB14", "GR14", "RG14",
    "pBEE", "pGEE", "pgEE", "pREE", "BYR2", "GB16", "GR16", "RG16",
))  # fmt: skip
CAPTURE = (1, 9)  # V4L2_BUF_TYPE_VIDEO_CAPTURE, and its multi-planar kind
MAX_FORMATS = 64
_FORMAT = struct.Struct("=III32sII12x")  # v4l2_fmtdesc: index, type, flags, description, pixelformat, mbus_code
_ENUM_FMT = 3 << 30 | _FORMAT.size << 16 | ord("V") << 8 | 2  # _IOWR('V', 2, struct v4l2_fmtdesc)

Ioctl = Callable[[int, int, bytes], bytes]


def bayer_only(path: str, ioctl: Ioctl = fcntl.ioctl) -> str:
    """The first format of a device that gives nothing but raw Bayer; "" for any other, and where that is unknown."""
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        formats = [name for kind in CAPTURE for name in _formats(device, kind, ioctl)]
    finally:
        os.close(device)
    return formats[0] if formats and BAYER.issuperset(formats) else ""


def _formats(device: int, kind: int, ioctl: Ioctl) -> Iterator[str]:
    """The FourCC codes of one kind of buffer, in the driver's order; none where it has no such kind."""
    for index in range(MAX_FORMATS):
        try:
            answer = ioctl(device, _ENUM_FMT, _FORMAT.pack(index, kind, 0, b"", 0, 0))
        except OSError as error:
            if error.errno != errno.EINTR:
                return
            continue
        code = _FORMAT.unpack(answer)[4]
        yield code.to_bytes(4, "little").decode("latin-1").rstrip()
