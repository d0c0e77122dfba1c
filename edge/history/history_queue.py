"""What waits to be written into the event store: bounded, so that a slow disk costs history and no memory. Shell."""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.history.event_store import KeptStep
from edge.history.tube_points import TubePoint
from edge.video.snapshot import Mark

MOST_ITEMS = 10_000
MOST_IMAGE_BYTES = 64 * 1024 * 1024  # of the frames that wait to become pictures


@dataclass(frozen=True)
class KeptPoints:
    """More of an event's tube."""

    event_id: str
    points: tuple[TubePoint, ...]


@dataclass(frozen=True, eq=False)
class KeptPicture:
    """A frame in which an event had its best score so far; `image` is not modified by anybody."""

    event_id: str
    image: NDArray[np.uint8]  # (H, W, 3) BGR
    mark: Mark


@dataclass(frozen=True, eq=False)
class KeptClip:
    """A clip of an event as an MP4 file; `start`: seconds from the event's start, mostly negative."""

    event_id: str
    content: bytes
    start: float


KeptItem = KeptStep | KeptPoints | KeptPicture | KeptClip


class HistoryQueue:
    """Filled by the frame loop, which never waits; emptied by the store's thread."""

    def __init__(self, most: int = MOST_ITEMS, most_image_bytes: int = MOST_IMAGE_BYTES) -> None:
        self._most, self._most_image_bytes = most, most_image_bytes
        self._items: deque[KeptItem] = deque()
        self._image_bytes = 0
        self._filled = threading.Condition()
        self.closed = False
        self.dropped = 0  # items for which there was no space

    def put(self, item: KeptItem) -> None:
        """Add an item, or count it as dropped where there is no space."""
        size = image_bytes(item)
        with self._filled:
            full = len(self._items) >= self._most or (size and self._image_bytes + size > self._most_image_bytes)
            if full or self.closed:
                self.dropped += 1
                return
            self._items.append(item)
            self._image_bytes += size
            self._filled.notify()

    def take(self, seconds: float) -> list[KeptItem]:
        """Everything that waits, in its order; [] if nothing comes within `seconds`."""
        with self._filled:
            self._filled.wait_for(lambda: self._items or self.closed, seconds)
            taken, self._items = list(self._items), deque()
            self._image_bytes = 0
            return taken

    def close(self) -> None:
        """Take nothing more; what waits can still be taken."""
        with self._filled:
            self.closed = True
            self._filled.notify()


def image_bytes(item: KeptItem) -> int:
    """What an item holds in memory beyond some hundred bytes."""
    if isinstance(item, KeptPicture):
        return item.image.nbytes
    return len(item.content) if isinstance(item, KeptClip) else 0
