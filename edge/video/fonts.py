"""This machine's fonts for given characters, drawn by Pillow where it is installed. Shell over font files."""

import logging
import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

FOLDERS = ("~/.local/share/fonts", "~/.fonts", "/usr/local/share/fonts", "/usr/share/fonts")
SUFFIXES = (".ttf", ".otf", ".ttc")
MAX_FILES = 3000
PREFERRED_NAMES = ("notosanscjk", "notosans", "dejavusans")  # tried first
AVOIDED_WORDS = ("bold", "italic", "oblique", "light", "thin", "black", "mono", "serif", "condensed", "emoji")
PLACEHOLDERS = ("lastresort", "blank", "redacted")  # fonts that draw all characters alike
TEST_SIZE = 16  # pixels
UNASSIGNED = "\U0010fffe"  # which no font has
INKLESS = ("Mn", "Mc", "Me", "Cf", "Zs")  # Unicode categories of what may be drawn without any ink


@lru_cache(maxsize=4096)
def font_for(characters: frozenset[str]) -> str | None:
    """The file of a font that has all these characters; None where there is none, or no Pillow."""
    return next((file for file in _files() if _supports(file, characters)), None)


@lru_cache(maxsize=1)
def installation_hint() -> str:
    """What to install where there is no font."""
    if not _has_pillow():
        return "pip install pillow"
    return "install a font that has them, such as the package fonts-noto-cjk, fonts-noto-core or fonts-dejavu-core"


def render(text: str, file: str, size: int) -> tuple[NDArray[np.uint8], int]:
    """A line of text at `size` pixels: its ink (h, w), 0..255, and the number of rows below the baseline."""
    from PIL import Image, ImageDraw

    font = _opened(file, size)
    left, top, right, bottom = (round(side) for side in font.getbbox(text, anchor="ls"))
    ink = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(ink).text((-left, -top), text, fill=255, font=font, anchor="ls")
    return np.asarray(ink, np.uint8), max(0, bottom)


@lru_cache(maxsize=1)
def _files() -> tuple[str, ...]:
    """All fonts of this machine, upright sans serifs first; none without Pillow."""
    if not _has_pillow():
        return ()
    found = (file for file in _in_folders() if not any(word in _name(file) for word in PLACEHOLDERS))
    return tuple(sorted(found, key=_rank)[:MAX_FILES])


def _in_folders() -> Iterator[str]:
    for folder in FOLDERS:
        for place, _, names in os.walk(os.path.expanduser(folder)):
            yield from (os.path.join(place, name) for name in names if name.lower().endswith(SUFFIXES))


def _rank(file: str) -> tuple[bool, int, int, str]:
    """The sort key of a font: the lowest is tried first."""
    name = _name(file)
    good = next((place for place, start in enumerate(PREFERRED_NAMES) if name.startswith(start)), len(PREFERRED_NAMES))
    return any(word in name for word in AVOIDED_WORDS), good, len(name), file


def _name(file: str) -> str:
    return Path(file).stem.lower().replace("-", "").replace("_", "")


def _supports(file: str, characters: frozenset[str]) -> bool:
    """Whether the font draws each character differently from one that it lacks."""
    try:
        font = _opened(file, TEST_SIZE, shaping=False)
        missing = bytes(font.getmask(UNASSIGNED))
        return all(unicodedata.category(one) in INKLESS or bytes(font.getmask(one)) != missing for one in characters)
    except (OSError, ValueError):  # not a font, or one of bitmaps only
        return False


@lru_cache(maxsize=64)
def _opened(file: str, size: int, shaping: bool = True) -> Any:
    """An open font; with `shaping` it joins letters as their script requires, where Pillow can."""
    from PIL import ImageFont

    return ImageFont.truetype(file, size, layout_engine=None if shaping else ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _has_pillow() -> bool:
    try:
        from PIL import ImageFont  # noqa: F401
    except ImportError:
        return False
    return True
