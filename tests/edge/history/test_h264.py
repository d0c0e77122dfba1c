"""The byte stream of an encoder is cut into its frames, however it is chopped."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.history import h264
from edge.history.h264 import DELIMITER, PPS, SPS, EncodedFrame, FrameSplitter

SPS_UNIT, PPS_UNIT, AUD = b"\x67\x42\xc0\x1e", b"\x68\xce\x3c\x80", b"\x09\xf0"
KEY, DELTA = b"\x65\x88\x84", b"\x41\x9a\x02"
SECOND_SLICE = b"\x41\x1a\x02"  # of the same picture: it does not begin at macroblock 0
LONG, SHORT = b"\0\0\0\1", b"\0\0\1"
STREAM = LONG + AUD + LONG + SPS_UNIT + LONG + PPS_UNIT + SHORT + KEY + LONG + AUD + SHORT + DELTA + SHORT + DELTA
FRAMES = [EncodedFrame((AUD, SPS_UNIT, PPS_UNIT, KEY)), EncodedFrame((AUD, DELTA)), EncodedFrame((DELTA,))]


def split(*chunks: bytes) -> list[EncodedFrame]:
    splitter = FrameSplitter()
    found = [frame for chunk in chunks for frame in splitter.add(chunk)]
    return found + list(splitter.end())


def test_nothing_gives_no_frames() -> None:
    assert split() == split(b"") == split(LONG + SPS_UNIT) == []


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert split(*(STREAM[a:b] for a, b in pairwise(places))) == FRAMES


def test_several_slices_are_one_frame() -> None:
    assert split(SHORT + DELTA + SHORT + SECOND_SLICE + SHORT + DELTA) == [
        EncodedFrame((DELTA, SECOND_SLICE)),
        EncodedFrame((DELTA,)),
    ]


def test_a_frame_knows_its_parts() -> None:
    first, second, _ = FRAMES
    assert (first.key, second.key) == (True, False)
    assert (first.parameters(SPS), first.parameters(PPS), second.parameters(SPS)) == (SPS_UNIT, PPS_UNIT, None)
    assert first.parameters(DELIMITER) == AUD
    assert first.sample() == b"\0\0\0\3" + KEY


def test_what_is_no_stream_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h264, "LARGEST_PENDING", 1000)
    splitter = FrameSplitter()
    list(splitter.add(b"x" * 900))
    with pytest.raises(ValueError, match=r"does not write H\.264"):
        list(splitter.add(b"x" * 200))


@given(st.binary(max_size=200))
def test_any_bytes_are_split(content: bytes) -> None:
    for frame in split(content):
        assert any(h264.is_slice(unit) for unit in frame.units)
