"""Where the network looks in a frame: a region of it, cut into tiles that overlap. Pure.

A tile is looked at like a small frame of its own, at the network's input size; a frame without region and tiles is one
tile. Rectangles are in pixels of the whole frame, as everything that follows from them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge.sources import BgrImage

Region = tuple[float, float, float, float]  # x, y of the upper left corner, width, height; 0..1 of the frame
Rectangle = tuple[int, int, int, int]  # x1 y1 x2 y2, whole pixels of the frame

WHOLE: Region = (0.0, 0.0, 1.0, 1.0)
OVERLAP = 0.2
MOST_OVERLAP = 0.5
MOST_TILES = 8  # columns, and rows
LEAST_SIDE = 7  # pixels: the motion map compares windows of 7
DIVIDE = "divide pixels by the frame's width and height"
USUAL_INPUT = 288, 224  # (width, height) of the network, pixels, where no model is at hand
ROUNDING = 1e-6  # of fractions that a decimal file rounds: 0.7 + 0.3

_GRID = re.compile(r"\s*(\d{1,4})\s*[xX×*]\s*(\d{1,4})\s*")


@dataclass(frozen=True)
class Tiling:
    """A region and the grid of tiles in it; `overlap`: the share of a tile's side that it has in common with the next.

    A person who is no wider and no higher than what two tiles have in common is whole in one of them.
    """

    region: Region = WHOLE
    columns: int = 1
    rows: int = 1
    overlap: float = OVERLAP

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return self.columns * self.rows

    @property
    def grid(self) -> str:
        """Columns x rows, as `parse_grid` reads them."""
        return f"{self.columns}x{self.rows}"

    @property
    def is_whole(self) -> bool:
        """Whether the network sees the whole frame at once."""
        return self.count == 1 and self.region == WHOLE

    def __str__(self) -> str:
        tiles = f"{self.grid} tiles" if self.count > 1 else "one picture"
        return (
            tiles if self.region == WHOLE else f"{tiles} of the region {', '.join(f'{side:g}' for side in self.region)}"
        )


def parse_grid(text: str) -> tuple[int, int]:
    """Columns and rows from a text such as `2x1`. Raises ValueError, which says how to write it."""
    found = _GRID.fullmatch(text)
    if found is None:
        raise ValueError(f'should be columns x rows, like "2x1" for a left and a right half; is {text!r}')
    columns, rows = int(found[1]), int(found[2])
    if not (1 <= columns <= MOST_TILES and 1 <= rows <= MOST_TILES):
        raise ValueError(f"should be 1 to {MOST_TILES} columns and 1 to {MOST_TILES} rows, is {columns}x{rows}")
    return columns, rows


def check_region(region: Sequence[float]) -> Region:
    """The region, ended at the frame's edges. Raises ValueError for one that is empty or not in the frame."""
    if len(region) != 4:
        raise ValueError(f"should be four fractions of the frame, [x, y, width, height], and has {len(region)}")
    x, y, width, height = region
    if not all(0 <= side <= 1 + ROUNDING for side in region):
        outside = next(side for side in region if not 0 <= side <= 1 + ROUNDING)
        raise ValueError(f"should be fractions of the frame from 0 to 1, and one is {outside:g}: {DIVIDE}")
    if not (width > 0 and height > 0):
        raise ValueError("has no area: its third and fourth number are its width and height, above 0")
    if x + width > 1 + ROUNDING or y + height > 1 + ROUNDING:
        side, end = ("right", x + width) if x + width > 1 + ROUNDING else ("lower", y + height)
        raise ValueError(
            f"ends at {end:g}, beyond the {side} edge of the frame: it is x, y, width, height, not two corners"
        )
    return x, y, min(width, 1 - x), min(height, 1 - y)


def cut(size: tuple[int, int], tiling: Tiling) -> tuple[Rectangle, ...]:
    """The tiles of a frame of `size` (width, height), row by row, all of one size and together the whole region."""
    x, y, width, height = tiling.region
    columns = _parts(*_span(x, width, size[0]), tiling.columns, tiling.overlap)
    rows = _parts(*_span(y, height, size[1]), tiling.rows, tiling.overlap)
    return tuple((left, top, right, bottom) for top, bottom in rows for left, right in columns)


def crop(image: BgrImage, tile: Rectangle) -> BgrImage:
    """The part of an (H, W, 3) image in a tile, as a view of it."""
    left, top, right, bottom = tile
    return image[top:bottom, left:right]


def bounds(rectangles: Sequence[Rectangle]) -> Rectangle:
    """The rectangle around all of these."""
    lefts, tops, rights, bottoms = zip(*rectangles, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def scaled(tile: Rectangle, size: tuple[int, int], new_size: tuple[int, int]) -> Rectangle:
    """The rectangle in the frame at another size, (width, height); at least one pixel."""
    (left, right), (top, bottom) = (
        _span(first / before, (end - first) / before, after)
        for first, end, before, after in (
            (tile[0], tile[2], size[0], new_size[0]),
            (tile[1], tile[3], size[1], new_size[1]),
        )
    )
    return left, top, right, bottom


def enlargement(size: tuple[int, int], tiling: Tiling, input_size: tuple[int, int]) -> float:
    """How many times larger the network sees a person in a tile than in the whole frame; sizes are (width, height)."""
    left, top, right, bottom = cut(size, tiling)[0]
    return _scale((right - left, bottom - top), input_size) / _scale(size, input_size)


def too_small(size: tuple[int, int], tiling: Tiling, input_size: tuple[int, int]) -> tuple[str, str] | None:
    """The key and the reason why tiles of a frame of this size show too little; None where they show enough."""
    left, top, right, bottom = cut(size, tiling)[0]
    tile_size = right - left, bottom - top
    shown = min(tile_size) * min(1.0, _scale(tile_size, input_size))
    if tiling.is_whole or shown >= LEAST_SIDE:
        return None
    key, remedy = ("region", "give a larger one") if tiling.count == 1 else ("tiles", "give fewer, or a larger region")
    return key, (
        f"of a {size[0]}x{size[1]} picture the network would see {tile_size[0]}x{tile_size[1]} at a time, of which "
        f"{shown:.0f} pixels are left at its input size, and {LEAST_SIDE} are the least: {remedy}"
    )


def several_calls(tiling: Tiling, largest_batch: int) -> str | None:
    """The sentence about a camera whose tiles the network cannot take in one call; None where it can."""
    if tiling.count <= largest_batch:
        return None
    calls = -(-tiling.count // largest_batch)
    return (
        f"its {tiling.count} tiles take {calls} calls of the network for each frame, as this one takes "
        f"{largest_batch} image{'s' * (largest_batch != 1)} at once: set [model] max_batch = {tiling.count} and restart"
    )


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    """The first pixel of a side and the one after its last: at least one pixel of the frame."""
    first = min(round(start * pixels), pixels - 1)
    return first, max(first + 1, min(round((start + length) * pixels), pixels))


def _parts(first: int, end: int, count: int, overlap: float) -> list[tuple[int, int]]:
    """So many equal parts of a side, the first at its beginning, the last at its end."""
    whole = end - first
    length = min(whole, -int(-whole // (count - (count - 1) * overlap)))
    starts = [first + round(place * (whole - length) / max(1, count - 1)) for place in range(count)]
    return [(start, start + length) for start in starts]


def _scale(size: tuple[int, int], input_size: tuple[int, int]) -> float:
    """How many pixels of the network's input show one pixel of a picture."""
    return min(input_size[0] / size[0], input_size[1] / size[1])
