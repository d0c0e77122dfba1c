"""An MP4 whose frames are not decoded in the order of showing, as some cameras send them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edge.history.h264 import PPS, SPS, EncodedFrame, units
from edge.history.mp4 import Sample, VideoTrack, mp4

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'korsal-edge[clips]'")


def with_b_frames(count: int) -> list[tuple[EncodedFrame, float]]:
    """Greys that get brighter frame by frame, 25 a second, in the order of decoding."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = {"bf": "2", "b_strategy": "0", "preset": "ultrafast", "x264-params": "repeat-headers=1"}
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((72, 64), 20 + 6 * number, np.uint8), format="yuv420p")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    return [(EncodedFrame(units(bytes(one))), float(one.pts) / 25) for one in packets]


def test_frames_are_shown_in_the_order_of_their_times(tmp_path: Path) -> None:
    encoded = with_b_frames(20)
    times = [seconds for _, seconds in encoded]
    assert times != sorted(times)
    first = encoded[0][0]
    track = VideoTrack((64, 48), first.parameters(SPS) or b"", first.parameters(PPS) or b"")
    path = tmp_path / "clip.mp4"
    path.write_bytes(mp4(track, [Sample(100 + seconds, one.sample(), one.key) for one, seconds in encoded]))
    with av.open(str(path)) as file:
        frames = [(float(one.time), float(one.to_ndarray(format="gray").mean())) for one in file.decode(video=0)]
    assert [seconds for seconds, _ in frames] == pytest.approx(sorted(times))
    assert all(np.diff([grey for _, grey in frames]) > 2)
