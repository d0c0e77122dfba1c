"""Why a stream's server refuses it; the real servers are in test_rtsp_cameras.py."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from edge.cameras.rtsp_check import RtspFinding, examine, unreachable
from edge.sources import RtspTransport


@contextlib.contextmanager
def answering(*replies: bytes) -> Iterator[str]:
    """A server that reads a request and sends a reply, for each of them, and hangs up; gives its URL."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                for reply in replies:
                    connection.recv(65536)
                    connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"rtsp://user:secret@127.0.0.1:{listener.getsockname()[1]}/live"
        thread.join()


@contextlib.contextmanager
def replying(*replies: bytes) -> Iterator[str]:
    """The same, but each reply goes to a connection of its own."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            for reply in replies:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"
        thread.join()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (b"200 OK", None),
        (b"401 Unauthorized", None),  # without a challenge that we know: no finding
        (b"403 Forbidden", "forbids this stream to this user: give the user the right to view it"),
        (b"404 Not Found", "has no stream under this path: look it up in the camera's settings"),
        (b"453 Not Enough Bandwidth", "is serving as many viewers as it can: close another one"),
        (b"461 Unsupported Transport", None),  # nobody answers so to DESCRIBE
        (b"500 Oops", None),
    ],
)
def test_every_status_has_its_message(status: bytes, sentence: str | None) -> None:
    with answering(b"RTSP/1.0 " + status + b"\r\nCSeq: 1\r\n\r\n") as url:
        assert examine(url, "tcp").reason == sentence


SDP = b"v=0\r\nm=audio 0 RTP/AVP 0\r\na=control:track1\r\nm=video 0 RTP/AVP 96\r\na=control:track2\r\n"


def described(sdp: bytes = SDP) -> bytes:
    return b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n" % len(sdp) + sdp


@pytest.mark.parametrize(
    ("setup", "transport", "finding"),
    [
        (b"200 OK\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1", "tcp", RtspFinding()),
        (b"200 OK\r\nTransport: RTP/AVP;unicast;client_port=50000-50001", "udp", RtspFinding()),
        (b"200 OK", "tcp", RtspFinding()),
        (b"461 Unsupported Transport", "tcp", RtspFinding(transport_status="461 Unsupported Transport")),
        (b"461 Unsupported Transport", "udp", RtspFinding(transport_status="461 Unsupported Transport")),
        (b"551 Oops", "tcp", RtspFinding(transport_status="551")),
        (b"200 OK\r\nTransport: RTP/AVP;unicast;client_port=1-2", "tcp", RtspFinding(transport_status="200 OK")),
        (b"453 Full", "tcp", RtspFinding("is serving as many viewers as it can: close another one")),
        (b"nonsense", "tcp", RtspFinding()),
    ],
)
def test_a_servers_answer_about_a_transport(setup: bytes, transport: RtspTransport, finding: RtspFinding) -> None:
    status = b"RTSP/1.0 " * setup[:1].isdigit() + setup
    with answering(described(), status + b"\r\nSession: 7;timeout=60\r\n\r\n", b"RTSP/1.0 200 OK\r\n\r\n") as url:
        assert examine(url, transport) == finding


def test_a_stream_without_video_finds_nothing() -> None:
    with answering(described(b"v=0\r\nm=audio 0 RTP/AVP 0\r\n")) as url:
        assert examine(url, "tcp") == RtspFinding()


def test_a_server_that_is_busy_is_asked_again() -> None:
    """GStreamer's is for a moment, while it ends the session before."""
    busy = b"RTSP/1.0 503 Service Unavailable\r\n\r\n"
    with replying(busy, b"RTSP/1.0 404 Not Found\r\n\r\n") as url:
        assert "no stream under this path" in str(examine(url, "tcp").reason)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"RTSP/1.0 \r\n\r\n",
        b"\xff" * 10_000,
        b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 9999999999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 1000,
    ],
)
def test_garbage_has_no_result(reply: bytes) -> None:
    with answering(reply) as url:
        assert examine(url, "tcp", 0.5).reason is None


def test_a_server_that_never_answers_has_no_result() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert examine(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live", "tcp", 0.1).reason is None


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("rtsp://127.0.0.1:1/live", "nothing listens at port 1 of 127.0.0.1"),
        ("tcp://127.0.0.1:1", "nothing listens at port 1 of 127.0.0.1"),
        ("rtsp://no-such.invalid/live", "the name no-such.invalid is not known"),
        (f"rtsp://{'a' * 70}.example/live", "is not known in this network"),
        ("rtsp://127.0.0.1:0/live", "127.0.0.1"),
    ],
)
def test_an_address_where_nothing_answers(url: str, sentence: str) -> None:
    assert sentence in str(unreachable(url))


def test_datagrams_need_nobody_who_answers() -> None:
    assert unreachable("udp://127.0.0.1:1") is None
