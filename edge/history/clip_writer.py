"""Makes MP4 files of pictures, as the clip of an event out of the video in which it was found. Shell."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.cameras.video_file import read_file
from edge.detector import frame_size
from edge.history.encoder import EncoderFormat, encoded_size, i420
from edge.history.encoders import first_that_works
from edge.history.h264 import PPS, SPS, EncodedFrame
from edge.history.mp4 import Sample, VideoTrack, mp4
from edge.history.search import FoundEvent
from edge.sources import Frame

WIDTH = 1280  # pixels at most
BEFORE, AFTER, MOST = 5.0, 3.0, 60.0  # seconds of a clip cut from a video


class ClipWriter:
    """Encodes pictures of one size; a context manager, whose file is complete with `content`."""

    def __init__(self, size: tuple[int, int]) -> None:
        """`size`: as `encoded_size` gives it. Raises EncoderError where no encoder is there."""
        self.size = size
        _, self._encoder = first_that_works(EncoderFormat(size), lambda fault: None)
        self._times: list[float] = []
        self._encoded: list[EncodedFrame] = []

    def __enter__(self) -> "ClipWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._encoder.close()

    def add(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Append a picture (H, W, 3) BGR that is shown at `seconds`. Raises EncoderError."""
        self._times.append(seconds)
        self._encoded += self._encoder.encode(i420(image, self.size))

    def content(self) -> bytes:
        """The file. Raises EncoderError; ValueError where there is no picture, or too much for one file."""
        self._encoded += self._encoder.finish()
        if not self._encoded:
            raise ValueError("a clip holds at least one picture")
        first = self._encoded[0]
        track = VideoTrack(self.size, first.parameters(SPS) or b"", first.parameters(PPS) or b"")
        frames = zip(self._times, self._encoded, strict=False)
        return mp4(track, [Sample(seconds, frame.sample(), frame.key) for seconds, frame in frames])


def cut_from_video(event: FoundEvent) -> bytes:
    """The clip of an event that was found in a video. Raises CaptureError, EncoderError, ValueError."""
    assert event.video is not None
    begin = max(0.0, started_in_video(event) - BEFORE)
    end = min(begin + MOST, ended_in_video(event) + AFTER)
    frames = frames_between(event.video, begin, end)
    first = next(frames, None)
    if first is None:
        raise ValueError(f"{event.video}: ends before the event; it is not the file that was indexed")
    with ClipWriter(encoded_size(frame_size(first.image), WIDTH)) as writer:
        writer.add(first.image, first.monotonic_time)
        for frame in frames:
            writer.add(frame.image, frame.monotonic_time)
        return writer.content()


def frames_between(video: Path, begin: float, end: float) -> Iterator[Frame]:
    """The frames of a part of a video, seconds from its beginning. Raises CaptureError."""
    for frame in read_file(video, video.name, lambda text: None):
        if frame.monotonic_time > end:
            return
        if frame.monotonic_time >= begin:
            yield frame


def started_in_video(event: FoundEvent) -> float:
    """When an event of a video starts in it, s."""
    return datetime.fromisoformat(str(event.payload["started"]).replace("Z", "+00:00")).timestamp()


def ended_in_video(event: FoundEvent) -> float:
    """When it ends there, s."""
    return started_in_video(event) + float(event.payload["duration"])
