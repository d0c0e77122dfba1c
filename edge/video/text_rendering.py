"""Text drawn on images, in any script.

ASCII is drawn by OpenCV, whose font has nothing else; other text in a font of this machine. A character that no font
has is replaced by the `%XX` of its UTF-8 bytes, as in topics: different texts stay different.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.broker.topics import level
from edge.text import JOINERS, is_visible_line, to_nfc
from edge.video import fonts

log = logging.getLogger(__name__)

HERSHEY = cv2.FONT_HERSHEY_SIMPLEX
FONT_PIXELS = 30  # of a font that looks as large as OpenCV's at scale 1
MIN_FONT_PIXELS = 11  # at which other scripts are legible
NON_ASCII = re.compile("([^ -~]+)")  # what is not printable ASCII
MAX_LABELS = 32  # for which fonts are looked for in advance
MAX_CHARACTERS = 300  # of a line; the rest is cut off

Colour = tuple[int, int, int]  # B, G, R


@dataclass(frozen=True, eq=False)
class RenderedText:
    """A line of text as ink (h, w) uint8, 0..255, with the number of rows below the baseline."""

    ink: NDArray[np.uint8]
    below: int

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.ink.shape[1])

    @property
    def above(self) -> int:
        """Rows above the baseline."""
        return int(self.ink.shape[0]) - self.below


@lru_cache(maxsize=512)
def render(text: str, scale: float) -> RenderedText:
    """The text at `scale` times the size of OpenCV's font."""
    return _join([_render_part(part, font, scale) for part, font in _parts(text[:MAX_CHARACTERS])])


def displayable(text: str) -> str:
    """The text as it will be drawn: with codes for what no font has."""
    return "".join(part for part, _ in _parts(text))


def outlined(drawn: RenderedText) -> RenderedText:
    """The text made a pixel bolder all around, to be drawn behind it for legibility."""
    return RenderedText(cv2.dilate(np.pad(drawn.ink, 1), np.ones((3, 3), np.uint8)).astype(np.uint8), drawn.below + 1)


def find_fonts(labels: Sequence[str]) -> None:
    """Find the fonts for these labels now, since that takes time, and log now if there are none."""
    for label in [label for label in labels if not _is_plain(label)][:MAX_LABELS]:
        _parts(label)


def draw(image: NDArray[np.uint8], drawn: RenderedText, place: tuple[int, int], colour: Colour) -> None:
    """Draw text on an (H, W, 3) image, cut off at its edges. `place`: x and y of the left end of the baseline."""
    left, top = place[0], place[1] - drawn.above
    rows = slice(max(0, top), min(image.shape[0], top + drawn.ink.shape[0]))
    columns = slice(max(0, left), min(image.shape[1], left + drawn.width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    ink = drawn.ink[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    share = ink[..., None].astype(np.float32) / 255
    region = image[rows, columns]
    region[:] = (region * (1 - share) + np.array(colour, np.float32) * share).round().astype(np.uint8)


def _parts(text: str) -> list[tuple[str, str | None]]:
    """The text in parts, each with its font; None is OpenCV's."""
    text = to_nfc(text)
    whole = None if _is_plain(text) else _font_for(text)
    if _is_plain(text) or whole is not None:
        return [(text, whole)]
    words = [(word, None if _is_plain(word) else _font_for(word)) for word in NON_ASCII.split(text) if word]
    coded = any(font is None and not _is_plain(word) for word, font in words)
    if coded:
        _warn_once()
    return [(word if font else _percent_encoded(word) if coded else word, font) for word, font in words]


def _font_for(text: str) -> str | None:
    visible = "".join(letter for letter in text if letter not in JOINERS)
    return fonts.font_for(frozenset(visible)) if visible and is_visible_line(visible) else None


def _percent_encoded(word: str) -> str:
    """The word in ASCII; the percent sign is encoded too, so that codes are unambiguous."""
    return "".join(letter if _is_plain(letter) and letter != "%" else level(letter) for letter in word)


@lru_cache(maxsize=1)
def _warn_once() -> None:
    log.warning(
        "no installed font has all characters of the labels, images show codes like %%E6 instead: %s",
        fonts.installation_hint(),
    )


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _render_part(text: str, font: str | None, scale: float) -> RenderedText:
    if font is not None:
        return RenderedText(*fonts.render(text, font, max(MIN_FONT_PIXELS, round(FONT_PIXELS * scale))))
    (width, height), below = cv2.getTextSize(text, HERSHEY, scale, 1)
    ink = np.zeros((height + below + 1, max(1, width)), np.uint8)
    cv2.putText(ink, text, (0, height + 1), HERSHEY, scale, 255, 1, cv2.LINE_AA)
    return RenderedText(ink, below)


def _join(parts: list[RenderedText]) -> RenderedText:
    """The parts side by side on one baseline."""
    above, below = max(part.above for part in parts), max(part.below for part in parts)
    padded = [np.pad(part.ink, ((above - part.above, below - part.below), (0, 0))) for part in parts]
    return RenderedText(np.hstack(padded), below)
