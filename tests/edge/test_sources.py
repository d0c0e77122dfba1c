import contextlib
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources import SourceError, Transport, from_json, parse, redact, to_json


@pytest.mark.parametrize(
    ("uri", "kind", "target", "live"),
    [
        ("clip.mp4", "file", "clip.mp4", False),
        ("a folder/clip 1.mp4", "file", "a folder/clip 1.mp4", False),
        ("C:clip?.mp4", "file", "C:clip?.mp4", False),
        ("file:///srv/clip.mp4", "file", "/srv/clip.mp4", False),
        ("file:///srv/a%20clip.mp4", "file", "/srv/a clip.mp4", False),
        ("/dev/video0", "v4l2", "/dev/video0", True),
        ("/dev/v4l/by-id/usb-046d_C920-index0", "v4l2", "/dev/v4l/by-id/usb-046d_C920-index0", True),
        ("v4l2:///dev/video12", "v4l2", "/dev/video12", True),
        ("v4l2:///dev/front-door", "v4l2", "/dev/front-door", True),
        ("rtsp://cam/live", "stream", "rtsp://cam/live", True),
        ("RTSP://cam:554/live", "stream", "RTSP://cam:554/live", True),
        ("rtsps://u:p@[::1]:322/x?y=1", "stream", "rtsps://u:p@[::1]:322/x?y=1", True),
        ("http://cam/mjpg", "stream", "http://cam/mjpg", True),
        ("csi://1", "csi", "1", True),
        ("tcp://cam:5000", "stream", "tcp://cam:5000", True),
    ],
)
def test_a_uri_decides_how_it_is_opened(uri: str, kind: str, target: str, live: bool) -> None:
    source = parse(uri)
    assert (source.kind, source.target, source.live) == (kind, target, live)


@pytest.mark.parametrize(
    ("uri", "remedy"),
    [
        ("", "give a file path"),
        ("   ", "give a file path"),
        ("ftp://host/clip.mp4", "unknown kind of source 'ftp'"),
        ("file://clip.mp4", "file:// and an absolute path"),
        ("rtspt://cam/live", 'write rtsp:// and transport = "tcp"'),
        ("rtspu://me:pw@cam/live", 'write rtsp:// and transport = "udp"'),
        ("file:///", "file:// and an absolute path"),
        ("v4l2://video0", "v4l2:// and an absolute path"),
        ("0", "write /dev/video0"),
        ("csi://", "csi://0"),
        ("csi://front", "csi://0"),
        ("csi://0 ! filesink", "csi://0"),
        ("csi://-1", "csi://0"),
        ("rtsp:///live", "host is missing"),
        ("rtsp://cam:port/live", "percent-encode"),
        ("rtsp://cam/my camera", "%20"),
        ("tcp://cam", "port is missing"),
        ("clip\n.mp4", "control characters"),
    ],
)
def test_an_invalid_source_is_refused_with_the_remedy(uri: str, remedy: str) -> None:
    with pytest.raises(SourceError, match=remedy.replace("(", r"\(")) as caught:
        parse(uri)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"width": 640}, "width is given without height"),
        ({"width": 0, "height": 480}, "width = 0"),
        ({"width": 640, "height": 99999}, "height = 99999"),
        ({"fps": 0.0}, "fps = 0.0"),
        ({"fps": math.nan}, "fps = nan"),
        ({"flip": "upside"}, "none, horizontal, vertical, both"),
        ({"rotation": 45}, "give 0, 90, 180 or 270 degrees clockwise"),
        ({"loop": True}, "loop is for files"),
    ],
)
def test_a_wrong_option_is_refused_with_the_remedy(options: dict[str, float], remedy: str) -> None:
    with pytest.raises(SourceError, match=f"^/dev/video0: .*{remedy}"):
        parse("/dev/video0", **options)  # type: ignore[arg-type]


def test_a_file_that_gives_every_frame_has_its_own_size() -> None:
    with pytest.raises(SourceError, match="width is not for a file, which has its own: remove it, or set loop"):
        parse("clip.mp4", width=640, height=480)


@pytest.mark.parametrize(("uri", "loop"), [("clip.mp4", True), ("rtsp://cam/live", False), ("csi://0", False)])
def test_what_is_live_can_be_asked_for_size_and_rate(uri: str, loop: bool) -> None:
    source = parse(uri, width=640, height=480, fps=5, loop=loop)
    assert (source.size, source.fps) == ((640, 480), 5)


def test_a_camera_is_asked_for_size_and_rate() -> None:
    source = parse("/dev/video0", width=640, height=480, fps=15, flip="both")
    assert (source.width, source.height, source.fps, source.flip) == (640, 480, 15, "both")


def test_a_file_can_be_played_as_a_camera() -> None:
    assert parse("clip.mp4", loop=True).live


def test_a_source_goes_to_another_process_and_back() -> None:
    mask = (((0.0, 0.0), (0.5, 0.0), (0.0, 0.5)),)
    for source in (
        parse("rtsp://u:p@cam/live", mask=mask, rotation=90),
        parse("clip.mp4", loop=True),
        parse("csi://0"),
    ):
        assert from_json(to_json(source)) == source


@pytest.mark.parametrize(
    ("uri", "secret"),
    [("rtsp://cam/live", False), ("rtsp://u:p@cam/live", True), ("http://cam/x?key=1", True), ("/srv/a@b.mp4", False)],
)
def test_a_source_knows_whether_it_is_secret(uri: str, secret: bool) -> None:
    assert parse(uri).secret is secret


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("clip@home.mp4", "clip@home.mp4"),
        ("file:///srv/a@b.mp4", "file:///srv/a@b.mp4"),
        ("rtsp://cam/live", "rtsp://cam/live"),
        ("rtsp://admin:s3cret@cam:554/live", "rtsp://***@cam:554/live"),
        ("rtsp://admin:s3c/r@e?t@cam/live", "rtsp://***@cam/live"),
        ("rtsp://cam/live?channel=1&password=s3cret", "rtsp://cam/live?***"),
        ("rtsp://cam/live#s3cret", "rtsp://cam/live"),
        ("rtsp://cam/user=admin&password=s3cret&channel=1/live", "rtsp://cam/user=***/live"),
        ("rtsp://cam/key=s3cret.sdp", "rtsp://cam/key=***"),
    ],
)
def test_redacted_text_holds_no_credentials(uri: str, shown: str) -> None:
    assert redact(uri) == shown


def test_the_password_is_in_the_target_only() -> None:
    source = parse("rtsp://admin:s3cret@cam/live")
    assert "s3cret" in source.target
    assert "s3cret" not in repr(source)
    assert source.redacted == "rtsp://***@cam/live"


def test_an_error_never_contains_the_password() -> None:
    with pytest.raises(SourceError) as caught:
        parse("rtsp://admin:s3c/ret@cam/live")
    assert "s3c" not in str(caught.value)
    assert "percent-encode" in str(caught.value)


@given(st.text())
def test_any_text_is_a_source_or_a_source_error(uri: str) -> None:
    with contextlib.suppress(SourceError):
        assert parse(uri).target


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_no_password_is_shown_whatever_its_characters(password: str) -> None:
    secret = f"<<{password}>>"
    assert secret not in redact(f"rtsp://admin:{secret}@cam/live")


@pytest.mark.parametrize(
    ("uri", "transport", "transports"),
    [
        ("rtsp://cam/live", "auto", ("tcp", "udp")),
        ("rtsp://cam/live", "tcp", ("tcp",)),
        ("RTSP://cam/live", "udp", ("udp",)),
        ("rtsps://cam/live", "auto", ("tcp",)),
    ],
)
def test_what_an_rtsp_camera_is_asked_for(uri: str, transport: Transport, transports: tuple[str, ...]) -> None:
    assert parse(uri, transport=transport).transports == transports


def test_the_last_working_transport_is_tried_first() -> None:
    assert replace(parse("rtsp://cam/live"), preferred_transport="udp").transports == ("udp", "tcp")


@pytest.mark.parametrize(
    ("uri", "transport", "remedy"),
    [
        ("http://cam/live", "udp", "transport is for rtsp://"),
        ("/dev/video0", "tcp", "transport is for rtsp://"),
        ("rtsps://cam/live", "udp", "transport is TCP alone with rtsps"),
    ],
)
def test_a_transport_that_cannot_be_is_refused(uri: str, transport: Transport, remedy: str) -> None:
    with pytest.raises(SourceError, match=remedy):
        parse(uri, transport=transport)
