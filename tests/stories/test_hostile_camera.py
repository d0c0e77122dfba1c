"""What a hostile camera can do; docs/security.md names these tests."""

import itertools
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.cameras.capture_process import PROGRAM
from edge.cameras.ffmpeg_options import NETWORK_PROTOCOLS, VIDEO_DEMUXERS, ffmpeg_options
from edge.cameras.image_transform import MAX_PIXELS
from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.cameras.memory_limits import FIRST_IMAGE_BYTES
from edge.sources import parse
from tests.support import system_gstreamer
from tests.support.hostile_camera import HEAD, document, endless_unit, hostile, is_red, jpeg, part, red_video
from tests.support.live_cameras import ROOT, alive, always, first_frame, watch_until

QUICK = LiveSettings(stall_seconds=1.5, open_seconds=4, min_retry=0.05, max_retry=0.2)
MEBIBYTE = 1 << 20


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return red_video(tmp_path / "secret.ts")


def playlists(video: Path) -> dict[str, tuple[str, bytes]]:
    """By path: what a camera may answer in order to have a file of ours played."""
    segment = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{video}\n#EXT-X-ENDLIST\n"
    dash = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT3S"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>file://{video}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "/live.m3u8": ("application/vnd.apple.mpegurl", segment.encode()),
        "/crypto.m3u8": ("application/vnd.apple.mpegurl", segment.replace("file:", "crypto+file:").encode()),
        "/live.ffconcat": ("text/plain", f"ffconcat version 1.0\nfile '{video}'\n".encode()),
        "/named.ffconcat": ("text/plain", f"ffconcat version 1.0\nfile 'file:{video}'\n".encode()),
        "/live.mpd": ("application/dash+xml", dash.encode()),
        "/live.sdp": ("application/sdp", f"v=0\r\nm=video 0 RTP/AVP 33\r\na=control:file://{video}\r\n".encode()),
    }


def lost(camera: LiveCamera) -> str:
    """Wait until a camera has been given up once; why."""
    reds = []

    def given_up() -> bool:
        frame = camera.newest(0.05)
        if frame is not None:
            reds.append(is_red(frame))
        return bool(reds) or bool(camera.reason)

    watch_until(camera, given_up)
    assert not any(reds), "the camera made us play a file of ours"
    assert camera.state == "offline"
    return camera.reason


@pytest.mark.parametrize("scheme", ["http", "tcp"])
@pytest.mark.parametrize("path", list(playlists(Path())))
def test_a_playlist_of_a_camera_opens_no_file_of_ours(scheme: str, path: str, video: Path) -> None:
    """Without the list of protocols, tcp://.../live.m3u8 plays the video."""
    kind, content = playlists(video)[path]

    def answer(client: socket.socket, _: str) -> None:
        client.sendall(document(content, kind) if scheme == "http" else content)

    with hostile(answer, speaks_first=scheme == "tcp") as server:
        source = replace(parse(f"{scheme}://{server.address}/"), target=f"{scheme}://{server.address}{path}")
        with LiveCamera("door", source, QUICK, always(0.5)) as camera:
            assert lost(camera)


def test_the_playlist_is_one_that_plays_where_it_may(video: Path, tmp_path: Path) -> None:
    """So that the tests above could fail."""
    import cv2

    playlist = tmp_path / "live.m3u8"
    playlist.write_bytes(playlists(video)["/live.m3u8"][1])
    capture = cv2.VideoCapture(str(playlist), cv2.CAP_FFMPEG)
    assert capture.read()[0]
    capture.release()


@pytest.mark.parametrize(
    "target", ["file://{video}", "{video}", "concat:{video}", "data:video/mp2t,x", "ftp://127.0.0.1/x"]
)
def test_a_redirection_leads_to_no_file(target: str, video: Path) -> None:
    location = target.format(video=video)

    def redirect(client: socket.socket, _: str) -> None:
        client.sendall(f"HTTP/1.0 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    with (
        hostile(redirect) as server,
        LiveCamera("door", parse(f"http://{server.address}/live"), QUICK, always(0.5)) as camera,
    ):
        assert lost(camera)
        assert server.asked


def test_a_redirection_of_rtsp_leads_to_no_file(video: Path) -> None:
    def redirect(client: socket.socket, _: str) -> None:
        client.sendall(f"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: file://{video}\r\n\r\n".encode())

    with (
        hostile(redirect) as server,
        LiveCamera("door", parse(f"rtsp://{server.address}/live"), QUICK, always(0.5)) as camera,
    ):
        assert lost(camera)
        assert server.asked


def test_ffmpeg_may_use_the_network_only_except_for_a_file() -> None:
    assert "file" not in NETWORK_PROTOCOLS.split(",")
    assert not {"concat", "subfile", "pipe", "fd", "unix", "cache", "async"} & set(NETWORK_PROTOCOLS.split(","))
    for transport in ("tcp", "udp"):
        whitelists = f"protocol_whitelist;{NETWORK_PROTOCOLS}|format_whitelist;{VIDEO_DEMUXERS}"
        assert ffmpeg_options("stream", transport) == f"rtsp_transport;{transport}|{whitelists}"
    assert ffmpeg_options("file") == "protocol_whitelist;file"


def test_ffmpeg_reads_no_lists_of_a_camera() -> None:
    assert not {"hls", "dash", "concat", "sdp", "image2", "imf", "webm_dash_manifest", "ffmetadata"} & set(
        VIDEO_DEMUXERS.split(",")
    )


def parts(*pictures: bytes) -> Iterator[bytes]:
    return itertools.cycle([part(picture) for picture in pictures])


def why_refused(picture: bytes) -> str:
    """Why a camera is given up that sends this picture again and again; not one of them is captured."""

    def send(client: socket.socket, _: str) -> None:
        client.sendall(HEAD)
        for piece in parts(picture):
            client.sendall(piece)

    with (
        hostile(send) as server,
        LiveCamera("door", parse(f"http://{server.address}/live"), LiveSettings(), always(0.5)) as camera,
    ):
        reason = lost(camera)
        assert camera.counts().captured == 0
    return reason


def test_an_image_that_would_fill_the_memory_is_refused() -> None:
    """1 MiB of JPEG would be 200 MiB of pixels, and three times that in shared memory and ours."""
    side = 8224
    assert side * side > MAX_PIXELS
    bomb = jpeg(side, side)
    assert len(bomb) < 2 * MEBIBYTE
    most = "64 million pixels with at most 16384 in width and height are the most"
    assert f"sends pictures of 8224x8224, and {most}" in why_refused(bomb)


@pytest.mark.parametrize(("width", "height"), [(40000, 16), (16, 40000)])
def test_an_image_with_an_endless_side_is_refused(width: int, height: int) -> None:
    """Below the limit of pixels, and above what OpenCV can warp."""
    assert f"sends pictures of {width}x{height}" in why_refused(jpeg(width, height))


def test_a_camera_may_change_its_size_with_every_frame() -> None:
    sizes = [(64, 48), (1920, 1080), (16, 16), (640, 8), (8, 640)]

    def send(client: socket.socket, _: str) -> None:
        client.sendall(HEAD)
        for number in itertools.count():
            client.sendall(part(jpeg(*sizes[number % len(sizes)], value=number % 250)))

    with (
        hostile(send) as server,
        LiveCamera("door", parse(f"http://{server.address}/live"), QUICK, always(0.5)) as camera,
    ):
        frames = [first_frame(camera) for _ in range(30)]
    assert all(frame.image.ndim == 3 and frame.image.shape[2] == 3 and frame.image.size for frame in frames)


PICTURE = b"--frame\r\nContent-Type: image/jpeg\r\n"
MOST_TAKEN = 250 * MEBIBYTE  # a process takes 60 MiB, and one block of FFmpeg's 80 at most, which is copied as it grows


@pytest.mark.parametrize(
    ("before", "endless"),
    [
        (HEAD.removesuffix(b"\r\n"), b"X-Header: and so on\r\n"),
        (HEAD.removesuffix(b"\r\n"), b"A" * 65_536),
        (HEAD, PICTURE),
        (HEAD, b"\0" * 65_536),
        (HEAD + PICTURE + b"\r\n\xff\xd8", b"A" * 65_536),
        (HEAD + PICTURE + b"Content-Length: 2000000000\r\n\r\n\xff\xd8", b"A" * 65_536),
        (HEAD + part(jpeg(64, 48)) * 9 + PICTURE + b"\r\n\xff\xd8", b"A" * 65_536),
    ],
    ids=[
        "headers",
        "one header",
        "parts without a picture",
        "zeros",
        "one part",
        "a part with a length",
        "a later part",
    ],
)
def test_an_answer_that_never_ends_is_given_up_and_takes_no_memory(before: bytes, endless: bytes) -> None:
    def send(client: socket.socket, _: str) -> None:
        client.sendall(before)
        while True:
            client.sendall(endless)

    with (
        hostile(send) as server,
        LiveCamera("door", parse(f"http://{server.address}/live"), QUICK, always(0.5)) as camera,
    ):
        assert taken_until_lost(camera) < MOST_TAKEN


@pytest.mark.parametrize("begun", [b"\xff\xd8\xff\xe0", b"\0\0\0\1\x65"], ids=["jpeg", "h264"])
def test_an_endless_bare_jpeg_is_bounded_in_memory(begun: bytes) -> None:
    def send(client: socket.socket, _: str) -> None:
        client.sendall(jpeg(64, 48) * 3 + begun)
        while True:
            client.sendall(b"A" * 65_536)

    with (
        hostile(send, speaks_first=True) as server,
        LiveCamera("door", parse(f"tcp://{server.address}"), QUICK, always(0.5)) as camera,
    ):
        assert taken_until_lost(camera) < MOST_TAKEN


@pytest.mark.parametrize("backend", ["ffmpeg", "gstreamer"])
def test_an_endless_image_over_rtsp_is_given_up(backend: str) -> None:
    """GStreamer keeps all of it: its process ends itself."""
    if backend == "gstreamer":
        system_gstreamer.require_opencv()
    program = system_gstreamer.PROGRAM if backend == "gstreamer" else PROGRAM
    settings = replace(QUICK, open_seconds=60 if backend == "gstreamer" else 4)
    with (
        hostile(endless_unit, speaks_first=True) as server,
        LiveCamera("door", parse(f"rtsp://{server.address}/live"), settings, always(0.5), program) as camera,
    ):
        taken = taken_until_lost(camera)
        if backend == "gstreamer":
            assert "MiB of memory, more than the first picture of a camera needs" in camera.reason
        assert taken < (FIRST_IMAGE_BYTES + 600 * MEBIBYTE if backend == "gstreamer" else MOST_TAKEN)


def test_a_playlist_that_names_hundreds_of_its_kind_is_not_followed() -> None:
    """FFmpeg asked for 1700 of them in 15 s, and took 3 GB."""
    numbers = itertools.count()

    def answer(client: socket.socket, _: str) -> None:
        named = [f"#EXT-X-STREAM-INF:BANDWIDTH={next(numbers) + 1}\n/{next(numbers)}.m3u8" for _ in range(200)]
        client.sendall(document("\n".join(["#EXTM3U", *named, ""]).encode(), "application/vnd.apple.mpegurl"))

    with hostile(answer) as server:
        source = replace(parse(f"http://{server.address}/"), target=f"http://{server.address}/live.m3u8")
        with LiveCamera("door", source, QUICK, always(0.5)) as camera:
            assert taken_until_lost(camera) < MOST_TAKEN
            assert set(server.asked) == {"/live.m3u8"}


def test_a_process_that_exceeds_its_memory_ends_and_the_others_continue(tmp_path: Path) -> None:
    programs = {
        name: (sys.executable, str(ROOT / "tests/support/fake_camera.py"), name) for name in ("hoarding", "still")
    }
    source = parse(str(tmp_path / "never"), loop=True)
    settings = LiveSettings(min_retry=60)
    with (
        LiveCamera("greedy", source, settings, always(0.5), programs["hoarding"]) as greedy,
        LiveCamera("other", source, settings, always(0.5), programs["still"]) as other,
    ):
        other_began = first_frame(other)
        watch_until(greedy, lambda: bool(greedy.reason))
        assert "MiB of memory, more than pictures of 160x120 need: its stream is damaged or malicious" in greedy.reason
        later = first_frame(other)
        assert (other.state, other.counts().reconnects) == ("online", 0)
        assert later.index > other_began.index


def taken_until_lost(camera: LiveCamera) -> int:
    """The most memory of a camera's process until it is given up, bytes."""
    peak = 0

    def given_up() -> bool:
        nonlocal peak
        camera.newest(0.02)
        peak = max(peak, most_memory(camera.process_id) if camera.process_id else 0)
        return bool(camera.reason)

    watch_until(camera, given_up)
    assert peak
    return peak


def most_memory(process: int) -> int:
    """The most that a process has had in memory, bytes; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0].split()[1]) * 1024 if found else 0


def test_where_memory_runs_out_the_camera_goes_first() -> None:
    def send(client: socket.socket, _: str) -> None:
        client.sendall(HEAD)
        for number in itertools.count():
            client.sendall(part(jpeg(64, 48, number % 250)))

    with (
        hostile(send) as server,
        LiveCamera("door", parse(f"http://{server.address}/live"), QUICK, always(0.5)) as camera,
    ):
        first_frame(camera)
        process = camera.process_id
        assert process is not None
        assert alive(process)
        assert Path(f"/proc/{process}/oom_score_adj").read_text().strip() == "1000"
    assert Path("/proc/self/oom_score_adj").read_text().strip() != "1000"
