"""The motion map as an image, and its position: beside the frame, in a corner, or nowhere. Pure."""

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import detector, letterbox
from edge.manifest import Manifest

InsetPosition = Literal["beside", "upper-left", "upper-right", "lower-left", "lower-right", "none"]
INSET_POSITIONS: tuple[InsetPosition, ...] = get_args(InsetPosition)
SHARE = 0.25  # of the frame's width and height
FULL_DIFFERENCE = 1.0  # standard deviations between two frames that are shown at full brightness, kind `previous`
FULL_FLOW = 4.0  # pixels of the network's input, likewise, kind `flow`


def column_width(inset: InsetPosition, width: int) -> int:
    """Width of the column right of a frame that is `width` pixels wide, even; 0 where there is none."""
    return 2 * max(1, round(width * SHARE / 2)) if inset == "beside" else 0


def region(inset: InsetPosition, frame_size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the motion map on a canvas with a frame of (width, height) at its upper left."""
    width, height = frame_size
    wide, high = max(1, round(width * SHARE)), max(1, round(height * SHARE))
    if inset == "beside":
        return slice(0, high), slice(width, width + column_width(inset, width))
    top = 0 if inset.startswith("upper") else height - high
    left = 0 if inset.endswith("left") else width - wide
    return slice(top, top + high), slice(left, left + wide)


def motion_brightness(motion: NDArray[np.float32], image: NDArray[np.uint8], manifest: Manifest) -> NDArray[np.float32]:
    """Where something moves, (h, w) of the network's input, 0..1, from its motion map (h, w, 3)."""
    if manifest.motion.kind == "previous":
        moved = np.abs(detector.normalise(image, manifest) - motion) / FULL_DIFFERENCE
    elif manifest.motion.kind == "dsim":
        moved = 2 * motion
    elif manifest.motion.kind == "flow":
        moved = np.linalg.norm(motion[..., :2], axis=2, keepdims=True) / FULL_FLOW + np.abs(motion[..., 2:])
    else:
        moved = 1 - motion
    mean = cv2.transform(np.ascontiguousarray(moved, np.float32), np.full((1, moved.shape[2]), 1 / moved.shape[2]))
    brightness: NDArray[np.float32] = np.clip(mean.reshape(moved.shape[:2]), 0, 1)  # twelve times as fast as .mean
    return brightness


def heat_map(moved: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A `motion_brightness` in colour at `size` (width, height), cropped to the frame, without the letterbox bars."""
    return coloured(cropped(moved, size))


def cropped(moved: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A `motion_brightness` as (height, width) uint8 of `size` (width, height), without the letterbox bars."""
    matrix = letterbox.affine(size, (moved.shape[1], moved.shape[0]))
    cut = cv2.warpAffine(moved, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return (255 * cut).astype(np.uint8)


def coloured(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is `cropped` in colour: (H, W) → (H, W, 3) BGR."""
    return np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), np.uint8)
