"""The shapes that CVAT for video draws tracks with, as boxes."""

from collections.abc import Callable, Mapping

import numpy as np

from train.box_tables import LARGEST_COORDINATE
from train.datasets.annotation_records import LARGEST_FRAME, reason
from train.datasets.tracks import Box, Corners

FLAGS = {"0": False, "1": True, "False": False, "True": True, "false": False, "true": True}
BOXLESS = ("polygon", "points", "polyline", "skeleton", "cuboid")


class DrawingError(ValueError):
    """A track that is drawn as something else than boxes; the message names track, frame and cure."""


def box(shape: str, given: Mapping[str, str], label: str, track: int) -> Box:
    """The box of a shape of a track. ValueError where it has none, or is of an unknown kind."""
    if shape in BOXLESS:
        why = "between keyframes CVAT moves a polygon otherwise than the box around it" if shape == "polygon" else ""
        raise DrawingError(
            f"track {track}, {label}, is drawn as {shape} in CVAT's frame {given.get('frame', '?')}"
            + f" ({why})" * bool(why)
            + "; draw that track anew as boxes, CVAT's rectangles"
        )
    where = f"track {track}, {label}: the {shape} in frame {given.get('frame', '?')[:20]}"
    if shape not in _SHAPES:
        raise ValueError(f"{where} is of a kind that is not known; draw that track as boxes, CVAT's rectangles")
    try:
        corners, frame, outside = _SHAPES[shape](given), int(given["frame"]), FLAGS[given.get("outside", "0")]
    except (ValueError, LookupError) as error:
        raise ValueError(f"{where} cannot be read: {reason(error)}") from error
    if not all(np.isfinite(corners)) or max(map(abs, corners)) > LARGEST_COORDINATE or not 0 <= frame <= LARGEST_FRAME:
        raise ValueError(f"{where} is no {shape}; draw it anew")
    return Box(frame, corners, label, outside)


def _of_box(given: Mapping[str, str]) -> Corners:
    left, top, right, bottom = (float(given[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    if not (turn := _turn(given)):
        return left, top, right, bottom
    width, height = right - left, bottom - top
    along, across = abs(np.cos(turn)), abs(np.sin(turn))
    middle = (left + right) / 2, (top + bottom) / 2
    return _around(middle, (width * along + height * across, width * across + height * along))


def _of_ellipse(given: Mapping[str, str]) -> Corners:
    x, y, across, up = (float(given[name]) for name in ("cx", "cy", "rx", "ry"))
    along, athwart = np.cos(turn := _turn(given)), np.sin(turn)
    return _around((x, y), (2 * np.hypot(across * along, up * athwart), 2 * np.hypot(across * athwart, up * along)))


def _of_mask(given: Mapping[str, str]) -> Corners:
    left, top, width, height = (float(given[name]) for name in ("left", "top", "width", "height"))
    return left, top, left + width, top + height


def _turn(given: Mapping[str, str]) -> float:
    """How far a shape is turned about its middle, radians."""
    return float(np.deg2rad(float(given.get("rotation", "0"))))


def _around(middle: tuple[float, float], size: tuple[float, float]) -> Corners:
    (x, y), (width, height) = middle, size
    return x - float(width) / 2, y - float(height) / 2, x + float(width) / 2, y + float(height) / 2


_SHAPES: Mapping[str, Callable[[Mapping[str, str]], Corners]] = {
    "box": _of_box,
    "ellipse": _of_ellipse,
    "mask": _of_mask,
}
