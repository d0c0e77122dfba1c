"""The linking of KORSAL and of ROAD, to compare with: every class for itself, greedily, the best score in reach. Pure.

As `incremental_linking.m` and `actionPaths.m` of KORSAL (Abeywardena et al. 2021) in its three folders and, where the
last is `Original`, of ROAD (Singh et al. 2017), path for path and box for box: overlaps are counted in float64 and,
between frames, with one pixel added to each side. What a tube does where nothing is in reach is the variant's: it
repeats its last box ("without BBOX"), steps on as it stepped last ("with BBOX"), or leaves a gap that is filled with
its last box once it is found again (ROAD). One person gets a tube for each class that fires on them.

Not kept: the path's running sum of edge scores, which nothing reads.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.detector import Detections
from edge.tubes import ActionTube, Sighting, TubeBox, mean_of_best

MINIMUM_SCORE = 0.001
BEFORE_NMS = 50
NMS_IOU = 0.45
AFTER_NMS = 10
LINK_IOU = 0.1
MOST_MISSED = 5
ORDER_BEST = 6  # MATLAB's `num_sc-jumpgap : num_sc` with a gap of 5 takes six
TUBE_BEST = 40
MOST_STEP = np.array(
    [3.0, 1.0, 3.0, 1.0]
)  # pixels a frame, to the right and down; to the left and up there is no limit
FARTHEST = np.array([320.0, 240.0, 320.0, 240.0])  # the frames of UCF101-24 and J-HMDB-21, whatever the camera's are

Floats = NDArray[np.float64]
EdgeScore = Literal["score", "scrSim", "scrMinusSim"]


@dataclass(frozen=True)
class KorsalSettings:
    """Which of the variants.

    `lost`: what a tube does where nothing is in reach: "repeat" its box, take the last "step" again, or leave a "gap".
    `edge_score`: what the choice goes by: the box's score; how like its class scores are to the tube's last (1 − their
    distance); or the sum of both. A tube for which these sum up to no more than 0 over all boxes in reach takes none.
    `dense`: every box stands for all classes with their scores, as in ROAD; else for its best alone, as in KORSAL.
    """

    lost: Literal["repeat", "step", "gap"] = "repeat"
    edge_score: EdgeScore = "score"
    dense: bool = False


VARIANTS: Mapping[str, KorsalSettings] = {
    "korsal": KorsalSettings(),
    "korsal-step": KorsalSettings("step"),
    "korsal-scrSim": KorsalSettings(edge_score="scrSim"),
    "korsal-scrMinusSim": KorsalSettings(edge_score="scrMinusSim"),
    "road": KorsalSettings("gap"),
}


@dataclass(frozen=True, eq=False)
class Candidates:
    """What one class may be linked to in one frame, n ≤ 10, scores falling; `class_scores` (n, classes)."""

    boxes: Floats  # (n, 4), x1 y1 x2 y2, pixels of the source frame
    scores: Floats  # (n,), of the class
    class_scores: Floats


@dataclass(frozen=True, eq=False)
class ClassTube:
    """A live tube of one class. `best` are its highest scores, repeats counted, at most 6, falling.

    `before` is the box of the frame before `box`, None in the tube's first; `missed` counts the frames since a box was
    in reach.
    """

    tube: int
    label: int
    box: Floats  # (4,), x1 y1 x2 y2, pixels of the source frame
    score: float
    class_scores: Floats  # (classes,)
    best: tuple[float, ...]
    before: Floats | None = None
    missed: int = 0


def step(
    live: Sequence[ClassTube], detections: Detections, next_tube: int, settings: KorsalSettings
) -> tuple[tuple[ClassTube, ...], int, tuple[TubeBox, ...]]:
    """Link one frame: the tubes that stay alive, the next free number, and where every tube is in this frame.

    `live` is as the last step left it. A dying tube's last box is still in this frame's, no longer among the live.
    """
    classes = max([detections.class_scores.shape[1], *(tube.label + 1 for tube in live)])
    class_scores = _class_scores(detections, classes, settings)
    followed: list[ClassTube] = []
    born: list[ClassTube] = []
    for label in sorted({tube.label for tube in live} | set(np.flatnonzero(class_scores.any(axis=0)).tolist())):
        near = candidates(detections.boxes, class_scores, label)
        tubes, free = _follow([tube for tube in live if tube.label == label], near, settings)
        followed += tubes
        for i in free:
            score = float(near.scores[i])
            born.append(ClassTube(next_tube, label, near.boxes[i], score, near.class_scores[i], (score,)))
            next_tube += 1
    followed.sort(key=lambda tube: -_mean(tube.best))  # stable: of equals the older first
    alive = tuple(tube for tube in followed if tube.missed < MOST_MISSED)
    return (*alive, *born), next_tube, tuple(_tube_box(tube, classes) for tube in (*followed, *born))


def action_tubes(history: Iterable[Sighting], settings: KorsalSettings) -> list[ActionTube]:
    """The paths in a whole video's (frame, TubeBox) pairs, frames rising: all of more than 5 boxes, tails included.

    With gaps only detected boxes count, and the boxes after the last of them are none of the path. A path's score is
    the mean of its 40 best, as `convert2eval.m` has it where its labelling trims nothing.
    """
    lives: defaultdict[int, list[Sighting]] = defaultdict(list)
    for frame, tube_box in history:
        lives[tube_box.tube].append((frame, tube_box))
    paths = []
    for life in lives.values():
        found = [place for place, (_, tube_box) in enumerate(life) if tube_box.observed or settings.lost != "gap"]
        if len(found) > MOST_MISSED:
            paths.append(_action(life[: found[-1] + 1]))
    return paths


def candidates(boxes: NDArray[np.float32], class_scores: Floats, label: int) -> Candidates:
    """The boxes (N, 4) of one frame, class scores (N, classes), that may be linked in one class."""
    scores = class_scores[:, label]
    chosen = np.flatnonzero(scores > np.float32(MINIMUM_SCORE))
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][:BEFORE_NMS]
    chosen = chosen[_apart(boxes[chosen].astype(np.float64), scores[chosen])[:AFTER_NMS]]
    return Candidates(boxes[chosen].astype(np.float64), scores[chosen], class_scores[chosen])


def _class_scores(detections: Detections, classes: int, settings: KorsalSettings) -> Floats:
    """(N, classes): what each box says of each class."""
    given = np.zeros((len(detections.scores), classes))
    if settings.dense:
        given[:, : detections.class_scores.shape[1]] = detections.class_scores
    else:
        given[np.arange(len(given)), detections.labels] = detections.scores
    return given


def _apart(boxes: Floats, scores: Floats) -> list[int]:
    """Places of the boxes, scores falling, that none kept overlaps by more than 0.45; of equals the last first."""
    order = np.argsort(scores, kind="stable")[::-1]
    close = overlap(boxes, boxes) > NMS_IOU
    gone = np.zeros(len(boxes), np.bool_)
    kept = []
    for i in order.tolist():
        if not gone[i]:
            kept.append(i)
            gone |= close[i]
    return kept


def overlap(a: Floats, b: Floats, added: float = 0.0) -> Floats:
    """(N, M) intersection over union of boxes whose sides are longer by `added` pixels; 0 where they have no area."""
    a_sides, b_sides = a[:, 2:] - a[:, :2] + added, b[:, 2:] - b[:, :2] + added
    common = np.minimum((a[:, :2] + a_sides)[:, None], b[:, :2] + b_sides) - np.maximum(a[:, None, :2], b[:, :2])
    shared = np.prod(np.maximum(common, 0), axis=2)
    union = np.prod(a_sides, axis=1)[:, None] + np.prod(b_sides, axis=1) - shared
    ratio: Floats = np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
    return ratio


def _edges(tubes: Sequence[ClassTube], near: Candidates, kind: EdgeScore) -> Floats:
    """(T, n) what speaks for each box, 0 where it is out of reach."""
    last = np.array([tube.box for tube in tubes]).reshape(-1, 4)
    reach = overlap(last, near.boxes, added=1) >= LINK_IOU
    if kind == "score":
        return np.where(reach, near.scores, 0)
    classes = near.class_scores.shape[1]
    said = np.array([np.resize(tube.class_scores, classes) for tube in tubes]).reshape(-1, 1, classes)
    alike = 1 - np.sqrt(((said - near.class_scores) ** 2).sum(axis=2))
    return np.where(reach, alike if kind == "scrSim" else near.scores + alike, 0)


def _follow(
    tubes: Sequence[ClassTube], near: Candidates, settings: KorsalSettings
) -> tuple[list[ClassTube], list[int]]:
    """The tubes, in their order each taking its best box or losing it, and the boxes left over."""
    edges = _edges(tubes, near, settings.edge_score)
    free = list(range(len(near.scores)))
    followed = []
    for place, tube in enumerate(tubes):
        if edges[place].sum() > 0:
            choice = int(edges[place].argmax())
            edges[:, choice] = 0
            free.remove(choice)
            followed.append(_found(tube, near, choice))
        else:
            followed.append(_lost(tube, settings))
    return followed, free


def _found(tube: ClassTube, near: Candidates, choice: int) -> ClassTube:
    score = float(near.scores[choice])
    return ClassTube(
        tube.tube, tube.label, near.boxes[choice], score, near.class_scores[choice], _best(tube, score), tube.box
    )


def _lost(tube: ClassTube, settings: KorsalSettings) -> ClassTube:
    missed = tube.missed + 1
    if settings.lost == "gap":
        return replace(tube, missed=missed)
    box = _stepped(tube) if settings.lost == "step" else tube.box
    return replace(tube, box=box, before=tube.box, best=_best(tube, tube.score), missed=missed)


def _stepped(tube: ClassTube) -> Floats:
    if tube.before is None:
        return tube.box
    moved: Floats = tube.box + np.minimum(tube.box - tube.before, MOST_STEP)
    kept: Floats = np.clip(moved, 0, FARTHEST)
    return kept


def _best(tube: ClassTube, score: float) -> tuple[float, ...]:
    return tuple(sorted((*tube.best, score), reverse=True)[:ORDER_BEST])


def _mean(best: Sequence[float]) -> float:
    """Summed upwards, as the original does: the order of two tubes may hang on the last digit."""
    return float(np.add.reduce(np.array(best[::-1]))) / len(best)


def _tube_box(tube: ClassTube, classes: int) -> TubeBox:
    class_scores = np.zeros(classes, np.float32)
    class_scores[tube.label] = tube.score
    box = tube.box.astype(np.float32)
    return TubeBox(tube.tube, tube.label, box, float(np.float32(tube.score)), class_scores, observed=tube.missed == 0)


def _action(path: Sequence[Sighting]) -> ActionTube:
    scores = np.array([tube_box.score for _, tube_box in path], np.float32)
    return ActionTube(
        path[0][1].label,
        np.array([frame for frame, _ in path], np.int64),
        np.stack([tube_box.box for _, tube_box in path]),
        scores,
        mean_of_best(scores, TUBE_BEST),
    )
