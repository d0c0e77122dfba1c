"""The snapshot of an event: the frame that led to it, with the person marked, as JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.events import Event
from edge.video import text_rendering

MIN_WIDTH = 16  # pixels
BRIGHT, DARK = (0, 220, 255), (24, 24, 24)  # B, G, R


@dataclass(frozen=True, eq=False)
class Mark:
    """What is drawn on a picture: a person's `box` (4,), x1 y1 x2 y2 in pixels, the action and its best score."""

    box: NDArray[np.float32]
    action: str
    top_score: float


class SnapshotError(Exception):
    """A snapshot that cannot be made; the message says why."""


def snapshot(image: NDArray[np.uint8], event: Event | Mark | None, width: int = 640, quality: int = 80) -> bytes:
    """A JPEG of the whole frame, with the event's box and action drawn.

    `image`: (H, W, 3) uint8, BGR, not modified; wider frames are reduced to `width` pixels, none is enlarged. `event`:
    its box in pixels of the frame; None draws nothing. `quality`: JPEG's, 1 to 100.
    """
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise SnapshotError(f"a frame is (H, W, 3), not {image.shape}")
    scale = min(1.0, max(width, MIN_WIDTH) / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    marked = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8) if scale < 1 else image.copy()
    if event is not None:
        _draw(marked, event, scale)
    done, jpeg = cv2.imencode(".jpg", marked, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise SnapshotError(f"a frame of {image.shape[1]}x{image.shape[0]} pixels cannot be a JPEG")
    return jpeg.tobytes()


def _draw(marked: NDArray[np.uint8], event: Event | Mark, scale: float) -> None:
    """Draw the box, and above it the action with its best score."""
    x1, y1, x2, y2 = (round(float(side) * scale) for side in event.box)
    cv2.rectangle(marked, (x1, y1), (x2, y2), DARK, 4)
    cv2.rectangle(marked, (x1, y1), (x2, y2), BRIGHT, 2)
    caption = text_rendering.render(f"{event.action} {event.top_score:.2f}", 0.5)
    left = max(2, min(x1, marked.shape[1] - caption.width - 2))
    place = (left, max(caption.above + 2, y1 - caption.below - 4))
    background = marked[
        max(0, place[1] - caption.above - 2) : place[1] + caption.below + 2, left - 2 : left + caption.width + 2
    ]
    background[:] = DARK
    text_rendering.draw(marked, caption, place, BRIGHT)
