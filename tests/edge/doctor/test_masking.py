"""What a report hides, and what it must not hide to be of use."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.doctor.masking import MASK, masked, parts_of, without_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from rtsp://bob:pw@cam.example/x?y=1 in 2 s", f"from rtsp://{MASK} in 2 s"),
        ("csi://0 and v4l2:///dev/video0 and /dev/video1", "csi://0 and v4l2:///dev/video0 and /dev/video1"),
        ("csi://0@host", f"csi://{MASK}"),
        ("csi://0: is stuck; csi://1, csi://0:pw@host", f"csi://0: is stuck; csi://1, csi://{MASK}"),
        ("frame-mAP@0.5 68.05", "frame-mAP@0.5 68.05"),
        ("clip in /home/bob/clips/a.mp4", f"clip in /home/{MASK}/clips/a.mp4"),
        ("/run/user/1000/x", f"/run/user/{MASK}/x"),
        ("mail bob.smith@example.org now", f"mail {MASK} now"),
        ("mqtt.port: should be a whole number, is 'hunter2'", f"mqtt.port: should be a whole number, is {MASK}"),
        ("mqtt.port: should be at least 1, is 0", "mqtt.port: should be at least 1, is 0"),
        ("password=hunter2 token: abc", f"password={MASK} token: {MASK}"),
        ("GET /v.cgi?pwd=hunter", f"GET /v.cgi?pwd={MASK}"),
        ("password: is set", "password: is set"),
        ("password: [mqtt] username is set", "password: [mqtt] username is set"),
        ("broker mq.example:1883: refused", f"broker {MASK}:1883: refused"),
        ("pip 1.2 and p 1", f"pip 1.2 and {MASK} 1"),
        ("korsal-edge on localhost", "korsal-edge on localhost"),
        ("name MQ.Example is unknown", f"name {MASK} is unknown"),
        ("rtsp://u:a b'c@h/x", f"rtsp://{MASK}"),
    ],
)
def test_what_is_hidden(text: str, expected: str) -> None:
    assert masked(text, ["mq.example", "p", "korsal", "localhost", "", " ", "u:a b'c"]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no route to 10.0.0.7: check", f"no route to {MASK}: check"),
        ("127.0.0.1:1883 and 0.0.0.0", "127.0.0.1:1883 and 0.0.0.0"),
        ("fe80::1ff:fe23:4567:890a and 02:42:ac:11:00:02", f"{MASK} and {MASK}"),
        ("[fe80::1]:1883 and fd00::5%eth0", f"[{MASK}]:1883 and {MASK}%eth0"),
        ("at 12:34:56.7", "at 12:34:56.7"),
        ("at 12:34:56 in cv::dnn::add", "at 12:34:56 in cv::dnn::add"),
        ("TensorRT 10.3.0.30", f"TensorRT {MASK}"),  # so it is not asked about versions
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert without_addresses(text) == expected


def test_logins_in_a_query_are_parts_of_an_address() -> None:
    address = "http://h/video.cgi?usr=x&user=bob&PWD=geheim&channel=1"
    assert parts_of(address) == (address, "h", "h", "bob", "geheim")


def test_parts_of_an_address() -> None:
    found = parts_of("rtsp://bob:p%40ss@cam.example:554/live/abc123?token=t0ken1")
    assert {"bob", "p%40ss", "cam.example", "abc123", "t0ken1"} <= set(found)
    assert "live" not in found  # a word that reports need
    assert parts_of("/srv/clips/a.mp4") == ("/srv/clips/a.mp4",)
    assert parts_of("/dev/video0") == parts_of("csi://0") == ()
    assert parts_of("rtsp://[broken") == ("rtsp://[broken",)


SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=6, max_size=20)


@given(SECRETS.filter(lambda text: text.strip() and MASK not in text and text not in MASK * 9), st.text(max_size=20))
def test_no_secret_of_six_letters_stays_in_whatever_encoding(secret: str, around: str) -> None:
    for form in (secret, quote(secret, safe="")):
        text = masked(f"{around} {form} {around}", [secret])
        assert form not in text or form in masked(f"{around}  {around}", [])
