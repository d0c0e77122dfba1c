"""Encodes frames for clips: each encoded frame gets the time of the one that it shows. Shell."""

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from edge.history.encoder import Encoder, EncoderError, i420
from edge.history.h264 import EncodedFrame
from edge.sources import Frame

MOST_HELD = 500  # frames that an encoder may hold back

TimedFrames = Iterator[tuple[EncodedFrame, float]]  # with times, monotonic, s


class ClipFrames(Protocol):
    """Where the encoded frames of clips come from. `size`: (width, height), (0, 0) until it is known."""

    @property
    def name(self) -> str:
        """For the log."""

    @property
    def size(self) -> tuple[int, int]:
        """Of the encoded frames."""

    def take(self, frame: Frame | None) -> TimedFrames:
        """Give it the camera's frame, if there is one; what is encoded by now, in order. Raises EncoderError."""

    def finish(self) -> TimedFrames:
        """What is still held back. Raises EncoderError."""

    def close(self) -> None:
        """End it."""


class FrameEncoder:
    """An encoder, which is given the camera's frames at the `size` of its format."""

    def __init__(self, name: str, encoder: Encoder, size: tuple[int, int]) -> None:
        self.name, self.size, self._encoder = name, size, encoder
        self._times: deque[float] = deque()  # of the frames that are in the encoder

    def take(self, frame: Frame | None) -> TimedFrames:
        """As ClipFrames says."""
        if frame is None:
            return
        self._times.append(frame.monotonic_time)
        if len(self._times) > MOST_HELD:
            raise EncoderError(f"{self.name}: gives no frames")
        yield from self._timed(self._encoder.encode(i420(frame.image, self.size)))

    def finish(self) -> TimedFrames:
        """As ClipFrames says."""
        yield from self._timed(self._encoder.finish())

    def close(self) -> None:
        """As ClipFrames says."""
        self._encoder.close()

    def _timed(self, encoded: Iterator[EncodedFrame]) -> TimedFrames:
        for one in encoded:
            if not self._times:
                raise EncoderError(f"{self.name}: gives more frames than it is given")
            yield one, self._times.popleft()
