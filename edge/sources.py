"""Where frames come from: a URI becomes the description of how to open it. Pure.

Also the home of `Frame`, the record that every source yields.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

Kind = Literal["file", "v4l2", "stream", "csi"]
Backend = Literal["ffmpeg", "v4l2", "gstreamer"]
Flip = Literal["none", "horizontal", "vertical", "both"]

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "tcp", "udp")
CSI_SIZE = (1280, 720)
CSI_FPS = 30.0
KNOWN_FORMS = (
    "a file path, file:///absolute/path, /dev/video0, v4l2:///dev/video0, csi://0, rtsp://host/path "
    "(or rtsps, http, https, tcp, udp)"
)

# nvvidconv's flip-method, by NVIDIA's "Accelerated GStreamer" guide.
_FLIP_METHOD: dict[Flip, int] = {"none": 0, "both": 2, "horizontal": 4, "vertical": 6}
_VIDEO_DEVICE = re.compile(r"/dev/video\d+|/dev/v4l/by-(id|path)/[^/]+")
_SECRET_IN_PATH = re.compile(r"(?i)((?:user|login|pass|pwd|auth|token|key|secret)\w*=)[^/]*")


class SourceError(ValueError):
    """A URI or an option that describes no source."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of one camera.

    `index` counts from 0 within one run of the camera; the times are in seconds. From a file both times are
    `index / fps`, so that a replay is deterministic; from a live source they say when the frame was received.
    """

    camera: str
    index: int
    unix_time: float
    monotonic_time: float
    image: NDArray[np.uint8]  # (H, W, 3), BGR


@dataclass(frozen=True)
class Source:
    """How OpenCV opens a source.

    `target` is a path, a URL or a GStreamer pipeline and may hold credentials: logs and topics show `redacted`.
    `width`, `height`, `fps` are what is asked of the camera, None for its own choice. `flip` is what the reader has
    left to do: "none" where the pipeline already flips. A file with `loop` is played in real time, over and over.
    """

    kind: Kind
    target: str = field(repr=False)
    backend: Backend
    redacted: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    flip: Flip = "none"
    loop: bool = False

    @property
    def live(self) -> bool:
        """True where frames come at the source's own pace and are lost if nobody takes them."""
        return self.kind != "file" or self.loop


def parse(
    uri: str,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    flip: Flip = "none",
    loop: bool = False,
) -> Source:
    """Describe the source behind `uri`; SourceError names the URI and the cure.

    `width`, `height` (pixels, both or neither) and `fps` are for cameras (v4l2, csi); files and streams have their own.
    `loop` is for files: it plays them as if they were cameras.
    """
    shown = redact(uri)
    _check_text(uri, shown)
    _check_options(shown, width, height, fps, flip)
    source = _describe(uri, shown, width, height, fps, flip)
    if source.kind in ("file", "stream") and (width or height or fps):
        raise SourceError(f"{shown}: a {source.kind} has its own size and rate: remove width, height and fps")
    if loop and source.kind != "file":
        raise SourceError(f"{shown}: loop is for files: remove it")
    return replace(source, loop=loop)


def redact(uri: str) -> str:
    """The URI without credentials, fit for a log; hides rather too much than too little."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() in ("file", "v4l2", "csi"):
        return uri
    _, at, address = rest.rpartition("@")
    address, query, _ = address.partition("?")
    address = _SECRET_IN_PATH.sub(r"\1***", address.partition("#")[0])
    return f"{scheme}://{'***@' if at else ''}{address}{'?***' if query else ''}"


def _check_text(uri: str, shown: str) -> None:
    if not uri.strip():
        raise SourceError(f"the source is empty: give {KNOWN_FORMS}")
    if any(ord(character) < 32 or ord(character) == 127 for character in uri):
        raise SourceError(f"{shown!r}: a source holds no control characters: remove them")


def _check_options(shown: str, width: int | None, height: int | None, fps: float | None, flip: str) -> None:
    if (width is None) != (height is None):
        raise SourceError(f"{shown}: give both width and height, or neither")
    for name, value in (("width", width), ("height", height)):
        if value is not None and not 1 <= value <= 16384:
            raise SourceError(f"{shown}: {name} = {value} is out of range: give 1 to 16384 pixels")
    if fps is not None and not 0.1 <= fps <= 1000:
        raise SourceError(f"{shown}: fps = {fps} is out of range: give 0.1 to 1000 frames per second")
    if flip not in _FLIP_METHOD:
        raise SourceError(f"{shown}: flip = {flip!r} is unknown: give one of {', '.join(_FLIP_METHOD)}")


def _describe(uri: str, shown: str, width: int | None, height: int | None, fps: float | None, flip: Flip) -> Source:
    scheme, separator, _ = uri.partition("://")
    scheme = scheme.lower()
    if not separator:
        path = uri
    elif scheme in STREAM_SCHEMES:
        _split_stream(uri, shown)
        return Source("stream", uri, "ffmpeg", shown, flip=flip)
    elif scheme == "csi":
        pipeline = csi_pipeline(_sensor(uri), width, height, fps, flip)
        return Source("csi", pipeline, "gstreamer", shown, width, height, fps)
    elif scheme in ("file", "v4l2"):
        path = _local_path(uri, shown)
    else:
        raise SourceError(f"{shown}: unknown kind of source {scheme!r}: give {KNOWN_FORMS}")
    if scheme == "v4l2" or _VIDEO_DEVICE.fullmatch(path):
        return Source("v4l2", path, "v4l2", shown, width, height, fps, flip)
    if path.isdigit():
        raise SourceError(f"{shown}: a bare number is no source: write /dev/video{path} for that USB camera")
    return Source("file", path, "ffmpeg", shown, flip=flip)


def _local_path(uri: str, shown: str) -> str:
    scheme, _, rest = uri.partition("://")
    if not rest.startswith("/") or rest == "/":
        raise SourceError(f"{shown}: write {scheme}:// and an absolute path, like {scheme.lower()}:///dev/video0")
    return unquote(rest)


def _split_stream(uri: str, shown: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as fault:  # its text may hold the password
        raise SourceError(f"{shown}: not a valid address: percent-encode @ : / in user and password") from fault
    if not parts.hostname:
        raise SourceError(f"{shown}: the host is missing: write {parts.scheme}://host/path")
    if parts.scheme in ("tcp", "udp") and port is None:
        raise SourceError(f"{shown}: the port is missing: write {parts.scheme}://host:port")
    if re.search(r"\s", uri):
        raise SourceError(f"{shown}: an address holds no spaces: write %20")
    return parts


def _sensor(uri: str) -> int:
    number = uri.partition("://")[2]
    if not re.fullmatch(r"\d{1,2}", number, re.ASCII):
        raise SourceError(f"{uri}: name the CSI camera by its number, like csi://0")
    return int(number)


def csi_pipeline(sensor: int, width: int | None, height: int | None, fps: float | None, flip: Flip) -> str:
    """The GStreamer text for a CSI camera of a Jetson: argus source, colours in hardware, newest frame kept.

    Checked as text only: the elements `nvarguscamerasrc` and `nvvidconv` exist on a Jetson and nowhere else.
    """
    width, height = (width, height) if width and height else CSI_SIZE
    rate = rate_fraction(fps or CSI_FPS)
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM), width={width}, height={height}, format=NV12, framerate={rate} ! "
        f"nvvidconv flip-method={_FLIP_METHOD[flip]} ! video/x-raw, format=BGRx ! "
        "videoconvert ! video/x-raw, format=BGR ! appsink drop=true max-buffers=1 sync=false"
    )


def rate_fraction(fps: float) -> str:
    """Frames per second as GStreamer's fraction: 30 -> 30/1, 29.97 -> 2997/100."""
    thousandths = round(fps * 1000)
    divisor = int(np.gcd(thousandths, 1000))
    return f"{thousandths // divisor}/{1000 // divisor}"
