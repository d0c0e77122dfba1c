"""What an HTTP camera has against us, or sends instead of video; a real server of the standard library."""

import base64
import contextlib
import http.server
import re
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.http_check import HttpContent, content_problem, refusal, status_problem
from edge.cameras.live_camera import LiveCamera, LiveSettings
from edge.sources import parse
from tests.support.hostile_camera import jpeg
from tests.support.live_cameras import always, watch_until

Answers = dict[str, tuple[int, dict[str, str], bytes]]  # by path: status, headers, body
LOGIN = "Basic " + base64.b64encode(b"me:s3:cret").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    answers: Answers

    def do_GET(self) -> None:
        if self.path.startswith("/guarded") and self.headers.get("Authorization") != LOGIN:
            status, headers, body = 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        else:
            status, headers, body = self.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(answers: Answers) -> Iterator[str]:
    handler = type("Answering", (Handler,), {"answers": answers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def kind(value: str) -> dict[str, str]:
    return {"Content-Type": value}


PAGE = (200, kind("text/html; charset=utf-8"), b"<html>Welcome</html>")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (PAGE, "sends a web page, not a stream"),
        ((200, kind("application/octet-stream"), b"\n <!DOCTYPE HTML><p>"), "sends a web page, not a stream"),
        ((200, kind("image/jpeg"), jpeg(64, 48)), r"sends a single picture \(image/jpeg\), not a stream"),
        ((200, kind("application/vnd.apple.mpegurl"), b"#EXTM3U\n"), "sends a playlist: playlists "),
        ((200, kind("text/plain"), b"#EXTM3U\n"), "sends a playlist: playlists "),
        ((200, kind("application/json"), b"{}"), r"sends text \(application/json\), not video"),
        # as older firmware of ESP32 cameras
        (
            (200, kind("multipart/x-mixed-replace; boundary=x"), b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0"),
            "sends no boundary before its first picture",
        ),
        ((200, kind("multipart/x-mixed-replace; boundary=x"), b"--x\r\n"), "hold no JPEG: set the camera to"),
        ((403, {}, b""), "forbids this stream to this user"),
        ((404, {}, b""), r"has nothing under this path \(404\): look up the address of its MJPEG stream"),
        ((500, {}, b""), "responds with the error 500"),
        ((503, {}, b""), r"has no stream available \(503\)"),
        ((302, {"Location": "file:///etc/passwd"}, b""), r"redirects to another address \(302\)"),
        ((302, {"Location": "/live"}, b""), r"(fault|another address) \(?302"),
    ],
)
def test_every_answer_has_its_message(answer: tuple[int, dict[str, str], bytes], sentence: str) -> None:
    with serving({"/live": answer}) as address:
        assert re.search(sentence, str(refusal(f"http://{address}/live")))


def test_a_redirection_is_followed_to_what_is_there() -> None:
    with serving({"/live": (302, {"Location": "/page"}, b""), "/page": PAGE}) as address:
        assert "web page" in str(refusal(f"http://{address}/live"))


def test_what_may_be_video_is_not_refused() -> None:
    with serving({"/live": (200, kind("video/mp2t"), b"\x47" * 188)}) as address:
        assert refusal(f"http://{address}/live") is None
    assert refusal(f"http://{address}/live", 0.5) is None  # nobody answers any more


@pytest.mark.parametrize(
    ("login", "sentence"),
    [
        ("", "asks for a user and a password: write them before the host, as user:password@host"),
        ("me:wrong@", "refuses this user and password: correct them"),
        ("me:s3%3Acret@", "has nothing under this path"),
    ],
)
def test_logins(login: str, sentence: str) -> None:
    with serving({}) as address:
        assert sentence in str(refusal(f"http://{login}{address}/guarded?x=1"))


def test_the_camera_says_what_its_address_gives() -> None:
    """It was told to send H.264."""
    with (
        serving({"/": PAGE, "/snapshot.jpg": (200, kind("image/jpeg"), jpeg(64, 48))}) as address,
        LiveCamera("page", parse(f"http://{address}/"), LiveSettings(), always(0.5)) as page,
        LiveCamera("shot", parse(f"http://{address}/snapshot.jpg"), LiveSettings(), always(0.5)) as shot,
        LiveCamera("none", parse(f"http://me:pw@{address}/none"), LiveSettings(), always(0.5)) as none,
    ):
        watch_until(page, lambda: "sends a web page, not a stream" in page.reason)
        watch_until(shot, lambda: "sends a single picture (image/jpeg), not a stream" in shot.reason)
        watch_until(none, lambda: "has nothing under this path (404)" in none.reason)
        assert "H.264" not in page.reason + shot.reason + none.reason


@given(st.text(), st.binary())
def test_any_answer_is_video_or_a_one_sentence_error(sent: str, head: bytes) -> None:
    message = content_problem(HttpContent(sent, head))
    assert message is None or ("\n" not in message and len(message) < 300)


@given(st.integers(100, 999), st.booleans())
def test_any_status_is_not_refused_or_one_sentence(status: int, has_login: bool) -> None:
    message = status_problem(status, has_login)
    assert message is None or ": " in message
