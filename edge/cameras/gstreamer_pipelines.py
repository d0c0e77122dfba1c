"""How a source is opened: GStreamer pipelines for the elements at hand, then OpenCV's own ways. Pure.

Everything that names an element of a Jetson (`nvarguscamerasrc`, `nvvidconv`, `nvv4l2decoder`, `nvjpegdec`) is checked
as text only: those elements exist on a Jetson and nowhere else. Their properties are NVIDIA's "Accelerated GStreamer".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote

import numpy as np

from edge.sources import Flip, Rotation, RtspTransport, Source

VideoBackend = Literal["ffmpeg", "v4l2", "gstreamer"]
InstalledElements = Mapping[str, frozenset[str]]  # elements that are installed, with the names of their properties

ELEMENTS = (
    "nvarguscamerasrc", "nvvidconv", "nvv4l2decoder", "nvjpegdec",
    "decodebin", "filesrc", "h264parse", "h265parse", "jpegdec", "rtph264depay", "rtph265depay", "rtspsrc", "v4l2src",
    "videoconvert",
)  # fmt: skip
CSI_SIZE = (1280, 720)
CSI_FPS = 30.0
MIN_RAW_FPS = 25  # a raw rate below is the price of raw pixels over USB: a JPEG camera then gives more
RTSP_LATENCY_MS = 200  # ms that RTP packets may wait for one another
RTSP_TIMEOUT_US = 10_000_000  # µs for the TCP connection

# nvvidconv's flip-method by (flip, rotation). Flipping comes first: a mirror and a turn make a diagonal.
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


@dataclass(frozen=True)
class BackendCandidate:
    """One way to open a source. `target`, which may hold credentials, goes to OpenCV's `backend`.

    `description` names it in logs. `oriented`: the pipeline has already flipped and rotated. `transport` is of RTSP.
    """

    backend: VideoBackend
    target: str = field(repr=False)
    description: str
    oriented: bool = False
    transport: RtspTransport = "tcp"


def candidates(
    source: Source, installed: InstalledElements | None, transport: RtspTransport = "tcp"
) -> tuple[BackendCandidate, ...]:
    """The ways to open a source, best first; `installed` is None where this OpenCV has no GStreamer.

    An RTSP camera is asked for pictures over `transport`.

    Empty where a CSI camera cannot be opened at all: `missing_elements` says why.
    """
    found: tuple[BackendCandidate, ...] = ()
    if installed is not None and not missing_elements(source, installed):
        found = _pipelines(source, installed, transport)
    if source.kind == "csi":
        return found
    backend: VideoBackend = "v4l2" if source.kind == "v4l2" else "ffmpeg"
    names = {"v4l2": "OpenCV's V4L2", "ffmpeg": f"FFmpeg{_over_udp(transport)}"}
    return (*found, BackendCandidate(backend, source.target, names[backend], transport=transport))


def missing_elements(source: Source, installed: InstalledElements) -> tuple[str, ...]:
    """The elements without which GStreamer is not used for this source."""
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
    """Raw pixels where they come fast enough, else JPEG, decoded in hardware where that is, else raw as they come."""
    camera = f"v4l2src device={quoted_value(source.target)}"
    size = f", width={source.width}, height={source.height}" if source.size else ""
    requested = f", framerate={rate_fraction(source.fps)}" if source.fps else ""
    fast_enough = requested or f", framerate=[ {MIN_RAW_FPS}/1, 1000/1 ]"
    raw = [f"{camera} ! video/x-raw{size}{rate} ! {_TO_BGR} ! {_LIVE_SINK}" for rate in (fast_enough, requested)]
    jpeg = f"{camera} ! image/jpeg{size}{requested}"
    found = [BackendCandidate("gstreamer", raw[0], "GStreamer, raw")]
    for decoder, pixels, oriented in _jpeg_decoders(source, installed):
        text = f"{jpeg} ! {decoder} ! {pixels} ! {_LIVE_SINK}"
        found.append(BackendCandidate("gstreamer", text, f"GStreamer, {decoder.split()[0]}", oriented))
    return (*found, BackendCandidate("gstreamer", raw[1], "GStreamer, raw")) if raw[1] != raw[0] else tuple(found)


def _jpeg_decoders(source: Source, installed: InstalledElements) -> list[tuple[str, str, bool]]:
    """Each decoder's text, what makes BGR of its pictures, and whether that turns them."""
    found = []
    if "nvvidconv" in installed and "mjpeg" in installed.get("nvv4l2decoder", ()):
        found.append((_hardware_decoder(installed, mjpeg="true"), *_from_nvmm(source, installed, None)))
    if "nvvidconv" in installed and "nvjpegdec" in installed:
        found.append(("nvjpegdec", *_from_nvmm(source, installed, None)))
    if "jpegdec" in installed:
        found.append(("jpegdec", _TO_BGR, False))
    return found


def is_rtsp(source: Source) -> bool:
    """True for a camera that is asked for its transport."""
    return source.target.lower().startswith(("rtsp://", "rtsps://"))


def _rtsp(source: Source, installed: InstalledElements, transport: RtspTransport) -> tuple[BackendCandidate, ...]:
    """A Jetson's decoder for H.264, then for H.265: the wrong one of the two fails at once. Then any codec in software.

    A camera signs its own certificate: there is nothing to hold it to.
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
            parser = f"rtph{codec}depay ! h{codec}parse ! {_hardware_decoder(installed)}"
            text = f"{video}, encoding-name=H{codec} ! {parser} ! {pixels} ! {_LIVE_SINK}"
            description = f"GStreamer, nvv4l2decoder for H.{codec}{_over_udp(transport)}"
            found.append(BackendCandidate("gstreamer", text, description, oriented, transport))
    software = _software(video, installed)
    return (
        *found,
        *(
            replace(candidate, description=candidate.description + _over_udp(transport), transport=transport)
            for candidate in software
        ),
    )


def _file(source: Source, installed: InstalledElements) -> BackendCandidate:
    """By a Jetson's decoder. Software is FFmpeg's part, which knows more of odd films.

    Flipping and rotating are left to the reader: they come after what the film's orientation asks for.
    """
    converter = element_text("nvvidconv", installed, "", flip_method=0)
    text = (
        f"filesrc location={quoted_value(source.target)} ! decodebin ! {converter} ! video/x-raw, format=BGRx "
        f"! {_TO_BGR} ! {_REALTIME_SINK}"
    )
    return BackendCandidate("gstreamer", text, "GStreamer")


def file_pipeline(path: str) -> str:
    """Every frame of a film, as fast as it is taken: for an OpenCV without FFmpeg."""
    return f"filesrc location={quoted_value(path)} ! decodebin ! {_TO_BGR} ! {_FRAME_SINK}"


def _software(origin: str, installed: InstalledElements) -> tuple[BackendCandidate, ...]:
    if "decodebin" not in installed:
        return ()
    decoder = element_text("decodebin", installed, force_sw_decoders="true")
    return (BackendCandidate("gstreamer", f"{origin} ! {decoder} ! {_TO_BGR} ! {_LIVE_SINK}", "GStreamer, decodebin"),)


def _hardware_decoder(installed: InstalledElements, **optional: str) -> str:
    """JetPack 7 has no `enable-max-performance` any more."""
    return element_text("nvv4l2decoder", installed, "", enable_max_performance="true", **optional)


def _from_nvmm(source: Source, installed: InstalledElements, size: tuple[int, int] | None) -> tuple[str, bool]:
    """From a Jetson's video memory to BGR, turned and scaled in hardware; and whether it is turned."""
    method = FLIP_METHODS[source.flip, source.rotation]
    oriented = "flip-method" in installed["nvvidconv"]
    converter = element_text("nvvidconv", installed, "", flip_method=method)
    width, height = size or (0, 0)
    if oriented and source.rotation in (90, 270):
        width, height = height, width
    scaled = f", width={width}, height={height}" if size else ""
    return f"{converter} ! video/x-raw, format=BGRx{scaled} ! {_TO_BGR}", oriented


def element_text(name: str, installed: InstalledElements, required: str = "", **optional: object) -> str:
    """An element's text: what it needs, and of the wished properties (`_` for `-`) those that it has."""
    names = {key: key.replace("_", "-") for key in optional}
    given = [f"{names[key]}={value}" for key, value in optional.items() if names[key] in installed.get(name, ())]
    return " ".join(filter(None, [name, required, *given]))


def quoted_value(text: str) -> str:
    """A text as a property's value in a pipeline: whatever stands in it begins no other element."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def encoded_url(url: str) -> str:
    """The URL with everything percent-encoded that has no meaning in one."""
    return quote(url, safe="%:/?#[]@!$&'()*+,;=-._~")


def rate_fraction(fps: float) -> str:
    """Frames per second as GStreamer's fraction: 30 -> 30/1, 29.97 -> 2997/100."""
    thousandths = round(fps * 1000)
    divisor = int(np.gcd(thousandths, 1000))
    return f"{thousandths // divisor}/{1000 // divisor}"
