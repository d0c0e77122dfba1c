"""Frames of videos with boxes drawn on them, as pictures that a page holds in itself. Shell."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.video_file import CaptureError, read_file
from edge.sources import BgrImage
from edge.terminal import progress
from edge.video import text_rendering

SMALLEST, WIDEST = 320, 480  # pixels of a picture's longer side
QUALITY = 80  # of JPEG
TRUE, FOUND = (64, 220, 64), (40, 130, 255)  # BGR: as annotated, as the model has it
LETTERS = 0.55  # the scale of what is written beside a box
FARTHEST = 10_000  # pixels; boxes are cut off there before they are drawn


@dataclass(frozen=True, eq=False)
class DrawnBox:
    """A box (4,), x1 y1 x2 y2 in pixels of the frame, and what is written at it; `true`: it is annotated."""

    box: NDArray[np.float32]
    words: str
    true: bool


@dataclass(frozen=True, eq=False)
class WantedPicture:
    """A frame of a video file, and what to draw on it."""

    video: Path
    frame: int
    boxes: tuple[DrawnBox, ...]


def as_data_uris(wanted: Sequence[WantedPicture]) -> list[str | None]:
    """A JPEG for each, ready for `src`; None where the frame cannot be read. Each video is read once."""
    found: dict[int, str] = {}
    places: dict[Path, dict[int, list[int]]] = {}
    for place, one in enumerate(wanted):
        places.setdefault(one.video, {}).setdefault(one.frame, []).append(place)
    for path, of_video in progress.track(places.items(), "drawing", "video", len(places)):
        for number, image in _frames(path, of_video).items():
            for place in of_video[number]:
                found[place] = _as_data_uri(drawn(image, wanted[place].boxes))
    return [found.get(place) for place in range(len(wanted))]


def _frames(path: Path, numbers: Mapping[int, object]) -> dict[int, BgrImage]:
    """Those that can be read."""
    found: dict[int, BgrImage] = {}
    try:
        for frame in read_file(path, path.stem, notify=lambda _: None):
            if frame.index in numbers:
                found[frame.index] = frame.image.copy()
            if frame.index >= max(numbers):
                break
    except CaptureError:
        pass  # a picture is left out; which video it is of is said beside it
    return found


def drawn(image: BgrImage, boxes: Sequence[DrawnBox]) -> BgrImage:
    """The frame, made smaller where it is large, and larger where it is small, with its boxes."""
    side = max(image.shape[:2])
    scale = float(np.clip(side, SMALLEST, WIDEST)) / side
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small: BgrImage = np.ascontiguousarray(cv2.resize(image, size, interpolation=method), np.uint8)
    for one in boxes:
        x1, y1, x2, y2 = np.rint(np.clip(one.box * scale, -FARTHEST, FARTHEST)).astype(int).tolist()
        cv2.rectangle(small, (x1, y1), (x2, y2), TRUE if one.true else FOUND, 2)
    for one in boxes:
        left, top, _, bottom = np.rint(np.clip(one.box * scale, 0, FARTHEST)).astype(int).tolist()
        line = text_rendering.render(one.words, LETTERS)
        low = min(max(top + 14 if one.true else bottom - 5, line.above + 2), max(size[1] - 4, 0))
        place = (max(min(left + 2, size[0] - line.width - 4), 2), low)
        text_rendering.draw(small, text_rendering.outlined(line), (place[0] - 1, place[1]), (0, 0, 0))
        text_rendering.draw(small, line, place, TRUE if one.true else FOUND)
    return small


def _as_data_uri(image: BgrImage) -> str:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()
