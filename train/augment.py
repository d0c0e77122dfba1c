"""Augmentation, drawn once and applied to every frame of a sample alike. Pure."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import boxes as box_ops
from edge import letterbox

ERASED = 114  # grey level
MINIMUM_VISIBLE = 0.35  # share of a box that must stay inside the crop for it to be kept


@dataclass(frozen=True)
class AugmentSettings:
    """How far frames of a sample may be changed; every range is drawn from uniformly."""

    flip: float = 0.5  # probability
    zoom_in: float = 1.5  # zoom between 1 / zoom_out and zoom_in, log-uniform
    zoom_out: float = 1.25
    stretch: float = 1.15  # width, while height shrinks as much, and the other way round
    shift: float = 0.15  # of the input size, either way
    brightness: float = 0.15  # of full range, either way
    contrast: float = 0.25  # gain between 1 - contrast and 1 + contrast
    saturation: float = 0.4  # likewise
    hue: float = 8.0  # degrees, either way
    grey: float = 0.05  # probability
    erase: float = 0.1  # probability of one grey rectangle of up to a quarter of each side


NO_AUGMENTATION = AugmentSettings(0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Augmentation:
    """One draw: what happens to the colours, where source pixels go, and what is erased then."""

    colour: NDArray[np.float32]  # (3, 4), on B, G, R, 1 from 0 to 255
    matrix: NDArray[np.float64]  # (2, 3), source pixels → input pixels
    erased: tuple[slice, ...] | None  # rows and columns of the input


def draw(
    settings: AugmentSettings, source_size: tuple[int, int], input_size: tuple[int, int], random: np.random.Generator
) -> Augmentation:
    """Draw one augmentation for frames of `source_size` on the way to `input_size`, both (width, height)."""
    matrix = _jitter(settings, input_size, random) @ _homogeneous(letterbox.affine(source_size, input_size))
    erased = _rectangle(input_size, random) if random.random() < settings.erase else None
    return Augmentation(_colour_matrix(settings, random), matrix[:2], erased)


def apply(augmentation: Augmentation, image: NDArray[np.uint8], input_size: tuple[int, int]) -> NDArray[np.uint8]:
    """One frame, (h, w, 3) uint8 BGR of the input size; black where the source does not reach."""
    recoloured = cv2.transform(image, augmentation.colour)
    warped = cv2.warpAffine(recoloured, augmentation.matrix, input_size, flags=cv2.INTER_LINEAR)
    if augmentation.erased is not None:
        warped[augmentation.erased] = ERASED
    return warped.astype(np.uint8, copy=False)


def move(
    augmentation: Augmentation, boxes: NDArray[np.float32], labels: NDArray[np.int64], input_size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes in input pixels, clipped; those with less than MINIMUM_VISIBLE of them inside are left out."""
    corners = letterbox.transform(boxes, augmentation.matrix)
    mirrored = corners[:, [2, 1, 0, 3]]
    moved = np.where(corners[:, :1] <= corners[:, 2:3], corners, mirrored)
    clipped = box_ops.clip(moved, *input_size)
    visible = box_ops.area(clipped) >= MINIMUM_VISIBLE * np.maximum(box_ops.area(moved), 1e-6)
    return clipped[visible], labels[visible]


def _homogeneous(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def _log_uniform(low: float, high: float, random: np.random.Generator) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def _jitter(settings: AugmentSettings, input_size: tuple[int, int], random: np.random.Generator) -> NDArray[np.float64]:
    """(3, 3): zoom, stretch and mirror about the middle of the input, then shift."""
    width, height = input_size
    zoom = _log_uniform(1 / settings.zoom_out, settings.zoom_in, random)
    stretch = _log_uniform(1 / settings.stretch, settings.stretch, random)
    mirror = -1.0 if random.random() < settings.flip else 1.0
    shift = random.uniform(-settings.shift, settings.shift, 2) * (width, height)
    x, y = mirror * zoom * stretch, zoom / stretch
    return np.array(
        [
            [x, 0.0, (1 - x) * width / 2 + shift[0]],
            [0.0, y, (1 - y) * height / 2 + shift[1]],
            [0.0, 0.0, 1.0],
        ]
    )


def _colour_matrix(settings: AugmentSettings, random: np.random.Generator) -> NDArray[np.float32]:
    """(3, 4) on BGR 0..255: saturation and hue about the grey axis, then contrast and brightness."""
    grey_weights = np.array([0.114, 0.587, 0.299])
    to_grey = np.tile(grey_weights, (3, 1))
    saturation = 0.0 if random.random() < settings.grey else 1 + random.uniform(-1, 1) * settings.saturation
    rotation = _rotation_about_grey(np.deg2rad(random.uniform(-settings.hue, settings.hue)))
    colour = (saturation * np.eye(3) + (1 - saturation) * to_grey) @ rotation
    gain = 1 + random.uniform(-settings.contrast, settings.contrast)
    lift = 255 * random.uniform(-settings.brightness, settings.brightness) + 127.5 * (1 - gain)
    return np.hstack([gain * colour, np.full((3, 1), lift)]).astype(np.float32)


def _rotation_about_grey(angle: float) -> NDArray[np.float64]:
    """(3, 3) rotation by `angle` radians about (1, 1, 1) (Rodrigues)."""
    cosine, sine = np.cos(angle), np.sin(angle) / np.sqrt(3)
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    rotation: NDArray[np.float64] = cosine * np.eye(3) + sine * cross + (1 - cosine) / 3
    return rotation


def _rectangle(input_size: tuple[int, int], random: np.random.Generator) -> tuple[slice, ...]:
    """Rows and columns of a random rectangle, up to a quarter of each side."""
    spans: list[slice] = []
    for side in reversed(input_size):
        length = int(random.uniform(0.05, 0.25) * side)
        start = int(random.integers(0, side - length + 1))
        spans.append(slice(start, start + length))
    return tuple(spans)
