"""One frame as the live page shows it: its JPEG, and who is where and does what. Pure."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.detector import frame_size
from edge.events import EventState
from edge.pipeline import StepResult
from edge.sources import Frame
from edge.tubes import TubeBox

QUALITY = 75  # JPEG's


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
