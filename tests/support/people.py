"""Synthetic people for the stories of linker and events: their detections, and their tube boxes."""

from typing import Any

import numpy as np

from edge.default_linker import DefaultLinker
from edge.detector import Detections
from edge.linker import UNIT, initial
from edge.sources import Frame
from edge.tubes import TubeBox

RUN, JUMP, SIT = 0, 1, 2
LABELS = ("Run", "Jump", "Sit")
LINKER = DefaultLinker()


def standing(x: float, y: float = 100.0, width: float = 40.0, height: float = 100.0) -> Any:
    """The box of a person whose centre is at x, y."""
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def person(x: float, run: float = 0.0, jump: float = 0.0, sit: float = 0.0, **box: Any) -> Any:
    """One peak of the network: (box, scores of Run, Jump, Sit)."""
    return standing(x, **box), (run, jump, sit)


def detected(*people: Any) -> Any:
    """Detections of one frame, scores falling."""
    boxes = np.array([box for box, _ in people], np.float32).reshape(-1, 4)
    class_scores = np.array([scores for _, scores in people], np.float32).reshape(-1, len(LABELS))
    scores = class_scores.max(axis=1)
    order = np.argsort(-scores, kind="stable")
    labels = class_scores.argmax(axis=1).astype(np.int64)
    return Detections(boxes[order], scores[order], labels[order], class_scores[order])


def linked(frames: Any, linker: Any = LINKER, first: int = 0) -> Any:
    """The tube boxes of each frame of a story, a sequence of `detected(...)`."""
    state, story = initial(), []
    for number, detections in enumerate(frames, first):
        state, tube_boxes = linker.step(state, detections, number * UNIT)
        story.append(tube_boxes)
    return story


def history(story: Any, first: int = 0) -> Any:
    """A story as the (frame, TubeBox) pairs that `action_tubes` reads."""
    return [(frame, tube_box) for frame, tube_boxes in enumerate(story, first) for tube_box in tube_boxes]


def tube_box(
    tube: int = 1,
    run: float = 0.0,
    jump: float = 0.0,
    sit: float = 0.0,
    box: Any = (100, 50, 140, 150),
    observed: bool = True,
) -> Any:
    """The tube box of one person."""
    scores = np.array([run, jump, sit], np.float32)
    label = int(scores.argmax())
    return TubeBox(tube, label, np.array(box, np.float32), float(scores[label]), scores, observed)


def frame(index: int, fps: float = 10.0, size: Any = (320, 240), start: float = 1_700_000_000.0) -> Any:
    """Frame number `index` of a camera; its unix time and its monotonic time run apart, as they do."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    return Frame("door", index, start + index / fps, 50 + index / fps, image)
