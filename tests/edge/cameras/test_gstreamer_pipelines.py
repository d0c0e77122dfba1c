import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.gstreamer_pipelines import (
    FLIP_METHODS,
    InstalledElements,
    backend_candidates,
    element_text,
    in_order,
    missing_elements,
    quoted_value,
    rate_fraction,
    scaled_down,
)
from edge.cameras.image_transform import flipped, rotated
from edge.sources import Source, parse

PC: InstalledElements = {
    "decodebin": frozenset({"force-sw-decoders"}),
    "filesrc": frozenset({"location"}),
    "h264parse": frozenset(),
    "h265parse": frozenset(),
    "jpegdec": frozenset(),
    "rtph264depay": frozenset(),
    "rtph265depay": frozenset(),
    "rtspsrc": frozenset({"protocols", "latency", "tcp-timeout", "tls-validation-flags"}),
    "v4l2src": frozenset({"device"}),
    "videoconvert": frozenset(),
}
JETPACK_6: InstalledElements = {
    **PC,
    "nvarguscamerasrc": frozenset({"sensor-id"}),
    "nvvidconv": frozenset({"flip-method"}),
    "nvv4l2decoder": frozenset({"mjpeg", "enable-max-performance"}),
    "nvjpegdec": frozenset(),
}
JETPACK_7: InstalledElements = {**JETPACK_6, "nvv4l2decoder": frozenset({"mjpeg"})}

JETPACK_7_WHOLE: InstalledElements = {  # GStreamer 1.24 with everything that is asked for
    **JETPACK_7,
    "h264timestamper": frozenset(),
    "h265timestamper": frozenset(),
    "jpegparse": frozenset(),
    "queue": frozenset({"leaky", "max-size-buffers", "max-size-bytes", "max-size-time"}),
    "rtph264depay": frozenset({"request-keyframe", "wait-for-keyframe"}),
}
LEAKY = "queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0"

BGR = "videoconvert ! video/x-raw, format=BGR"
LIVE = "appsink drop=true max-buffers=1 sync=false"
VIDEO_SINK = "appsink drop=true max-buffers=1 sync=true"
NVIDIA_BGR = f"nvvidconv flip-method=0 ! video/x-raw, format=BGRx ! {BGR}"
RTSP = (
    'rtspsrc location="rtsp://u:p@cam/x" protocols=tcp latency=200 tcp-timeout=10000000 tls-validation-flags=0 '
    "! application/x-rtp, media=video"
)
USB = 'v4l2src device="/dev/video0"'
LIVELY = "framerate=[ 25/1, 1000/1 ]"


def texts(source: Source, known: InstalledElements | None) -> list[str]:
    return [opening.target for opening in backend_candidates(source, known)]


@pytest.mark.parametrize(
    ("source", "known", "expected"),
    [
        # Without GStreamer.
        (parse("rtsp://u:p@cam/x"), None, ["rtsp://u:p@cam/x"]),
        (parse("/dev/video0"), None, ["/dev/video0"]),
        (parse("/a.mp4", loop=True), None, ["/a.mp4"]),
        (parse("csi://0"), None, []),
        # On a PC.
        (
            parse("rtsp://u:p@cam/x"),
            PC,
            [f"{RTSP} ! decodebin force-sw-decoders=true ! {BGR} ! {LIVE}", "rtsp://u:p@cam/x"],
        ),
        (
            parse("/a.mp4", loop=True),
            PC,
            ["/a.mp4"],  # FFmpeg copes with more unusual files
        ),
        (
            parse("/dev/video0"),
            PC,
            [
                f"{USB} ! video/x-raw, {LIVELY} ! {BGR} ! {LIVE}",
                f"{USB} ! image/jpeg ! jpegdec ! {BGR} ! {LIVE}",
                f"{USB} ! video/x-raw ! {BGR} ! {LIVE}",
                "/dev/video0",
            ],
        ),
        (
            parse("/dev/video0", width=640, height=480, fps=15),
            PC,
            [
                f"{USB} ! video/x-raw, width=640, height=480, framerate=15/1 ! {BGR} ! {LIVE}",
                f"{USB} ! image/jpeg, width=640, height=480, framerate=15/1 ! jpegdec ! {BGR} ! {LIVE}",
                "/dev/video0",
            ],
        ),
        (parse("csi://0"), PC, []),
        (parse("http://cam/x"), PC, ["http://cam/x"]),
        # On a Jetson.
        (
            parse("csi://1", width=1920, height=1080, fps=29.97, flip="both"),
            JETPACK_6,
            [
                "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM), width=1920, height=1080, format=NV12, "
                f"framerate=2997/100 ! nvvidconv flip-method=2 ! video/x-raw, format=BGRx ! {BGR} ! {LIVE}"
            ],
        ),
        (
            parse("csi://0"),
            JETPACK_7,
            [
                "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM), width=1280, height=720, format=NV12, "
                f"framerate=30/1 ! {NVIDIA_BGR} ! {LIVE}"
            ],
        ),
        (
            parse("rtsp://u:p@cam/x", width=640, height=360, rotation=90),
            JETPACK_6,
            [
                f"{RTSP}, encoding-name=H264 ! rtph264depay ! h264parse ! nvv4l2decoder enable-max-performance=true "
                f"! nvvidconv flip-method=3 ! video/x-raw, format=BGRx, width=360, height=640 ! {BGR} ! {LIVE}",
                f"{RTSP}, encoding-name=H265 ! rtph265depay ! h265parse ! nvv4l2decoder enable-max-performance=true "
                f"! nvvidconv flip-method=3 ! video/x-raw, format=BGRx, width=360, height=640 ! {BGR} ! {LIVE}",
                f"{RTSP} ! decodebin force-sw-decoders=true ! {BGR} ! {LIVE}",
                "rtsp://u:p@cam/x",
            ],
        ),
        (
            parse("/a.mp4", loop=True),
            JETPACK_7,
            [
                f'filesrc location="/a.mp4" ! decodebin ! {NVIDIA_BGR} ! {VIDEO_SINK}',
                "/a.mp4",
            ],
        ),
        (
            parse("/dev/video0"),
            JETPACK_7,
            [
                f"{USB} ! video/x-raw, {LIVELY} ! {BGR} ! {LIVE}",
                f"{USB} ! image/jpeg ! nvv4l2decoder mjpeg=true ! {NVIDIA_BGR} ! {LIVE}",
                f"{USB} ! image/jpeg ! nvjpegdec ! {NVIDIA_BGR} ! {LIVE}",
                f"{USB} ! image/jpeg ! jpegdec ! {BGR} ! {LIVE}",
                f"{USB} ! video/x-raw ! {BGR} ! {LIVE}",
                "/dev/video0",
            ],
        ),
    ],
)
def test_the_candidates_for_a_source(source: Source, known: InstalledElements | None, expected: list[str]) -> None:
    assert texts(source, known) == expected


def test_what_hardware_turns_is_marked() -> None:
    source = parse("rtsp://cam/x", flip="vertical")
    assert [opening.oriented for opening in backend_candidates(source, JETPACK_6)] == [True, True, False, False]
    old = {**JETPACK_6, "nvvidconv": frozenset[str]()}
    assert [opening.oriented for opening in backend_candidates(source, old)] == [False, False, False, False]
    assert "flip-method" not in texts(source, old)[0]


def test_max_performance_is_asked_of_the_jetpack_that_has_it() -> None:
    source = parse("rtsp://cam/x")
    assert "nvv4l2decoder enable-max-performance=true !" in texts(source, JETPACK_6)[0]
    assert "nvv4l2decoder !" in texts(source, JETPACK_7)[0]


def test_missing_elements_are_named() -> None:
    assert missing_elements(parse("csi://0"), PC) == ("nvarguscamerasrc", "nvvidconv")
    assert missing_elements(parse("csi://0"), JETPACK_7) == ()
    assert missing_elements(parse("/dev/video0"), {}) == ("v4l2src", "videoconvert")
    assert texts(parse("rtsp://cam/x"), {}) == ["rtsp://cam/x"]


# What NVIDIA's flip-methods do, by their names: 1 counterclockwise, 2 rotate-180, 3 clockwise, 4 horizontal-flip,
# 5 upper-right-diagonal, 6 vertical-flip, 7 upper-left-diagonal.
METHODS = {
    0: lambda a: a,
    1: lambda a: np.rot90(a, 1),
    2: lambda a: np.rot90(a, 2),
    3: lambda a: np.rot90(a, -1),
    4: np.fliplr,
    5: lambda a: np.rot90(a.T, 2),
    6: np.flipud,
    7: np.transpose,
}


@pytest.mark.parametrize(("flip", "rotation"), FLIP_METHODS)
def test_the_hardware_rotates_as_the_reader_does(flip: str, rotation: int) -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    by_reader = rotated(flipped(picture, flip), rotation)  # type: ignore[arg-type]
    by_hardware = METHODS[FLIP_METHODS[flip, rotation]](picture)  # type: ignore[index,operator]
    assert by_reader.tolist() == by_hardware.tolist()


def test_every_turn_has_its_method() -> None:
    assert len(FLIP_METHODS) == 4 * 4


def test_an_element_gets_only_the_properties_that_it_has() -> None:
    assert element_text("a", {"a": frozenset({"the-one"})}, "must=1", the_one=2, other=3) == "a must=1 the-one=2"
    assert element_text("a", {}) == "a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("/a b.mp4", '"/a b.mp4"'), ('/a"b', '"/a\\"b"'), ("/a\\b", '"/a\\\\b"'), ("/a ! filesink", '"/a ! filesink"')],
)
def test_quoted(text: str, expected: str) -> None:
    assert quoted_value(text) == expected


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_no_password_ends_the_quotes_of_a_pipeline(password: str) -> None:
    try:
        source = parse(f"rtsp://u:{password}@cam/x")
    except ValueError:
        return
    text = texts(source, PC)[0]
    location = text[len('rtspsrc location="') :].split('"')[0]
    assert location.startswith("rtsp://u:")
    assert text == f'rtspsrc location="{location}"' + RTSP.split('"', 2)[2] + text.split("media=video", 1)[1]
    assert " " not in location


@pytest.mark.parametrize(
    ("fps", "fraction"),
    [(30, "30/1"), (12.5, "25/2"), (29.97, "2997/100"), (0.1, "1/10"), (59.94, "2997/50")],
)
def test_rate_fraction(fps: float, fraction: str) -> None:
    assert rate_fraction(fps) == fraction


def test_backend_candidates_show_no_credentials() -> None:
    assert "u:p" not in repr(backend_candidates(parse("rtsp://u:p@cam/x"), PC))


@pytest.mark.parametrize("known", [PC, JETPACK_6, None])
def test_over_udp_every_candidate_uses_udp(known: InstalledElements | None) -> None:
    found = backend_candidates(parse("rtsp://u:p@cam/x"), known, "udp")
    assert all(candidate.transport == "udp" and candidate.description.endswith(" over UDP") for candidate in found)
    assert all("protocols=udp" in candidate.target for candidate in found if candidate.backend == "gstreamer")


def test_a_decoder_in_hardware_enters_a_stream_in_its_middle() -> None:
    assert texts(parse("rtsp://u:p@cam/x"), JETPACK_7_WHOLE) == [
        f"{RTSP}, encoding-name=H264 ! rtph264depay request-keyframe=true wait-for-keyframe=true ! h264parse "
        f"! h264timestamper ! nvv4l2decoder ! {LEAKY} ! {NVIDIA_BGR} ! {LIVE}",
        f"{RTSP}, encoding-name=H265 ! rtph265depay ! h265parse ! h265timestamper ! nvv4l2decoder ! {LEAKY} "
        f"! {NVIDIA_BGR} ! {LIVE}",
        f"{RTSP} ! decodebin force-sw-decoders=true ! {LEAKY} ! {BGR} ! {LIVE}",
        "rtsp://u:p@cam/x",
    ]


def test_over_udp_nothing_waits_for_a_key_frame_after_a_loss() -> None:
    text = backend_candidates(parse("rtsp://cam/x"), JETPACK_7_WHOLE, "udp")[0].target
    assert "rtph264depay request-keyframe=true ! h264parse" in text


def test_every_jpeg_decoder_gets_whole_images() -> None:
    jpeg = [text for text in texts(parse("/dev/video0"), JETPACK_7_WHOLE) if "image/jpeg" in text]
    assert [text.split(" ! ")[2:4] for text in jpeg] == [
        ["jpegparse", "nvv4l2decoder mjpeg=true"],
        ["jpegparse", "nvjpegdec"],
        ["jpegparse", "jpegdec"],
    ]


@pytest.mark.parametrize("uri", ["rtsp://cam/x", "/dev/video0", "csi://0"])
def test_no_two_candidates_have_the_same_name(uri: str) -> None:
    names = [candidate.description for candidate in backend_candidates(parse(uri), JETPACK_7_WHOLE)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3840, 2160), "width=1280, height=720"),
        ((1920, 1080), "width=1280, height=720"),
        ((2592, 1944), "width=960, height=720"),  # 4:3 keeps its shape: 1944 -> 720, 2592 · 720 / 1944
        ((1080, 1920), "width=720, height=1280"),  # upright
        ((5120, 1440), "width=1280, height=360"),  # two cameras side by side
        ((20000, 2), "width=1280, height=2"),
        ((1280, 720), None),
        ((640, 480), None),
    ],
)
def test_hardware_fits_large_images_and_keeps_their_shape(size: tuple[int, int], expected: str | None) -> None:
    first = backend_candidates(parse("rtsp://cam/x"), JETPACK_7_WHOLE)[0]
    smaller = scaled_down(first, *size)
    assert (smaller is None) == (expected is None)
    if smaller is not None:
        assert f"! video/x-raw, format=BGRx, {expected} ! videoconvert" in smaller.target
        assert smaller.description == first.description
        assert scaled_down(smaller, *size) is None  # once is enough


@pytest.mark.parametrize(
    "source", [parse("rtsp://cam/x", width=3840, height=2160), parse("csi://0"), parse("/a.mp4", loop=True)]
)
def test_a_size_that_is_set_takes_precedence_and_files_stay_as_they_are(source: Source) -> None:
    assert not any(candidate.scalable for candidate in backend_candidates(source, JETPACK_7_WHOLE))


def test_only_hardware_scales() -> None:
    scalable = [one.description for one in backend_candidates(parse("rtsp://cam/x"), JETPACK_7_WHOLE) if one.scalable]
    assert scalable == ["GStreamer, nvv4l2decoder for H.264", "GStreamer, nvv4l2decoder for H.265"]


def test_what_hung_is_tried_last_the_longest_ago_first() -> None:
    found = backend_candidates(parse("rtsp://cam/x"), JETPACK_7_WHOLE)
    first, second, third, last = (candidate.description for candidate in found)
    assert [one.description for one in in_order(found, (third, first))] == [second, last, third, first]
    assert in_order(found, ("of another JetPack",)) == found
