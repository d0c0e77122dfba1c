"""What all H.264 encoders have in common: their interface, the format of their frames, their bitrate."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.history.h264 import EncodedFrame

KEY_INTERVAL = 25  # frames from one to the next at which decoding can begin
BITS_PER_PIXEL = 0.1
I420 = NDArray[np.uint8]  # (H * 3 / 2, W)


class EncoderError(Exception):
    """An encoder that cannot be used, or has failed; the message says which and why."""


class Encoder(Protocol):
    """Encodes frames of one size."""

    def encode(self, image: I420) -> Iterator[EncodedFrame]:
        """Give it a frame; the frames that it has finished, in order. Raises EncoderError."""

    def finish(self) -> Iterator[EncodedFrame]:
        """What it still holds. Raises EncoderError."""

    def close(self) -> None:
        """End it, finished or not."""


@dataclass(frozen=True)
class EncoderFormat:
    """`size`: (width, height), the width a multiple of 8, the height of 2; `fps`: about so many frames a second."""

    size: tuple[int, int]
    fps: float = 25.0

    @property
    def bits(self) -> int:
        """Bits per second that look well enough."""
        return max(300_000, int(self.size[0] * self.size[1] * self.fps * BITS_PER_PIXEL))


def i420(image: NDArray[np.uint8], size: tuple[int, int]) -> I420:
    """A frame (H, W, 3) BGR, scaled to `size` and in the colours that encoders and browsers take."""
    scaled = image if image.shape[1::-1] == size else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2YUV_I420), np.uint8)


def encoded_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """(width, height) at which frames of `size` are encoded: at most `width` wide, never enlarged but to 16 pixels.

    The width is a multiple of 8 and the height of 2, as encoders want it.
    """
    scale = min(1.0, width / size[0])
    return max(16, round(size[0] * scale / 8) * 8), max(16, round(size[1] * scale / 2) * 2)
