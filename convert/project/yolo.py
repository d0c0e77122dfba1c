"""People out of a detector of others, whose ONNX has the inputs and outputs of YOLO. Shell over ONNX Runtime.

Input: one image (1, 3, h, w) float32, RGB from 0 to 1, letterboxed with grey. Output, the first one, in pixels of the
input, one of

- (1, 4 + classes, N): centre x, y, width, height and a score for each class, as YOLOv8 and YOLO11 have it;
- (1, N, 5 + classes): the same with the score of there being anything in between, as YOLOv5 and YOLOX have it;
- (1, N, 6): x1, y1, x2, y2, score, class, after suppression, as YOLOv10 has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge import boxes as box_ops
from edge import letterbox
from edge.detector import Detections
from edge.engines import onnx_metadata
from edge.inference import EngineError
from edge.text import first_line

GREY = (114, 114, 114)
USUAL_SIDE = 640  # pixels, of a model for images of any size
OVERLAP = 0.6  # IoU above which two boxes are one person
FINAL_COLUMNS = 6


@dataclass(frozen=True)
class YoloInput:
    """What the model takes: its name, (width, height)."""

    name: str
    size: tuple[int, int]


def opened(path: Path, person: int, least: float) -> Callable[[NDArray[np.uint8]], Detections]:
    """What finds people in an (H, W, 3) BGR frame; `person`: the number of their class. Raises EngineError."""
    import onnxruntime

    from edge.engines.onnxruntime_session import failures

    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path}: cannot be opened ({error.strerror}); give an ONNX file of a detector") from error
    if fault := onnx_metadata.fault(content):  # such as weights in another file, which may be any
        raise EngineError(f"{path}: {fault}")
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except failures() as error:
        raise EngineError(f"{path}: cannot be opened ({first_line(error)}); give an ONNX file of a detector") from error
    given = _input(session, path)

    def find(image: NDArray[np.uint8]) -> Detections:
        size = (image.shape[1], image.shape[0])
        matrix = letterbox.affine(size, given.size)
        fitted = cv2.warpAffine(image, matrix, given.size, flags=cv2.INTER_LINEAR, borderValue=GREY)
        network = np.ascontiguousarray(fitted[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32) / 255
        try:
            output = session.run(None, {given.name: network})[0]
        except failures() as error:
            raise EngineError(f"{path}: cannot run ({first_line(error)}); see `korsal-train propose --help`") from error
        boxes, scores = people(np.asarray(output), person, least, path)
        inside = box_ops.clip(letterbox.transform(boxes, letterbox.invert(matrix)), *size)
        return as_detections(inside, scores)

    return find


def _input(session: Any, path: Path) -> YoloInput:
    inputs = session.get_inputs()
    shape = list(inputs[0].shape) if inputs else []
    if len(inputs) != 1 or len(shape) != 4 or (shape[1] not in (3, None) and not isinstance(shape[1], str)):
        raise EngineError(f"{path}: takes {shape or 'nothing'}, and one image (1, 3, h, w) is wanted, as YOLO has it")
    if "float16" in inputs[0].type:
        raise EngineError(f"{path}: takes FP16; export it with FP32 inputs")
    height, width = (side if isinstance(side, int) and side > 0 else USUAL_SIDE for side in shape[2:])
    return YoloInput(inputs[0].name, (width, height))


def people(
    output: NDArray[Any], person: int, least: float, path: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N, 4) x1 y1 x2 y2, pixels of the input, and scores (N,), overlaps suppressed. Raises EngineError."""
    if output.ndim != 3 or len(output) != 1:
        raise EngineError(f"{path}: gives {output.shape}, which is none of YOLO; see `korsal-train propose --help`")
    rows = output[0].astype(np.float32)
    if rows.shape[1] == FINAL_COLUMNS and rows.shape[0] > FINAL_COLUMNS:
        chosen = rows[(np.rint(rows[:, 5]) == person) & (rows[:, 4] >= least)]
        return _suppressed(chosen[:, :4], chosen[:, 4])
    columns = rows.T if rows.shape[0] < rows.shape[1] else rows  # (N, 4 or 5 + classes)
    first = 4 if rows.shape[0] < rows.shape[1] else 5
    if first + person >= columns.shape[1]:
        raise EngineError(f"{path}: knows {columns.shape[1] - first} classes, none of number {person}; give --person")
    scores = columns[:, first + person] * (columns[:, 4] if first == 5 else 1)
    chosen, scores = columns[scores >= least], scores[scores >= least]
    half = chosen[:, 2:4] / 2
    return _suppressed(np.hstack([chosen[:, :2] - half, chosen[:, :2] + half]), scores)


def _suppressed(
    boxes: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    sound = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    boxes, scores = boxes[sound], np.clip(scores[sound], 0, 1)
    kept = box_ops.nms(boxes, scores, OVERLAP)
    return boxes[kept], scores[kept]


def as_detections(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> Detections:
    """People as detections of one action."""
    return Detections(boxes, scores, np.zeros(len(boxes), np.int64), scores[:, None].astype(np.float32))
