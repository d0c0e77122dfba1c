"""How a source is opened: GStreamer pipelines for the elements at hand, then OpenCV's own ways. Pure.

Everything that names an element of a Jetson (`nvarguscamerasrc`, `nvvidconv`, `nvv4l2decoder`, `nvjpegdec`) is checked
as text only: those elements exist on a Jetson and nowhere else. Their properties are NVIDIA's "Accelerated GStreamer".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote

import numpy as np

from edge.sources import Carrier, Flip, Rotation, Source

Backend = Literal["ffmpeg", "v4l2", "gstreamer"]
Known = Mapping[str, frozenset[str]]  # elements that are installed, with the names of their properties

ELEMENTS = (
    "nvarguscamerasrc", "nvvidconv", "nvv4l2decoder", "nvjpegdec",
    "decodebin", "filesrc", "h264parse", "h265parse", "jpegdec", "rtph264depay", "rtph265depay", "rtspsrc", "v4l2src",
    "videoconvert",
)  # fmt: skip
CSI_SIZE = (1280, 720)
CSI_FPS = 30.0
LIVELY_FPS = 25  # a raw rate below is the price of raw pixels over USB: a JPEG camera then gives more
RTSP_LATENCY = 200  # ms that RTP packets may wait for one another
RTSP_PATIENCE = 10_000_000  # µs for the TCP connection

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
_FILM_SINK = "appsink drop=true max-buffers=1 sync=true"
_FRAME_SINK = "appsink drop=false max-buffers=1 sync=false"
_TO_BGR = "videoconvert ! video/x-raw, format=BGR"


@dataclass(frozen=True)
class Opening:
    """One way to open a source. `target`, which may hold credentials, goes to OpenCV's `backend`.

    `through` names it in logs. `turned` is True where the pipeline has flipped and rotated. `carrier` is of RTSP.
    """

    backend: Backend
    target: str = field(repr=False)
    through: str
    turned: bool = False
    carrier: Carrier = "tcp"


def openings(source: Source, known: Known | None, carrier: Carrier = "tcp") -> tuple[Opening, ...]:
    """The ways to open a source, best first; `known` is None where this OpenCV has no GStreamer.

    An RTSP camera is asked for pictures over `carrier`.

    Empty where a CSI camera cannot be opened at all: `missing` says why.
    """
    found: tuple[Opening, ...] = ()
    if known is not None and not missing(source, known):
        found = _pipelines(source, known, carrier)
    if source.kind == "csi":
        return found
    backend: Backend = "v4l2" if source.kind == "v4l2" else "ffmpeg"
    names = {"v4l2": "OpenCV's V4L2", "ffmpeg": f"FFmpeg{_over(carrier)}"}
    return (*found, Opening(backend, source.target, names[backend], carrier=carrier))


def missing(source: Source, known: Known) -> tuple[str, ...]:
    """The elements without which GStreamer is not used for this source."""
    needed = {
        "csi": ("nvarguscamerasrc", "nvvidconv", "videoconvert"),
        "v4l2": ("v4l2src", "videoconvert"),
        "stream": ("rtspsrc", "videoconvert"),
        "file": ("filesrc", "decodebin", "nvv4l2decoder", "nvvidconv", "videoconvert"),
    }
    return tuple(name for name in needed[source.kind] if name not in known)


def _over(carrier: Carrier) -> str:
    return " over UDP" if carrier == "udp" else ""


def _pipelines(source: Source, known: Known, carrier: Carrier) -> tuple[Opening, ...]:
    if source.kind == "csi":
        return (_csi(source, known),)
    if source.kind == "v4l2":
        return _usb(source, known)
    if source.kind == "file":
        return (_film(source, known),)
    return _rtsp(source, known, carrier) if is_rtsp(source) else ()


def _csi(source: Source, known: Known) -> Opening:
    width, height = source.size or CSI_SIZE
    pixels, turned = _from_nvmm(source, known, None)
    text = (
        f"nvarguscamerasrc sensor-id={source.target} ! video/x-raw(memory:NVMM), width={width}, height={height}, "
        f"format=NV12, framerate={rate_fraction(source.fps or CSI_FPS)} ! {pixels} ! {_LIVE_SINK}"
    )
    return Opening("gstreamer", text, "GStreamer, nvarguscamerasrc", turned)


def _usb(source: Source, known: Known) -> tuple[Opening, ...]:
    """Raw pixels where they come fast enough, else JPEG, decoded in hardware where that is, else raw as they come."""
    camera = f"v4l2src device={quoted(source.target)}"
    size = f", width={source.width}, height={source.height}" if source.size else ""
    asked = f", framerate={rate_fraction(source.fps)}" if source.fps else ""
    lively = asked or f", framerate=[ {LIVELY_FPS}/1, 1000/1 ]"
    raw = [f"{camera} ! video/x-raw{size}{rate} ! {_TO_BGR} ! {_LIVE_SINK}" for rate in (lively, asked)]
    jpeg = f"{camera} ! image/jpeg{size}{asked}"
    found = [Opening("gstreamer", raw[0], "GStreamer, raw")]
    for decoder, pixels, turned in _jpeg_decoders(source, known):
        text = f"{jpeg} ! {decoder} ! {pixels} ! {_LIVE_SINK}"
        found.append(Opening("gstreamer", text, f"GStreamer, {decoder.split()[0]}", turned))
    return (*found, Opening("gstreamer", raw[1], "GStreamer, raw")) if raw[1] != raw[0] else tuple(found)


def _jpeg_decoders(source: Source, known: Known) -> list[tuple[str, str, bool]]:
    """Each decoder's text, what makes BGR of its pictures, and whether that turns them."""
    found = []
    if "nvvidconv" in known and "mjpeg" in known.get("nvv4l2decoder", ()):
        found.append((_hardware_decoder(known, mjpeg="true"), *_from_nvmm(source, known, None)))
    if "nvvidconv" in known and "nvjpegdec" in known:
        found.append(("nvjpegdec", *_from_nvmm(source, known, None)))
    if "jpegdec" in known:
        found.append(("jpegdec", _TO_BGR, False))
    return found


def is_rtsp(source: Source) -> bool:
    """True for a camera that is asked for its transport."""
    return source.target.lower().startswith(("rtsp://", "rtsps://"))


def _rtsp(source: Source, known: Known, carrier: Carrier) -> tuple[Opening, ...]:
    """A Jetson's decoder for H.264, then for H.265: the wrong one of the two fails at once. Then any codec in software.

    A camera signs its own certificate: there is nothing to hold it to.
    """
    camera = element(
        "rtspsrc", known, f"location={quoted(plain_url(source.target))}", protocols=carrier, latency=RTSP_LATENCY,
        tcp_timeout=RTSP_PATIENCE, tls_validation_flags=0,
    )  # fmt: skip
    video = f"{camera} ! application/x-rtp, media=video"
    found = []
    for codec in ("264", "265"):
        if {f"rtph{codec}depay", f"h{codec}parse", "nvv4l2decoder", "nvvidconv"} <= known.keys():
            pixels, turned = _from_nvmm(source, known, source.size)
            parser = f"rtph{codec}depay ! h{codec}parse ! {_hardware_decoder(known)}"
            text = f"{video}, encoding-name=H{codec} ! {parser} ! {pixels} ! {_LIVE_SINK}"
            through = f"GStreamer, nvv4l2decoder for H.{codec}{_over(carrier)}"
            found.append(Opening("gstreamer", text, through, turned, carrier))
    software = _in_software(video, known)
    return (*found, *(replace(way, through=way.through + _over(carrier), carrier=carrier) for way in software))


def _film(source: Source, known: Known) -> Opening:
    """By a Jetson's decoder. Software is FFmpeg's part, which knows more of odd films.

    Flipping and rotating are left to the reader: they come after what the film's orientation asks for.
    """
    converter = element("nvvidconv", known, "", flip_method=0)
    text = (
        f"filesrc location={quoted(source.target)} ! decodebin ! {converter} ! video/x-raw, format=BGRx ! {_TO_BGR} "
        f"! {_FILM_SINK}"
    )
    return Opening("gstreamer", text, "GStreamer")


def film_pipeline(path: str) -> str:
    """Every frame of a film, as fast as it is taken: for an OpenCV without FFmpeg."""
    return f"filesrc location={quoted(path)} ! decodebin ! {_TO_BGR} ! {_FRAME_SINK}"


def _in_software(origin: str, known: Known) -> tuple[Opening, ...]:
    if "decodebin" not in known:
        return ()
    decoder = element("decodebin", known, force_sw_decoders="true")
    return (Opening("gstreamer", f"{origin} ! {decoder} ! {_TO_BGR} ! {_LIVE_SINK}", "GStreamer, decodebin"),)


def _hardware_decoder(known: Known, **wished: str) -> str:
    """JetPack 7 has no `enable-max-performance` any more."""
    return element("nvv4l2decoder", known, "", enable_max_performance="true", **wished)


def _from_nvmm(source: Source, known: Known, size: tuple[int, int] | None) -> tuple[str, bool]:
    """From a Jetson's video memory to BGR, turned and scaled in hardware; and whether it is turned."""
    method = FLIP_METHODS[source.flip, source.rotation]
    turned = "flip-method" in known["nvvidconv"]
    converter = element("nvvidconv", known, "", flip_method=method)
    width, height = size or (0, 0)
    if turned and source.rotation in (90, 270):
        width, height = height, width
    scaled = f", width={width}, height={height}" if size else ""
    return f"{converter} ! video/x-raw, format=BGRx{scaled} ! {_TO_BGR}", turned


def element(name: str, known: Known, needed: str = "", **wished: object) -> str:
    """An element's text: what it needs, and of the wished properties (`_` for `-`) those that it has."""
    names = {key: key.replace("_", "-") for key in wished}
    given = [f"{names[key]}={value}" for key, value in wished.items() if names[key] in known.get(name, ())]
    return " ".join(filter(None, [name, needed, *given]))


def quoted(text: str) -> str:
    """A text as a property's value in a pipeline: whatever stands in it begins no other element."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def plain_url(url: str) -> str:
    """The URL with everything percent-encoded that has no meaning in one."""
    return quote(url, safe="%:/?#[]@!$&'()*+,;=-._~")


def rate_fraction(fps: float) -> str:
    """Frames per second as GStreamer's fraction: 30 -> 30/1, 29.97 -> 2997/100."""
    thousandths = round(fps * 1000)
    divisor = int(np.gcd(thousandths, 1000))
    return f"{thousandths // divisor}/{1000 // divisor}"
