"""Which frames a clip holds: seconds before its event and after, from a key frame on."""

import pytest

from edge.history import clip_ring
from edge.history.clip_ring import ClipLengths, ClipRing, FinishedClip
from edge.history.h264 import EncodedFrame

SPS, PPS = b"\x67\x42\xc0\x1e", b"\x68\xce\x3c\x80"
KEY, DELTA = b"\x65\x88" + b"k" * 50, b"\x41\x9a" + b"d" * 50
LENGTHS = ClipLengths(before=2.0, after=1.0, most=10.0)


class Camera:
    """Ten frames a second, a key frame every second; the clips that came, with the second at which they did."""

    def __init__(self, lengths: ClipLengths = LENGTHS) -> None:
        self.ring, self.number = ClipRing((64, 48), lengths), 0
        self.clips: list[tuple[float, FinishedClip]] = []

    def play(self, until: float) -> None:
        while self.number / 10 < until:
            units = (SPS, PPS, KEY) if self.number % 10 == 0 else (DELTA,)
            for clip in self.ring.add(EncodedFrame(units), self.number / 10):
                self.clips.append((self.number / 10, clip))
            self.number += 1


def frames(clip: FinishedClip) -> int:
    """How many it holds, each 56 bytes long in it."""
    return clip.content[clip.content.index(b"mdat") :].count(b"\0\0\0\x34")


def test_a_clip_has_seconds_before_and_after_its_event() -> None:
    camera = Camera()
    camera.play(5.5)
    camera.ring.begin("a", 5.3)
    camera.play(8.0)
    camera.ring.end("a", 7.0)
    camera.play(12.0)
    ((at, clip),) = camera.clips
    assert at == 8.0
    assert clip.start == pytest.approx(3.0 - 5.3)  # the key frame before 3.3 s
    assert frames(clip) == 51  # 3.0 to 8.0 s


def test_a_long_event_has_a_clip_of_its_beginning() -> None:
    camera = Camera()
    camera.ring.begin("a", 3.0)
    camera.play(30.0)
    assert [at for at, _ in camera.clips] == [11.0]  # from 1 s on, 10 s
    camera.ring.end("a", 29.0)
    camera.play(40.0)
    assert len(camera.clips) == 1


def test_events_share_frames_and_the_first_frames_may_be_missing() -> None:
    camera = Camera()
    camera.play(0.2)
    camera.ring.begin("a", 0.1)
    camera.ring.begin("b", 0.2)
    camera.ring.end("a", 0.5)
    camera.ring.end("b", 0.6)
    camera.play(3.0)
    assert [(clip.event_id, round(clip.start, 3)) for _, clip in camera.clips] == [("a", -0.1), ("b", -0.2)]


def test_without_frames_there_is_no_clip() -> None:
    ring = ClipRing((64, 48), LENGTHS)
    ring.begin("a", 0.0)
    ring.add(EncodedFrame((DELTA,)), 0.1)  # nothing can be decoded before a key frame
    assert ring.flush() == []
    ring.end("unknown", 1.0)


def test_the_ring_holds_only_what_clips_may_need_and_never_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera()
    camera.play(60.0)
    camera.ring.begin("a", 60.0)
    (clip,) = camera.ring.flush()
    assert frames(clip) == 20  # 58.0 to 59.9 s
    monkeypatch.setattr(clip_ring, "LARGEST_RING", 4000)
    full = Camera(ClipLengths(2.0, 1.0, 600.0))
    full.ring.begin("a", 0.0)
    full.play(30.0)
    ((at, clip),) = full.clips
    assert at == pytest.approx(4000 / 56 / 10, abs=0.2)
