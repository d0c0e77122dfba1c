"""What RTSP's replies say: statuses, logins, and where the video is."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cameras.rtsp_client import RtspReply, digest, parse_challenge, parse_head, video_address

SDP = b"v=0\r\nm=audio 0 RTP/AVP 0\r\na=control:track1\r\nm=video 0 RTP/AVP 96\r\na=control:track2\r\n"


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
    assert video_address(RtspReply(200, (), headers, sdp), "rtsp://cam/live") == address


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
    assert parse_challenge(value) == (scheme, parameters)


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
def test_any_reply_is_parsed_or_refused(status: str, headers: list[str]) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_head(status, headers).status <= 999
    assert parse_head("RTSP/1.0 401 x", ["WWW-Authenticate: " + header for header in headers]).status == 401
