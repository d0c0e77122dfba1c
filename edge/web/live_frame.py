"""One frame as the live page shows it: its JPEG, its motion map, and who is where and does what. Pure."""

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

QUALITY = 75  # JPEG's
MOTION_SHARE = 0.5  # of the picture's width: a motion map is coarser anyway


@dataclass(frozen=True, eq=False)
class MotionTile:
    """Where something moves in one tile of a frame: (h, w) of the network's input, 0..1."""

    tile: Rectangle
    brightness: NDArray[np.float32]


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


def jpeg(image: NDArray[np.uint8], width: int) -> bytes:
    """(H, W, 3) uint8, BGR → JPEG, at most `width` pixels wide; b"" where it cannot be encoded."""
    scale = min(1.0, width / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    try:
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        done, content = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    except cv2.error:  # as for sides that a JPEG cannot have
        return b""
    return content.tobytes() if done else b""


def motion_tiles(image: NDArray[np.uint8], result: StepResult, manifest: Manifest) -> tuple[MotionTile, ...]:
    """What moves in a frame, tile by tile; () for a model without motion maps. Call it before the next step."""
    return tuple(
        MotionTile(one.tile, motion_inset.motion_brightness(one.motion_map, tiles.crop(image, one.tile), manifest))
        for one in result.motion()
    )


def motion_jpeg(motion: Sequence[MotionTile], image: NDArray[np.uint8], width: int) -> bytes:
    """The motion map of the whole frame in colour on black, to be laid over its picture; b"" where there is none."""
    if not motion:
        return b""
    size = frame_size(image)
    scale = min(1.0, MOTION_SHARE * width / size[0])
    shown = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    canvas = np.zeros((shown[1], shown[0], 3), np.uint8)
    for one in motion:
        patch = tiles.crop(canvas, tiles.scaled(one.tile, size, shown))
        if patch.size:
            patch[:] = motion_inset.heat_map(one.brightness, frame_size(patch))
    return jpeg(canvas, shown[0])
