"""Encodes the pictures that the daemon hands over, in the page's process: detection pays for none of it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import tiles
from edge.video import motion_inset
from edge.web.messages import PageMessage

QUALITY = 75  # JPEG's
MOTION_SHARE = 0.5  # of the picture's sides: a motion map is coarser anyway


def encoded(given: Mapping[str, Any], shared: bytes | memoryview) -> PageMessage:
    """A picture as the feeder hands it over → the message `frame` that browsers get.

    `given`: with `size`, (width, height) of the picture, `frame_size` of the whole frame, and `tiles`: x1 y1 x2 y2 of
    each in the frame, width and height of its motion map. `shared`: the picture, BGR, and these maps, one after the
    other. `motion` of the result: bytes of the motion map's JPEG, the last in its body; 0 for none.
    """
    header = dict(given)
    (width, height), frame, placed = header.pop("size"), tuple(header.pop("frame_size")), header.pop("tiles")
    pixels = np.frombuffer(shared, np.uint8)
    picture = jpeg(pixels[: width * height * 3].reshape(height, width, 3))
    motion = b""
    if picture and placed:
        shown = max(1, round(width * MOTION_SHARE)), max(1, round(height * MOTION_SHARE))
        motion = jpeg(motion_inset.coloured(_motion(placed, pixels[width * height * 3 :], frame, shown)))
    return PageMessage({**header, "kind": "frame", "motion": len(motion)}, picture + motion)


def _motion(
    placed: Sequence[Sequence[int]], maps: NDArray[np.uint8], frame: tuple[int, int], shown: tuple[int, int]
) -> NDArray[np.uint8]:
    """The motion map of the whole frame, (h, w) uint8 at the size `shown`, black where nothing moves."""
    canvas = np.zeros((shown[1], shown[0]), np.uint8)
    for x1, y1, x2, y2, width, height in placed:
        patch = tiles.crop(canvas, tiles.scaled((x1, y1, x2, y2), frame, shown))
        if patch.size:
            moved = maps[: width * height].reshape(height, width) / np.float32(255)
            patch[:] = motion_inset.cropped(moved, (patch.shape[1], patch.shape[0]))
        maps = maps[width * height :]
    return canvas


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8, BGR → JPEG; b"" where it cannot be encoded."""
    try:
        done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    except cv2.error:  # as for sides that a JPEG cannot have
        return b""
    return content.tobytes() if done else b""
