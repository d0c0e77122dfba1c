"""One frame as the live page shows it: small, with its motion map, and who is where and does what. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import tiles
from edge.detector import frame_size
from edge.events import EventState
from edge.manifest import Manifest
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.tiles import Rectangle
from edge.tubes import TubeBox
from edge.video import motion_inset

MOST_PIXELS = 3840 * 2160  # of a picture


@dataclass(frozen=True, eq=False)
class MotionTile:
    """Where something moves in one tile of a frame: (h, w) of the network's input, 0 to 255."""

    tile: Rectangle
    brightness: NDArray[np.uint8]


def people(
    frame: Frame, state: EventState, result: StepResult, labels: Sequence[str], min_score: float
) -> list[dict[str, object]]:
    """The people of a frame, as JSON: `box` is x1 y1 x2 y2 in 0..1; `open`: the actions told now, by name.

    `state`: after the frame. Those without an open event are left out below `min_score` or where not observed.
    """
    told: dict[int, dict[str, float]] = {}
    for one in state.actions.values():
        if one.event_id:
            told.setdefault(one.tube, {})[one.action] = round(one.top_score, 3)
    size = frame_size(frame.image)
    seen = [one for one in result.tube_boxes if one.tube in told or (one.observed and one.score >= min_score)]
    return [_person(one, size, told.get(one.tube, {}), labels) for one in seen]


def _person(one: TubeBox, size: tuple[int, int], told: Mapping[str, float], labels: Sequence[str]) -> dict[str, object]:
    sides = np.nan_to_num(np.clip(one.box / np.array([*size, *size]), -1, 2)).round(4)
    return {
        "tube": one.tube,
        "box": [float(side) for side in sides],
        "action": labels[one.label],
        "score": round(float(np.nan_to_num(one.score)), 3),
        "observed": one.observed,
        "open": dict(told),
    }


def motion_tiles(image: NDArray[np.uint8], result: StepResult, manifest: Manifest) -> tuple[MotionTile, ...]:
    """What moves in a frame, tile by tile; () for a model without motion maps. Call it before the next step."""
    return tuple(
        MotionTile(
            one.tile, _bytes(motion_inset.motion_brightness(one.motion_map, tiles.crop(image, one.tile), manifest))
        )
        for one in result.motion()
    )


def _bytes(brightness: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(cv2.convertScaleAbs(brightness, alpha=255), np.uint8)


def small_picture(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, at most `width` pixels wide and MOST_PIXELS in all; the frame itself where it is no larger."""
    size = frame_size(image)
    shown = shown_size(size, width)
    if shown == size:
        return image
    return np.asarray(cv2.resize(image, shown, interpolation=cv2.INTER_AREA), np.uint8)


def shown_size(size: tuple[int, int], width: int) -> tuple[int, int]:
    """(width, height) at which a frame of `size` is shown."""
    scale = min(1.0, width / size[0], math.sqrt(MOST_PIXELS / (size[0] * size[1])))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
