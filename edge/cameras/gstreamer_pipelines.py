"""The backends that may open a source, best first: GStreamer pipelines of installed elements, then OpenCV's own. Pure.

Pipelines with a Jetson's elements (`nvarguscamerasrc`, `nvvidconv`, `nvv4l2decoder`, `nvjpegdec`) are tested as text
only: those elements exist nowhere else. Their properties are from NVIDIA's "Accelerated GStreamer". Every other element
and property is used where it is installed: `h264timestamper` is there from GStreamer 1.22 on (JetPack 7), the
properties `request-keyframe` and `wait-for-keyframe` of `rtph264depay` from 1.20 on (JetPack 6), and none
of `rtph265depay`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote

import numpy as np

from edge.sources import Flip, Rotation, RtspTransport, Source

VideoBackend = Literal["ffmpeg", "v4l2", "gstreamer"]
InstalledElements = Mapping[str, frozenset[str]]  # by element: the names of its properties

ELEMENTS = (
    "nvarguscamerasrc", "nvvidconv", "nvv4l2decoder", "nvjpegdec",
    "decodebin", "filesrc", "h264parse", "h264timestamper", "h265parse", "h265timestamper", "jpegdec", "jpegparse",
    "queue", "rtph264depay", "rtph265depay", "rtspsrc", "v4l2src", "videoconvert",
)  # fmt: skip
MAX_SIZE = (1280, 720)  # pixels, the longer side first, of what a Jetson's hardware hands over where no size is set
CSI_SIZE = (1280, 720)
CSI_FPS = 30.0
MIN_RAW_FPS = 25  # slower raw video is limited by USB: JPEG is then faster
RTSP_LATENCY_MS = 200  # that RTP packets may wait for one another
RTSP_TIMEOUT_US = 10_000_000  # for the TCP connection

# nvvidconv's flip-method by (flip, rotation). Flipping comes first: a mirror and a quarter turn make a diagonal.
_HALF_TURN, _CLOCKWISE, _COUNTER, _MIRROR, _UPSIDE_DOWN, _OTHER_DIAGONAL, _MAIN_DIAGONAL = 2, 3, 1, 4, 6, 5, 7
FLIP_METHODS: dict[tuple[Flip, Rotation], int] = {
    ("none", 0): 0, ("none", 90): _CLOCKWISE, ("none", 180): _HALF_TURN, ("none", 270): _COUNTER,
    ("both", 0): _HALF_TURN, ("both", 90): _COUNTER, ("both", 180): 0, ("both", 270): _CLOCKWISE,
    ("horizontal", 0): _MIRROR, ("horizontal", 90): _OTHER_DIAGONAL,
    ("horizontal", 180): _UPSIDE_DOWN, ("horizontal", 270): _MAIN_DIAGONAL,
    ("vertical", 0): _UPSIDE_DOWN, ("vertical", 90): _MAIN_DIAGONAL,
    ("vertical", 180): _MIRROR, ("vertical", 270): _OTHER_DIAGONAL,
}  # fmt: skip

_LIVE_SINK = "appsink drop=true max-buffers=1 sync=false"
_REALTIME_SINK = "appsink drop=true max-buffers=1 sync=true"
_FRAME_SINK = "appsink drop=false max-buffers=1 sync=false"
_TO_BGR = "videoconvert ! video/x-raw, format=BGR"
_FROM_HARDWARE = "video/x-raw, format=BGRx"


@dataclass(frozen=True)
class BackendCandidate:
    """A backend of OpenCV with what it is to open: `target`, which may hold credentials.

    `description` names it, in logs too; no other candidate of the source has the same. `oriented`: the pipeline flips
    and rotates. `transport` is used for RTSP only. `scalable`: `scaled_down` can have hardware scale its images.
    """

    backend: VideoBackend
    target: str = field(repr=False)
    description: str
    oriented: bool = False
    transport: RtspTransport = "tcp"
    scalable: bool = False


def backend_candidates(
    source: Source, installed: InstalledElements | None, transport: RtspTransport = "tcp"
) -> tuple[BackendCandidate, ...]:
    """The backends that may open a source, best first; none for a CSI camera with `missing_elements`.

    `installed` is None where this OpenCV has no GStreamer. `transport` is the one to request from an RTSP camera.
    """
    found: tuple[BackendCandidate, ...] = ()
    if installed is not None and not missing_elements(source, installed):
        found = _pipelines(source, installed, transport)
    if source.kind == "csi":
        return found
    backend: VideoBackend = "v4l2" if source.kind == "v4l2" else "ffmpeg"
    names = {"v4l2": "OpenCV's V4L2", "ffmpeg": f"FFmpeg{_over_udp(transport)}"}
    return (*found, BackendCandidate(backend, source.target, names[backend], transport=transport))


def in_order(candidates: Iterable[BackendCandidate], avoided: Sequence[str]) -> tuple[BackendCandidate, ...]:
    """The candidates, those last that hung; of these, that first which is named first."""
    places = {name: place for place, name in enumerate(avoided, start=1)}
    return tuple(sorted(candidates, key=lambda candidate: places.get(candidate.description, 0)))


def scaled_down(candidate: BackendCandidate, width: int, height: int) -> BackendCandidate | None:
    """The candidate whose hardware fits images of this size into MAX_SIZE; None where they may stay as they are.

    The shape is kept, to even numbers of pixels. An image that is higher than wide has MAX_SIZE the other way round.
    """
    factor = min(MAX_SIZE[0] / max(width, height), MAX_SIZE[1] / min(width, height))
    if not candidate.scalable or factor >= 1:
        return None
    before, after = candidate.target.rsplit(_FROM_HARDWARE, 1)
    columns, rows = (max(2, 2 * round(side * factor / 2)) for side in (width, height))
    target = f"{before}{_FROM_HARDWARE}, width={columns}, height={rows}{after}"
    return replace(candidate, target=target, scalable=False)


def missing_elements(source: Source, installed: InstalledElements) -> tuple[str, ...]:
    """The elements that GStreamer lacks for this source."""
    required = {
        "csi": ("nvarguscamerasrc", "nvvidconv", "videoconvert"),
        "v4l2": ("v4l2src", "videoconvert"),
        "stream": ("rtspsrc", "videoconvert"),
        "file": ("filesrc", "decodebin", "nvv4l2decoder", "nvvidconv", "videoconvert"),
    }
    return tuple(name for name in required[source.kind] if name not in installed)


def _over_udp(transport: RtspTransport) -> str:
    return " over UDP" if transport == "udp" else ""


def _pipelines(source: Source, installed: InstalledElements, transport: RtspTransport) -> tuple[BackendCandidate, ...]:
    if source.kind == "csi":
        return (_csi(source, installed),)
    if source.kind == "v4l2":
        return _usb(source, installed)
    if source.kind == "file":
        return (_file(source, installed),)
    return _rtsp(source, installed, transport) if is_rtsp(source) else ()


def _csi(source: Source, installed: InstalledElements) -> BackendCandidate:
    width, height = source.size or CSI_SIZE
    pixels, oriented = _from_nvmm(source, installed, None)
    text = (
        f"nvarguscamerasrc sensor-id={source.target} ! video/x-raw(memory:NVMM), width={width}, height={height}, "
        f"format=NV12, framerate={rate_fraction(source.fps or CSI_FPS)} ! {pixels} ! {_LIVE_SINK}"
    )
    return BackendCandidate("gstreamer", text, "GStreamer, nvarguscamerasrc", oriented)


def _usb(source: Source, installed: InstalledElements) -> tuple[BackendCandidate, ...]:
    """Raw video where it is fast enough, else JPEG, decoded in hardware where possible, else raw at any rate."""
    camera = f"v4l2src device={quoted_value(source.target)}"
    size = f", width={source.width}, height={source.height}" if source.size else ""
    requested = f", framerate={rate_fraction(source.fps)}" if source.fps else ""
    fast_enough = requested or f", framerate=[ {MIN_RAW_FPS}/1, 1000/1 ]"
    raw = [f"{camera} ! video/x-raw{size}{rate} ! {_TO_BGR} ! {_LIVE_SINK}" for rate in (fast_enough, requested)]
    jpeg = f"{camera} ! image/jpeg{size}{requested}"
    found = [BackendCandidate("gstreamer", raw[0], "GStreamer, raw")]
    parser = "jpegparse ! " if "jpegparse" in installed else ""  # without it a decoder may see half an image
    for decoder, pixels, oriented in _jpeg_decoders(source, installed):
        text = f"{jpeg} ! {parser}{decoder} ! {pixels} ! {_LIVE_SINK}"
        scalable = _FROM_HARDWARE in pixels and not source.size
        name = f"GStreamer, {decoder.split()[0]}"
        found.append(BackendCandidate("gstreamer", text, name, oriented, scalable=scalable))
    slow = BackendCandidate("gstreamer", raw[1], "GStreamer, raw at any rate")
    return (*found, slow) if raw[1] != raw[0] else tuple(found)


def _jpeg_decoders(source: Source, installed: InstalledElements) -> list[tuple[str, str, bool]]:
    """Each decoder, what converts its output to BGR, and whether that flips and rotates."""
    found = []
    if "nvvidconv" in installed and "mjpeg" in installed.get("nvv4l2decoder", ()):
        found.append((_hardware_decoder(installed, mjpeg="true"), *_from_nvmm(source, installed, None)))
    if "nvvidconv" in installed and "nvjpegdec" in installed:
        found.append(("nvjpegdec", *_from_nvmm(source, installed, None)))
    if "jpegdec" in installed:
        found.append(("jpegdec", _TO_BGR, False))
    return found


def is_rtsp(source: Source) -> bool:
    """Whether it is an RTSP camera, whose transport is negotiated."""
    return source.target.lower().startswith(("rtsp://", "rtsps://"))


def _rtsp(source: Source, installed: InstalledElements, transport: RtspTransport) -> tuple[BackendCandidate, ...]:
    """A Jetson's decoder for H.264, then for H.265 (the wrong one fails at once), then any codec in software.

    Certificates are not verified: cameras sign their own.
    """
    camera = element_text(
        "rtspsrc", installed, f"location={quoted_value(encoded_url(source.target))}", protocols=transport,
        latency=RTSP_LATENCY_MS, tcp_timeout=RTSP_TIMEOUT_US, tls_validation_flags=0,
    )  # fmt: skip
    video = f"{camera} ! application/x-rtp, media=video"
    found = []
    for codec in ("264", "265"):
        if {f"rtph{codec}depay", f"h{codec}parse", "nvv4l2decoder", "nvvidconv"} <= installed.keys():
            pixels, oriented = _from_nvmm(source, installed, source.size)
            decoder = f"{_parsed(codec, installed, transport)}{_hardware_decoder(installed)}"
            text = f"{video}, encoding-name=H{codec} ! {decoder} ! {_leaky_queue(installed)}{pixels} ! {_LIVE_SINK}"
            description = f"GStreamer, nvv4l2decoder for H.{codec}{_over_udp(transport)}"
            scalable = not source.size
            found.append(BackendCandidate("gstreamer", text, description, oriented, transport, scalable))
    software = [
        replace(one, description=one.description + _over_udp(transport), transport=transport)
        for one in _software(video, installed)
    ]
    return (*found, *software)


def _parsed(codec: str, installed: InstalledElements, transport: RtspTransport) -> str:
    """From RTP packets to whole pictures, for a decoder in hardware that enters a stream in its middle.

    It begins with a key frame, which is requested from the camera, and every picture has a decoding time. Where packets
    are lost, only waiting for the next key frame keeps pictures whole; over UDP that would stall a camera whose key
    frames are far apart, so there it goes on.
    """
    waits = {"wait_for_keyframe": "true"} if transport == "tcp" else {}
    depayloader = element_text(f"rtph{codec}depay", installed, request_keyframe="true", **waits)
    timestamper = f"h{codec}timestamper ! " if f"h{codec}timestamper" in installed else ""
    return f"{depayloader} ! h{codec}parse ! {timestamper}"


def _leaky_queue(installed: InstalledElements) -> str:
    """Decouples a decoder from what follows: a picture that comes too early replaces the one that waits."""
    if "leaky" not in installed.get("queue", ()):
        return ""
    queue = element_text("queue", installed, leaky="downstream", max_size_buffers=1, max_size_bytes=0, max_size_time=0)
    return f"{queue} ! "


def _file(source: Source, installed: InstalledElements) -> BackendCandidate:
    """A Jetson's decoder. Software decoding is left to FFmpeg, which copes with more of the unusual files.

    Flipping and rotating are left to the reader: the file's own orientation is applied first.
    """
    converter = element_text("nvvidconv", installed, "", flip_method=0)
    text = (
        f"filesrc location={quoted_value(source.target)} ! decodebin ! {converter} ! video/x-raw, format=BGRx "
        f"! {_TO_BGR} ! {_REALTIME_SINK}"
    )
    return BackendCandidate("gstreamer", text, "GStreamer")


def file_pipeline(path: str) -> str:
    """Every frame of a file, as fast as they are taken: for an OpenCV without FFmpeg."""
    return f"filesrc location={quoted_value(path)} ! decodebin ! {_TO_BGR} ! {_FRAME_SINK}"


def _software(origin: str, installed: InstalledElements) -> tuple[BackendCandidate, ...]:
    if "decodebin" not in installed:
        return ()
    decoder = element_text("decodebin", installed, force_sw_decoders="true")
    text = f"{origin} ! {decoder} ! {_leaky_queue(installed)}{_TO_BGR} ! {_LIVE_SINK}"
    return (BackendCandidate("gstreamer", text, "GStreamer, decodebin"),)


def _hardware_decoder(installed: InstalledElements, **optional: str) -> str:
    """NVIDIA's decoder; JetPack 7 no longer has `enable-max-performance`."""
    return element_text("nvv4l2decoder", installed, "", enable_max_performance="true", **optional)


def _from_nvmm(source: Source, installed: InstalledElements, size: tuple[int, int] | None) -> tuple[str, bool]:
    """From a Jetson's video memory to BGR, oriented and scaled in hardware; and whether it is oriented."""
    method = FLIP_METHODS[source.flip, source.rotation]
    oriented = "flip-method" in installed["nvvidconv"]
    converter = element_text("nvvidconv", installed, "", flip_method=method)
    width, height = size or (0, 0)
    if oriented and source.rotation in (90, 270):
        width, height = height, width
    scaled = f", width={width}, height={height}" if size else ""
    return f"{converter} ! {_FROM_HARDWARE}{scaled} ! {_TO_BGR}", oriented


def element_text(name: str, installed: InstalledElements, required: str = "", **optional: object) -> str:
    """An element with its required text and those of the optional properties (`_` for `-`) that it has."""
    names = {key: key.replace("_", "-") for key in optional}
    given = [f"{names[key]}={value}" for key, value in optional.items() if names[key] in installed.get(name, ())]
    return " ".join(filter(None, [name, required, *given]))


def quoted_value(text: str) -> str:
    """A text quoted as a property's value, so that nothing in it can begin another element."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def encoded_url(url: str) -> str:
    """The URL with every character percent-encoded that is not allowed in one."""
    return quote(url, safe="%:/?#[]@!$&'()*+,;=-._~")


def rate_fraction(fps: float) -> str:
    """Frames per second as GStreamer's fraction: 30 -> 30/1, 29.97 -> 2997/100."""
    thousandths = round(fps * 1000)
    divisor = int(np.gcd(thousandths, 1000))
    return f"{thousandths // divisor}/{1000 // divisor}"
