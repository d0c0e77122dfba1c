"""What a stream's server has against us; the real servers are in test_rtsp_cameras.py."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.rtsp_check import (
    Reply,
    Verdict,
    answer,
    challenge,
    digest,
    examine,
    refusal,
    unreachable,
    video_address,
)
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
def asked_anew(*replies: bytes) -> Iterator[str]:
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
        (b"401 Unauthorized", None),  # without a challenge that we know: no verdict
        (b"403 Forbidden", "forbids this stream to this user: give the user the right to view it"),
        (b"404 Not Found", "has no stream under this path: look it up in the camera's settings"),
        (b"453 Not Enough Bandwidth", "is serving as many viewers as it can: close another one"),
        (b"461 Unsupported Transport", None),  # nobody answers so to DESCRIBE
        (b"500 Oops", None),
    ],
)
def test_a_status_and_its_sentence(status: bytes, sentence: str | None) -> None:
    with answering(b"RTSP/1.0 " + status + b"\r\nCSeq: 1\r\n\r\n") as url:
        assert refusal(url) == sentence


SDP = b"v=0\r\nm=audio 0 RTP/AVP 0\r\na=control:track1\r\nm=video 0 RTP/AVP 96\r\na=control:track2\r\n"


def described(sdp: bytes = SDP) -> bytes:
    return b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %d\r\n\r\n" % len(sdp) + sdp


@pytest.mark.parametrize(
    ("setup", "transport", "verdict"),
    [
        (b"200 OK\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1", "tcp", Verdict()),
        (b"200 OK\r\nTransport: RTP/AVP;unicast;client_port=50000-50001", "udp", Verdict()),
        (b"200 OK", "tcp", Verdict()),
        (b"461 Unsupported Transport", "tcp", Verdict(transport_status="461 Unsupported Transport")),
        (b"461 Unsupported Transport", "udp", Verdict(transport_status="461 Unsupported Transport")),
        (b"551 Oops", "tcp", Verdict(transport_status="551")),
        (b"200 OK\r\nTransport: RTP/AVP;unicast;client_port=1-2", "tcp", Verdict(transport_status="200 OK")),
        (b"453 Full", "tcp", Verdict("is serving as many viewers as it can: close another one")),
        (b"nonsense", "tcp", Verdict()),
    ],
)
def test_what_a_server_says_of_a_transport(setup: bytes, transport: RtspTransport, verdict: Verdict) -> None:
    status = b"RTSP/1.0 " * setup[:1].isdigit() + setup
    with answering(described(), status + b"\r\nSession: 7;timeout=60\r\n\r\n", b"RTSP/1.0 200 OK\r\n\r\n") as url:
        assert examine(url, transport) == verdict


def test_a_stream_without_video_is_no_verdict() -> None:
    with answering(described(b"v=0\r\nm=audio 0 RTP/AVP 0\r\n")) as url:
        assert examine(url, "tcp") == Verdict()


@pytest.mark.parametrize(
    ("headers", "sdp", "address"),
    [
        ((), SDP, "rtsp://cam/live/track2"),
        (("Content-Base: rtsp://cam/other/",), SDP, "rtsp://cam/other/track2"),
        (("Content-Base: a b",), SDP, "rtsp://cam/live/track2"),
        ((), SDP.replace(b"track2", b"rtsp://cam/2"), "rtsp://cam/2"),
        ((), SDP.replace(b"a=control:track2", b""), "rtsp://cam/live"),
        ((), SDP.replace(b"track2", b"*"), "rtsp://cam/live"),
        ((), b"\xff\x00", "rtsp://cam/live"),
    ],
)
def test_where_the_video_is_set_up(headers: tuple[str, ...], sdp: bytes, address: str) -> None:
    assert video_address(Reply(answer("RTSP/1.0 200 OK", []), headers, sdp), "rtsp://cam/live") == address


def test_a_server_that_is_busy_is_asked_again() -> None:
    """GStreamer's is for a moment, while it ends the session before."""
    busy = b"RTSP/1.0 503 Service Unavailable\r\n\r\n"
    with asked_anew(busy, b"RTSP/1.0 404 Not Found\r\n\r\n") as url:
        assert "no stream under this path" in str(refusal(url))


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
def test_what_is_no_answer_is_no_verdict(reply: bytes) -> None:
    with answering(reply) as url:
        assert refusal(url, 0.5) is None


def test_a_server_that_says_nothing_is_no_verdict() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert refusal(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live", 0.1) is None


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


@pytest.mark.parametrize(
    ("value", "scheme", "parameters"),
    [
        (
            ' Digest realm="a, b", nonce="1=2", algorithm=MD5',
            "digest",
            {"realm": "a, b", "nonce": "1=2", "algorithm": "MD5"},
        ),
        ('Basic realm="x"', "basic", {"realm": "x"}),
        ("Negotiate", "negotiate", {}),
        ("", "", {}),
    ],
)
def test_challenge(value: str, scheme: str, parameters: dict[str, str]) -> None:
    assert challenge(value) == (scheme, parameters)


def test_digest_is_that_of_the_rfc() -> None:
    """RFC 2069, section 2.4, with the response that its erratum 749 corrects."""
    offered = {
        "realm": "testrealm@host.com",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
    }
    header = digest(offered, "GET", "/dir/index.html", "Mufasa", "CircleOfLife")
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in header
    assert "CircleOfLife" not in header


@given(st.text(), st.lists(st.text(), max_size=5))
def test_any_answer_is_understood_or_refused(status: str, headers: list[str]) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= answer(status, headers).status <= 999
    assert answer("RTSP/1.0 401 x", ["WWW-Authenticate: " + header for header in headers]).status == 401
