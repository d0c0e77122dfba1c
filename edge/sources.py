"""Sources of frames: a URI and its options become a `Source`; every source yields `Frame`s. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from edge import stream_url
from edge.stream_url import ENCODING, HIDDEN, LOCAL_SCHEMES, SCHEMES, UrlError, is_playlist, looks_like_url

SourceKind = Literal["file", "v4l2", "stream", "csi"]
Flip = Literal["none", "horizontal", "vertical", "both"]
Rotation = Literal[0, 90, 180, 270]
RtspTransport = Literal["tcp", "udp"]  # that carries the video of an RTSP camera
Transport = Literal["auto", "tcp", "udp"]  # as configured
Polygon = tuple[tuple[float, float], ...]  # at least three corners (x, y), 0..1 of the frame's width and height
BgrImage = NDArray[np.uint8]  # (H, W, 3)

TIME_TOLERANCE = 1e-6  # seconds; sums of frame times may fall short by this
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")  # of video files in a folder, in whatever case
KNOWN_FORMS = (
    "a file path, file:///absolute/path, /dev/video0, v4l2:///dev/video0, csi://0, rtsp://host/path "
    "(or rtsps, http, https, tcp, udp)"
)
NO_PLAYLIST = (
    "playlists (HLS, DASH) are not supported, since they may name any other address: give the camera's RTSP or MJPEG "
    "address, or put a server in between that converts it to RTSP"
)

_VLC_RTSP = {"rtspt": "tcp", "rtspu": "udp"}  # schemes of VLC and GStreamer
_VIDEO_DEVICE = re.compile(r"/dev/video\d+|/dev/v4l/by-(id|path)/[^/]+")


class SourceError(ValueError):
    """A URI or an option that describes no source."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of one camera.

    `index` counts from 0 within one run of the camera; the times are in seconds. Of a file both times count from its
    beginning, so that a replay is deterministic; of a live source they are when the frame was received.
    """

    camera: str
    index: int
    unix_time: float
    monotonic_time: float
    image: BgrImage


@dataclass(frozen=True)
class Source:
    """A camera, stream or file, and how its frames are requested and transformed.

    `target` is a path, a URL or a CSI camera's number and may hold credentials: logs and topics show `redacted`.
    `width`, `height` (before rotating) and `fps` are None for the source's own. Frames are flipped, then rotated
    clockwise, then the polygons of `mask` (0..1 of the result) are blackened. A file with `loop` is played in real
    time, over and over. With `transport` `auto` an RTSP camera is asked for `preferred_transport` first, and for the
    other if it refuses. `avoided`: backends that hung, which are tried after all others, in this order.
    """

    kind: SourceKind
    target: str = field(repr=False)
    redacted: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    flip: Flip = "none"
    rotation: Rotation = 0
    loop: bool = False
    mask: tuple[Polygon, ...] = ()
    transport: Transport = "auto"
    preferred_transport: RtspTransport = "tcp"
    avoided: tuple[str, ...] = ()

    @property
    def transports(self) -> tuple[RtspTransport, ...]:
        """The transports to request from an RTSP camera, in this order; meaningless for other sources."""
        if self.target.lower().startswith("rtsps:"):
            return ("tcp",)
        if self.transport != "auto":
            return (self.transport,)
        return ("udp", "tcp") if self.preferred_transport == "udp" else ("tcp", "udp")

    @property
    def live(self) -> bool:
        """Whether frames arrive at the source's own pace and are lost if they are not taken."""
        return self.kind != "file" or self.loop

    @property
    def secret(self) -> bool:
        """Whether `target` holds credentials."""
        return self.kind == "stream" and self.target != self.redacted

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) where both are given."""
        return (self.width, self.height) if self.width and self.height else None


def parse(
    uri: str,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    flip: Flip = "none",
    rotation: Rotation = 0,
    loop: bool = False,
    mask: Sequence[Polygon] = (),
    transport: Transport = "auto",
) -> Source:
    """The source that `uri` and its options describe. Raises SourceError, which names the URI and the remedy.

    `width`, `height` (pixels, both or neither) and `fps` are requested from cameras; frames of streams and of files
    with `loop` are scaled and dropped to match. Files without it give all their frames as they are.
    """
    redacted = redact(uri)
    _check_text(uri, redacted)
    _check_options(redacted, width, height, fps, flip, rotation)
    kind, target = _kind_and_target(uri, redacted)
    for option, fault in option_problems(uri, width, height, fps, loop, transport).items():
        raise SourceError(f"{redacted}: {option} {fault}")
    return Source(kind, target, redacted, width, height, fps, flip, rotation, loop, tuple(mask), transport)


def option_problems(
    uri: str, width: int | None, height: int | None, fps: float | None, loop: bool, transport: Transport
) -> dict[str, str]:
    """All options that do not fit the source or each other, with a message each, by name.

    Raises SourceError where `uri` itself is wrong.
    """
    kind, _ = _kind_and_target(uri, redact(uri))
    faults = {}
    if loop and kind != "file":
        faults["loop"] = "is for files: remove it"
    if transport != "auto" and not uri.lower().startswith(("rtsp:", "rtsps:")):
        faults["transport"] = "is for rtsp:// and rtsps://: remove it"
    elif transport == "udp" and uri.lower().startswith("rtsps:"):
        faults["transport"] = "is TCP alone with rtsps, which encrypts: remove it, or write rtsp://"
    if (width is None) != (height is None):
        given, absent = ("width", "height") if height is None else ("height", "width")
        faults[given] = f"is given without {absent}: give both or neither"
    if kind == "file" and not loop:
        requested = {"width": width, "height": height, "fps": fps}
        own = "is not for a file, which has its own: remove it, or set loop = true"
        faults |= {name: own for name, value in requested.items() if value is not None}
    return faults


def to_json(source: Source) -> str:
    """A source as JSON for another process, credentials included."""
    return json.dumps(asdict(source))


def from_json(text: str | bytes) -> Source:
    """The source that `to_json` wrote."""
    given = json.loads(text)
    return Source(**{**given, "mask": polygons(given["mask"]), "avoided": tuple(given["avoided"])})


def polygons(lists: Sequence[Sequence[Sequence[float]]]) -> tuple[Polygon, ...]:
    """Polygons from JSON's lists."""
    return tuple(tuple((x, y) for x, y in polygon) for polygon in lists)


def is_plain_path(uri: str) -> bool:
    """Whether it is a path: not a URL, nor meant as one, nor a bare number, which `parse` refuses."""
    return not looks_like_url(uri) and not uri.isdigit()


def redact(uri: str) -> str:
    """The URI without credentials, for logs; if in doubt it hides too much."""
    if not looks_like_url(uri):
        return uri
    scheme, _, rest = uri.partition("://")
    if scheme.lower() in LOCAL_SCHEMES:
        return uri if rest.startswith("/") or not set("@:") & set(rest) else f"{scheme}://{HIDDEN}"
    return stream_url.redacted(uri)


def _check_text(uri: str, redacted: str) -> None:
    if not uri.strip():
        raise SourceError(f"the source is empty: give {KNOWN_FORMS}")
    if uri != uri.strip() and looks_like_url(uri):
        raise SourceError(f"{redacted}: an address must not begin or end with a space: remove it")
    if any(ord(character) < 32 or ord(character) == 127 for character in uri):
        raise SourceError(f"{redacted!r}: a source must not contain control characters: remove them")


def _check_options(
    redacted: str, width: int | None, height: int | None, fps: float | None, flip: str, rotation: int
) -> None:
    for name, value in (("width", width), ("height", height)):
        if value is not None and not 1 <= value <= 16384:
            raise SourceError(f"{redacted}: {name} = {value} is out of range: give 1 to 16384 pixels")
    if fps is not None and not 0.1 <= fps <= 1000:
        raise SourceError(f"{redacted}: fps = {fps} is out of range: give 0.1 to 1000 frames per second")
    if flip not in get_args(Flip):
        raise SourceError(f"{redacted}: flip = {flip!r} is unknown: give one of {', '.join(get_args(Flip))}")
    if rotation not in get_args(Rotation):
        raise SourceError(f"{redacted}: rotation = {rotation!r} is unknown: give 0, 90, 180 or 270 degrees clockwise")


def _kind_and_target(uri: str, redacted: str) -> tuple[SourceKind, str]:
    """The kind of source, and the path, URL or number to open."""
    scheme, separator, _ = uri.partition("://")
    scheme = scheme.lower()
    if not separator:
        path = _plain_path(uri, redacted)
    elif scheme in SCHEMES:
        _check_stream(uri, redacted)
        return "stream", uri
    elif scheme == "csi":
        return "csi", str(_sensor(uri, redacted))
    elif scheme in ("file", "v4l2"):
        path = _local_path(uri, redacted)
    else:
        if scheme in _VLC_RTSP and redacted != HIDDEN:
            raise SourceError(f'{redacted}: write rtsp:// and transport = "{_VLC_RTSP[scheme]}"')
        kind = "" if redacted == HIDDEN else f" {scheme!r}"
        raise SourceError(f"{redacted}: unknown kind of source{kind}: give {KNOWN_FORMS}")
    if scheme == "v4l2" or _VIDEO_DEVICE.fullmatch(path):
        return "v4l2", path
    return "file", path


def _plain_path(uri: str, redacted: str) -> str:
    """A path written without a scheme."""
    if uri.isdigit():
        raise SourceError(f"{redacted}: a bare number is not a source: write /dev/video{redacted} for that USB camera")
    if looks_like_url(uri):
        raise SourceError(
            f"{redacted}: a stream begins with its scheme and both slashes, like rtsp://, and a file whose name "
            f"holds : and @ is written ./name; {ENCODING}"
        )
    return uri


def _local_path(uri: str, redacted: str) -> str:
    scheme, _, rest = uri.partition("://")
    if not rest.startswith("/") or rest == "/":
        raise SourceError(f"{redacted}: write {scheme}:// and an absolute path, like {scheme.lower()}:///dev/video0")
    return unquote(rest)


def _check_stream(uri: str, redacted: str) -> None:
    try:
        url = stream_url.read(uri)
    except UrlError as fault:
        raise SourceError(f"{redacted}: {fault}") from None
    if url.scheme.lower() in ("tcp", "udp") and url.port is None:
        raise SourceError(f"{redacted}: the port is missing: write {url.scheme.lower()}://host:port")
    if url.scheme.lower() in ("http", "https") and is_playlist(url.path):
        raise SourceError(f"{redacted}: {NO_PLAYLIST}")


def _sensor(uri: str, redacted: str) -> int:
    number = uri.partition("://")[2]
    if not re.fullmatch(r"\d{1,2}", number, re.ASCII):
        raise SourceError(f"{redacted}: name the CSI camera by its number, like csi://0")
    return int(number)
