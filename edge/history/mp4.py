"""An MP4 file (ISO/IEC 14496-12, -15) of one H.264 track without sound, its index first, as browsers like it. Pure.

Written here because each frame has its own time, whichever encoder made it, and not all devices have a library for it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

TIMESCALE = 90_000  # units of time in a second
USUAL_SECONDS = 0.04  # how long the only frame of a file is shown
IDENTITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # the picture is shown as it is


@dataclass(frozen=True)
class Sample:
    """One frame. `seconds`: when it is shown, by any clock; `content`: as `EncodedFrame.sample` gives it."""

    seconds: float
    content: bytes
    key: bool


@dataclass(frozen=True)
class VideoTrack:
    """What a decoder must know: (width, height) in pixels, and the parameter sets of the stream."""

    size: tuple[int, int]
    sps: bytes
    pps: bytes


def mp4(track: VideoTrack, samples: Sequence[Sample]) -> bytes:
    """The whole file. `samples`: in the order of decoding, at least one, beginning with a key frame.

    They are shown in the order of their times. ValueError where there is nothing to play.
    """
    if not samples or not samples[0].key:
        raise ValueError("a clip begins with a key frame")
    content = b"".join(sample.content for sample in samples)
    if len(content) >= 1 << 31:
        raise ValueError("a clip is smaller than 2 GiB")
    head = box(b"ftyp", b"isom", number(512), b"isomiso2avc1mp41")
    times = _times(samples)
    offset = len(head) + len(_moov(track, samples, times, 0)) + 8
    return head + _moov(track, samples, times, offset) + box(b"mdat", content)


def box(name: bytes, *parts: bytes) -> bytes:
    """A box with its length and name."""
    content = b"".join(parts)
    return number(8 + len(content)) + name + content


def number(value: int) -> bytes:
    """32 bits, big-endian."""
    return struct.pack(">I", value)


class _Times(NamedTuple):
    """How long each frame is decoded before the next, and how much later it is shown; in units of TIMESCALE."""

    durations: list[int]
    delays: list[int]


def _times(samples: Sequence[Sample]) -> _Times:
    """A frame is decoded when one is shown, the first at once; the last is shown as long as the one before."""
    begin = samples[0].seconds
    shown = [round((sample.seconds - begin) * TIMESCALE) for sample in samples]
    between = [max(1, later - earlier) for earlier, later in pairwise(sorted(shown))]
    decoded = accumulate(between, initial=0)
    ordered = all(earlier <= later for earlier, later in pairwise(shown))
    delays = [0] * len(shown) if ordered else [one - at for one, at in zip(shown, decoded, strict=True)]
    return _Times([*between, between[-1] if between else round(USUAL_SECONDS * TIMESCALE)], delays)


def _moov(track: VideoTrack, samples: Sequence[Sample], times: _Times, offset: int) -> bytes:
    """The index. `offset`: of the first frame in the file."""
    total = sum(times.durations)
    width, height = track.size
    made = number(0) + number(0)  # and changed: not told
    mvhd = box(
        b"mvhd", number(0), made, number(TIMESCALE), number(total), number(0x10000), b"\x01\0", bytes(10), IDENTITY,
        bytes(24), number(2),
    )  # fmt: skip
    tkhd = box(
        b"tkhd", number(3), made, number(1), number(0), number(total), bytes(16), IDENTITY, number(width << 16),
        number(height << 16),
    )  # fmt: skip
    mdhd = box(b"mdhd", number(0), made, number(TIMESCALE), number(total), b"\x55\xc4\0\0")  # language: undetermined
    handler = box(b"hdlr", number(0), number(0), b"vide", bytes(12), b"video\0")
    data = box(b"dinf", box(b"dref", number(0), number(1), box(b"url ", number(1))))
    stbl = _stbl(track, samples, times, offset)
    minf = box(b"minf", box(b"vmhd", number(1), bytes(8)), data, stbl)
    return box(b"moov", mvhd, box(b"trak", tkhd, box(b"mdia", mdhd, handler, minf)))


def _stbl(track: VideoTrack, samples: Sequence[Sample], times: _Times, offset: int) -> bytes:
    keys = [place for place, sample in enumerate(samples, 1) if sample.key]
    count = len(samples)
    return box(
        b"stbl",
        box(b"stsd", number(0), number(1), _avc1(track)),
        _runs(b"stts", 0, times.durations),
        _runs(b"ctts", 1, times.delays) if any(times.delays) else b"",
        box(b"stss", number(0), number(len(keys)), *map(number, keys)),
        box(b"stsc", number(0), number(1), struct.pack(">III", 1, count, 1)),  # all in one chunk
        box(b"stsz", number(0), number(0), number(count), *(number(len(sample.content)) for sample in samples)),
        box(b"stco", number(0), number(1), number(offset)),
    )


def _runs(name: bytes, version: int, values: Sequence[int]) -> bytes:
    """A table of how often each value comes in a row; `version`: 1 where they may be negative."""
    runs = [(len(list(same)), value) for value, same in groupby(values)]
    return box(name, bytes([version, 0, 0, 0]), number(len(runs)), *(struct.pack(">Ii", *run) for run in runs))


def _avc1(track: VideoTrack) -> bytes:
    profile = track.sps[1:4]
    parameters = [b"\xe1", struct.pack(">H", len(track.sps)), track.sps]
    parameters += [b"\x01", struct.pack(">H", len(track.pps)), track.pps]
    avcc = box(b"avcC", b"\x01", profile, b"\xff", *parameters)  # 4 bytes of length before each unit
    resolution = number(72 << 16) * 2
    size = struct.pack(">HH", *track.size)
    return box(
        b"avc1", bytes(6), b"\0\x01", bytes(16), size, resolution, number(0), b"\0\x01", bytes(32), b"\0\x18\xff\xff",
        avcc,
    )  # fmt: skip
