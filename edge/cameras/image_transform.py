"""What is done to each image of a source: scaling, flipping, rotating, masking; and its fingerprint. Pure."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.sources import Flip, Polygon, Rotation, Source

MAX_PIXELS = 1 << 26  # of an image: 8192 x 8192
MAX_SIDE = 1 << 14  # pixels, of width and height each: OpenCV warps nothing with a side of 32767 or more
FINGERPRINT_SIDE = 180  # pixels that a fingerprint samples on the shorter side, at least

_FLIP_CODE: dict[Flip, int] = {"horizontal": 1, "vertical": 0, "both": -1}
_ROTATION_CODE: dict[Rotation, int] = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def size_problem(width: int, height: int) -> str | None:
    """Why an image of this size is refused, without the remedy; None where it is accepted."""
    if width * height <= MAX_PIXELS and max(width, height) <= MAX_SIDE:
        return None
    return (
        f"pictures of {width}x{height}, and {MAX_PIXELS >> 20} million pixels with at most {MAX_SIDE} in width and "
        "height are the most"
    )


def transformed(image: NDArray[Any], source: Source, oriented: bool = False) -> NDArray[np.uint8]:
    """The image with the source's options applied, (H, W, 3) uint8 BGR and contiguous; may be `image` itself.

    `oriented`: flip and rotation are done already. Only files and streams are scaled: a camera was asked for its size,
    and may have chosen the nearest one it has.
    """
    image = as_bgr(image)
    if source.size and source.kind in ("file", "stream"):
        image = _scaled(image, source.size, oriented and source.rotation in (90, 270))
    if not oriented:
        image = rotated(flipped(image, source.flip), source.rotation)
    return masked(np.ascontiguousarray(image, dtype=np.uint8), source.mask)


def upright(size: tuple[int, int], source: Source) -> tuple[int, int]:
    """(width, height) of the source's images after its options, of images of `size`."""
    width, height = source.size or size
    return (height, width) if source.rotation in (90, 270) else (width, height)


def as_bgr(image: NDArray[Any]) -> NDArray[np.uint8]:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8 -> (H, W, 3) uint8 BGR, contiguous."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    elif channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    return np.ascontiguousarray(image, dtype=np.uint8)


def flipped(image: NDArray[Any], flip: Flip) -> NDArray[Any]:
    """The image mirrored."""
    return image if flip == "none" else cv2.flip(image, _FLIP_CODE[flip])


def rotated(image: NDArray[Any], rotation: Rotation) -> NDArray[Any]:
    """The image rotated clockwise by so many degrees."""
    return image if rotation == 0 else cv2.rotate(image, _ROTATION_CODE[rotation])


def masked(image: NDArray[np.uint8], mask: Sequence[Polygon]) -> NDArray[np.uint8]:
    """Blacken in place the inside and the edge of each polygon; points are 0..1 of width and height."""
    height, width = image.shape[:2]
    for polygon in mask:
        corners = np.rint(np.array(polygon) * (width, height)).astype(np.int32)
        cv2.fillPoly(image, [corners], (0, 0, 0))
    return image


def fingerprint(image: NDArray[np.uint8]) -> int:
    """A 64-bit hash of the pixels on a grid: sensor noise changes it, a repeated image does not.

    Pixels are sampled, not averaged: an average would hide the noise of a scene in which nothing moves.
    """
    step = max(1, min(image.shape[:2]) // FINGERPRINT_SIDE)
    sampled = np.ascontiguousarray(image[::step, ::step])
    return int.from_bytes(blake2b(sampled.data, digest_size=8).digest(), "little")


def _scaled(image: NDArray[np.uint8], size: tuple[int, int], sideways: bool) -> NDArray[np.uint8]:
    """The image at `size` (width, height), which is swapped for an image that lies `sideways`."""
    target_size = size[::-1] if sideways else size
    height, width = image.shape[:2]
    if (width, height) == target_size:
        return image
    shrinks = size[0] * size[1] < width * height
    scaled = cv2.resize(image, target_size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(scaled, np.uint8)
