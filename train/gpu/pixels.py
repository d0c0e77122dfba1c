"""Frames in device memory, recoloured, moved and erased as `train.augment.apply` does. Pure.

Whole numbers are computed as OpenCV computes them, so that every grey level is the same: cv2.transform takes colours
as multiples of 1/1024, cv2.warpAffine reads at multiples of 1/32 px (`edge.letterbox.read_positions`) and rounds
halves up.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge.letterbox import STEPS, read_positions
from train.augment import ERASED, Augmentation

COLOUR_BITS = 10  # cv2.transform on 8 bits: factors are whole numbers of 1 / 2**10
WHITE = 255


@dataclass(frozen=True, eq=False)
class FrameMemory:
    """Decoded frames of any sizes, one after the other, on one device."""

    pixels: Tensor  # (P, 3) uint8, B G R
    starts: Tensor  # (F,) int64, the first pixel of each frame
    sizes: Tensor  # (F, 2) int64, height and width


@dataclass(frozen=True, eq=False)
class Moves:
    """How the frames of a batch are changed, on their device."""

    columns: Tensor  # (B, w) int64, x in the frame that each column of the input is read at, 1 / STEPS px
    rows: Tensor  # (B, h) int64, likewise y
    colours: Tensor  # (B, 3, 4) int32, on B G R 1, 1 / 2**COLOUR_BITS
    erased: Tensor  # (B, 4) int64, first row, last + 1, first column, last + 1 of what becomes grey


def move_of(drawn: Augmentation, input_size: tuple[int, int]) -> dict[str, NDArray[np.int64]]:
    """One frame's part of `Moves`, by name; `input_size` is (width, height)."""
    columns, rows = read_positions(drawn.matrix, input_size)
    erased = [edge for span in drawn.erased for edge in (span.start, span.stop)] if drawn.erased else [0] * 4
    return {
        "columns": columns,
        "rows": rows,
        "colours": whole_colours(drawn.colour),
        "erased": np.array(erased, np.int64),
    }


def whole_colours(colour: NDArray[np.float32]) -> NDArray[np.int64]:
    """A colour matrix (3, 4) as cv2.transform takes it for 8 bits; half a grey level is added, so that it rounds."""
    half = np.array([0, 0, 0, 0.5], np.float32)
    whole: NDArray[np.int64] = np.rint((colour + half) * np.float32(1 << COLOUR_BITS)).astype(np.int64)
    return whole


def moved(memory: FrameMemory, frames: Tensor, moves: Moves) -> Tensor:
    """The frames (B,) as grey levels of the input (B, 3, h, w) int32; black where a frame does not reach."""
    start, size = memory.starts[frames], memory.sizes[frames]
    first_row, below = _split(moves.rows)
    first_column, right = _split(moves.columns)
    total: Tensor | int = 0
    for down in (0, 1):
        row = first_row + down  # (B, h)
        for across in (0, 1):
            column = first_column + across  # (B, w)
            weight = _outer(below if down else STEPS - below, right if across else STEPS - right)
            weight = weight * _outer(_inside(row, size[:, 0]), _inside(column, size[:, 1]))
            place = start[:, None, None] + _clamped(row, size[:, 0])[:, :, None] * size[:, 1, None, None]
            place = place + _clamped(column, size[:, 1])[:, None, :]  # (B, h, w)
            total = total + weight[:, None] * _recoloured(memory.pixels, place, moves.colours)
    assert isinstance(total, Tensor)
    levels = (total + STEPS**2 // 2) >> (STEPS**2).bit_length() - 1
    return torch.where(_erased(moves.erased, *levels.shape[2:])[:, None], ERASED, levels)


def _split(positions: Tensor) -> tuple[Tensor, Tensor]:
    """Whole pixels, rounded down, and what is left, 1 / STEPS px, int32."""
    whole = torch.div(positions, STEPS, rounding_mode="floor")
    return whole, (positions - whole * STEPS).int()


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    """(B, h) and (B, w) → (B, h, w)."""
    return rows[:, :, None] * columns[:, None, :]


def _inside(places: Tensor, size: Tensor) -> Tensor:
    """(B, n) int32, 1 where a place lies in the frame."""
    return ((places >= 0) & (places < size[:, None])).int()


def _clamped(places: Tensor, size: Tensor) -> Tensor:
    return torch.minimum(places.clamp(min=0), size[:, None] - 1)


def _recoloured(pixels: Tensor, place: Tensor, colours: Tensor) -> Tensor:
    """The pixels at these places (B, h, w), as cv2.transform recolours them: (B, 3, h, w) int32."""
    blue, green, red = (channel[:, None] for channel in pixels[place].int().unbind(-1))  # (B, 1, h, w) each
    b, g, r, lift = (factor[:, :, None, None] for factor in colours.unbind(-1))  # (B, 3, 1, 1) each
    return ((blue * b + green * g + red * r + lift) >> COLOUR_BITS).clamp(0, WHITE)


def _erased(edges: Tensor, height: int, width: int) -> Tensor:
    """(B, h, w) bool."""
    row, column = (torch.arange(side, device=edges.device) for side in (height, width))
    top, bottom, left, right = edges[:, :, None].unbind(1)  # (B, 1) each
    return ((row >= top) & (row < bottom))[:, :, None] & ((column >= left) & (column < right))[:, None, :]
