"""Synthetic detections of annotated videos: the truth as a mediocre network might detect it. Arithmetic, by a seed.

A person's box has an error, relative to its size, that stays with the tube and one that changes from frame to frame;
its scores drift, a wrong class is second, or first throughout; single frames and whole stretches of 1 to 30 frames are
missing; it is detected before and after its action too. Besides people there are false positives that last and some
that flash.

The defaults were set by what `korsal` scores on them; docs/linking-experiments.md compares that with its paper.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.detector import Detections
from train.datasets.annotation_records import GroundTruthTube, VideoAnnotation

WIDTH, HEIGHT = 320, 240
Row = tuple[int, NDArray[np.float32], NDArray[np.float32]]  # frame, box, class scores


@dataclass(frozen=True)
class Jitter:
    """How bad the network is: relative to a box's sides, as probabilities, or as counts; scores are logits."""

    lasting: float = 0.035  # standard deviation of the error that stays with a tube, of each corner
    passing: float = 0.03  # of the one that changes: half of it is left in the next frame
    growth: float = 0.5  # both grow by this share where the box is as large as the frame
    misnamed: float = 0.05  # of the videos have a wrong class first
    logit: float = 0.2
    spread: float = 0.8  # between tubes
    wander: float = 0.8  # between frames, 0.8 of it is left in the next
    second: float = -2.5  # the logit of the wrong class, or of the right one where misnamed
    missing: float = 0.1  # of all frames
    occlusions: float = 0.004  # begin in so many frames
    longest: int = 30
    twice: float = 0.15  # of the boxes have a weaker neighbour
    outside: float = 0.5  # of the ends of a tube: the person is detected beyond it
    outside_frames: float = 40.0  # in the mean
    outside_logit: float = -1.5  # added
    lasting_alarms: float = 0.02  # begin in each frame
    alarm_frames: float = 20.0  # in the mean
    alarm_logit: float = -2.5
    flashes: float = 0.6  # in each frame, in the mean


def detections(video: VideoAnnotation, classes: int, jitter: Jitter, random: np.random.Generator) -> list[Detections]:
    """The detections of each frame of a video, scores falling."""
    wrong = int(random.integers(classes))
    misnamed = bool(random.random() < jitter.misnamed)
    rows: list[Row] = []
    for tube in video.tubes:
        rows += _person(tube, video.frames, wrong, misnamed, classes, jitter, random)
    for frame in np.flatnonzero(random.random(video.frames) < jitter.lasting_alarms).tolist():
        rows += _alarm(frame, video.frames, classes, jitter, random)
    for frame in np.repeat(np.arange(video.frames), random.poisson(jitter.flashes, video.frames)).tolist():
        rows.append((frame, _anywhere(random), _one_hot(random.normal(-3, 1), int(random.integers(classes)), classes)))
    by_frame: list[list[Row]] = [[] for _ in range(video.frames)]
    for row in rows:
        by_frame[row[0]].append(row)
    return [_frame(found, classes) for found in by_frame]


def _person(
    tube: GroundTruthTube,
    length: int,
    wrong: int,
    misnamed: bool,
    classes: int,
    jitter: Jitter,
    random: np.random.Generator,
) -> list[Row]:
    """One person's boxes in and around the action."""
    before, after = (
        int(random.exponential(jitter.outside_frames)) if random.random() < jitter.outside else 0 for _ in range(2)
    )
    begin, end = max(tube.first_frame - before, 0), min(tube.end_frame + after, length)
    frames = np.arange(begin, end)
    inside = (frames >= tube.first_frame) & (frames < tube.end_frame)
    true = tube.boxes[np.clip(frames - tube.first_frame, 0, len(tube.boxes) - 1)].astype(np.float64)
    boxes = _jittered(true, jitter, random)
    base = jitter.logit + random.normal(0, jitter.spread) + np.where(inside, 0, jitter.outside_logit)
    first = base + _wandering(len(frames), 0.8, random) * jitter.wander
    second = jitter.second + _wandering(len(frames), 0.8, random) * jitter.wander
    scores = np.full((len(frames), classes), 0.002)
    scores[:, wrong] = _sigmoid(first if misnamed else second)
    scores[:, tube.label] = _sigmoid(second if misnamed and wrong != tube.label else first)
    detected = (random.random(len(frames)) >= jitter.missing) & ~_occluded(len(frames), jitter, random)
    twin = detected & (random.random(len(frames)) < jitter.twice)
    near = _jittered(true, jitter, random)
    rows = [(int(frames[i]), boxes[i], scores[i].astype(np.float32)) for i in np.flatnonzero(detected)]
    return rows + [(int(frames[i]), near[i], (scores[i] * 0.6).astype(np.float32)) for i in np.flatnonzero(twin)]


def _jittered(true: NDArray[np.float64], jitter: Jitter, random: np.random.Generator) -> NDArray[np.float32]:
    sides = np.tile(true[:, 2:] - true[:, :2], 2)
    grown = 1 + jitter.growth * (sides / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]))
    passing = np.stack([_wandering(len(true), 0.5, random) for _ in range(4)], axis=1)
    error = jitter.lasting * random.normal(0, 1, (1, 4)) + jitter.passing * passing
    return _in_frame(true + error * grown * sides)


def _alarm(first: int, length: int, classes: int, jitter: Jitter, random: np.random.Generator) -> list[Row]:
    count = min(1 + int(random.exponential(jitter.alarm_frames)), length - first)
    box, label = _anywhere(random).astype(np.float64), int(random.integers(classes))
    boxes = _jittered(np.tile(box, (count, 1)), jitter, random)
    logits = jitter.alarm_logit + random.normal(0, jitter.spread) + jitter.wander * _wandering(count, 0.8, random)
    return [(first + i, boxes[i], _one_hot(float(logits[i]), label, classes)) for i in range(count)]


def _anywhere(random: np.random.Generator) -> NDArray[np.float32]:
    sides = random.uniform([20, 30], [120, 160])
    corner = random.uniform([0, 0], np.array([WIDTH, HEIGHT]) - sides)
    return np.concatenate([corner, corner + sides]).astype(np.float32)


def _one_hot(logit: float, label: int, classes: int) -> NDArray[np.float32]:
    scores = np.full(classes, 0.002, np.float32)
    scores[label] = _sigmoid(np.array(logit))
    return scores


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    value: NDArray[np.float64] = 1 / (1 + np.exp(-logit))
    return value


def _wandering(count: int, kept: float, random: np.random.Generator) -> NDArray[np.float64]:
    """(count,) noise of deviation 1 of which the share `kept` is left in the next step."""
    step, values = (1 - kept**2) ** 0.5, list[float]()
    for fresh in random.normal(0, 1, count).tolist():
        values.append(kept * values[-1] + step * fresh if values else fresh)
    return np.array(values, np.float64)


def _occluded(count: int, jitter: Jitter, random: np.random.Generator) -> NDArray[np.bool_]:
    hidden = np.zeros(count, np.bool_)
    for begin in np.flatnonzero(random.random(count) < jitter.occlusions):
        hidden[begin : begin + int(random.integers(1, jitter.longest + 1))] = True
    return hidden


def _in_frame(boxes: NDArray[np.float64]) -> NDArray[np.float32]:
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    kept: NDArray[np.float32] = np.clip(np.hstack([low, high]), 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    return kept


def _frame(rows: list[Row], classes: int) -> Detections:
    """A peak for every class that scores at least 0.01, as the network gives them."""
    boxes = np.array([box for _, box, _ in rows], np.float32).reshape(-1, 4)
    dense = np.array([scores for _, _, scores in rows], np.float32).reshape(-1, classes)
    place, labels = np.nonzero(dense >= 0.01)
    order = np.argsort(-dense[place, labels], kind="stable")
    place, labels = place[order], labels[order]
    return Detections(boxes[place], dense[place, labels], labels, dense[place])
