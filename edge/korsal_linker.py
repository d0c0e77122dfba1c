"""The linking of KORSAL and of ROAD, to compare with: each class by itself, greedily, the best score in reach. Pure.

As `incremental_linking.m` and `actionPaths.m` of KORSAL (Abeywardena et al. 2021) in its three folders and, where the
last is `Original`, of ROAD (Singh et al. 2017), path for path and box for box: overlaps are computed in float64 and,
between frames, with one pixel added to each side. What a tube does where nothing is in reach depends on the variant: it
repeats its last box ("without BBOX"), repeats its last step ("with BBOX"), or leaves a gap that is filled with its last
box once it is found again (ROAD). One person gets a tube for each class that fires on them.

Not kept: the path's running sum of edge scores, which nothing reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.detector import Detections
from edge.linker import LinkerState, elapsed_units
from edge.tubes import TubeBox

MIN_SCORE = 0.001  # of a detection; the one home of KORSAL's threshold, for the daemon and for evaluation
BEFORE_NMS = 50
NMS_IOU = 0.45
AFTER_NMS = 10
LINK_IOU = 0.1
MAX_MISSED = 5  # frames of the published rule, UNITs here
ORDER_BEST = 6  # MATLAB's `num_sc-jumpgap : num_sc` with a gap of 5 takes six
MAX_STEP = np.array([3.0, 1.0, 3.0, 1.0])  # pixels a frame, to the right and down; to the left and up there is no limit
MAX_CORNER = np.array([320.0, 240.0, 320.0, 240.0])  # the frames of UCF101-24 and J-HMDB-21, whatever the camera's are

Floats = NDArray[np.float64]
EdgeScore = Literal["score", "scrSim", "scrMinusSim"]


@dataclass(frozen=True)
class KorsalSettings:
    """The variant.

    `when_missed`: what a tube does where nothing is in reach: "repeat" its box, its last "step", or leave a "gap".
    `edge_score`: what boxes are chosen by: their score; how similar their class scores are to the tube's last (1 − the
    distance); or the sum of both. A tube for which these sum up to no more than 0 over all boxes in reach takes none.
    `dense`: every box stands for all classes with their scores, as in ROAD; otherwise only for its best, as in KORSAL.
    """

    when_missed: Literal["repeat", "step", "gap"] = "repeat"
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
    """The boxes of one frame that one class may be linked to, n ≤ 10, scores falling; `class_scores` (n, classes)."""

    boxes: Floats  # (n, 4), x1 y1 x2 y2, pixels of the source frame
    scores: Floats  # (n,), of the class
    class_scores: Floats


@dataclass(frozen=True, eq=False)
class ClassTube:
    """A live tube of one class. `best` are its highest scores, repeats counted, at most 6, falling.

    `before` is the box `pace` UNITs before `box`, None in the tube's first; `missed`: UNITs since a box was in reach.
    """

    tube: int
    label: int
    box: Floats  # (4,), x1 y1 x2 y2, pixels of the source frame
    score: float
    class_scores: Floats  # (classes,)
    best: tuple[float, ...]
    before: Floats | None = None
    missed: float = 0.0
    pace: float = 1.0


@dataclass(frozen=True)
class KorsalLinker:
    """KORSAL's rule in one of its variants."""

    settings: KorsalSettings = KorsalSettings()
    minimum_score: float = MIN_SCORE

    def step(self, state: LinkerState, detections: Detections, time: float) -> tuple[LinkerState, tuple[TubeBox, ...]]:
        """As `Linker.step`. The last box of a tube that ends is still among this frame's."""
        elapsed = elapsed_units(state, time)
        live = state.live if isinstance(state.live, tuple) else ()
        classes = max([detections.class_scores.shape[1], *(tube.label + 1 for tube in live)])
        updated, started = _link(live, detections, classes, state.next_tube, elapsed, self.settings)
        alive = tuple(tube for tube in updated if tube.missed + 0.5 < MAX_MISSED)
        boxes = tuple(_tube_box(tube, classes) for tube in (*updated, *started))
        return LinkerState(time, elapsed, state.next_tube + len(started), (*alive, *started)), boxes


def _link(
    live: Sequence[ClassTube],
    detections: Detections,
    classes: int,
    next_tube: int,
    elapsed: float,
    settings: KorsalSettings,
) -> tuple[list[ClassTube], list[ClassTube]]:
    """The live tubes after this frame, in the order in which they choose next, and those that start in it."""
    class_scores = _class_scores(detections, classes, settings)
    updated: list[ClassTube] = []
    started: list[ClassTube] = []
    for label in sorted({tube.label for tube in live} | set(np.flatnonzero(class_scores.any(axis=0)).tolist())):
        found = candidates(detections.boxes, class_scores, label)
        tubes, free = _extend([tube for tube in live if tube.label == label], found, elapsed, settings)
        updated += tubes
        for i in free:
            score, number = float(found.scores[i]), next_tube + len(started)
            started.append(ClassTube(number, label, found.boxes[i], score, found.class_scores[i], (score,)))
    updated.sort(key=lambda tube: -_mean(tube.best))  # stable: of equals the older first
    return updated, started


def candidates(boxes: NDArray[np.float32], class_scores: Floats, label: int) -> Candidates:
    """The boxes (N, 4) of one frame, class scores (N, classes), that may be linked in one class."""
    scores = class_scores[:, label]
    chosen = np.flatnonzero(scores > np.float32(MIN_SCORE))
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][:BEFORE_NMS]
    chosen = chosen[_nms(boxes[chosen].astype(np.float64), scores[chosen])[:AFTER_NMS]]
    return Candidates(boxes[chosen].astype(np.float64), scores[chosen], class_scores[chosen])


def _class_scores(detections: Detections, classes: int, settings: KorsalSettings) -> Floats:
    """(N, classes): the scores of each box for each class."""
    given = np.zeros((len(detections.scores), classes))
    if settings.dense:
        given[:, : detections.class_scores.shape[1]] = detections.class_scores
    else:
        given[np.arange(len(given)), detections.labels] = detections.scores
    return given


def _nms(boxes: Floats, scores: Floats) -> list[int]:
    """Indices of the boxes that no kept one overlaps by more than 0.45, scores falling; of equals the last first."""
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


def _edge_scores(tubes: Sequence[ClassTube], found: Candidates, kind: EdgeScore) -> Floats:
    """(T, n) the edge score of each box for each tube, 0 where it is out of reach."""
    last = np.array([tube.box for tube in tubes]).reshape(-1, 4)
    reach = overlap(last, found.boxes, added=1) >= LINK_IOU
    if kind == "score":
        return np.where(reach, found.scores, 0)
    classes = found.class_scores.shape[1]
    last_scores = np.array([np.resize(tube.class_scores, classes) for tube in tubes]).reshape(-1, 1, classes)
    similarity = 1 - np.sqrt(((last_scores - found.class_scores) ** 2).sum(axis=2))
    return np.where(reach, similarity if kind == "scrSim" else found.scores + similarity, 0)


def _extend(
    tubes: Sequence[ClassTube], found: Candidates, elapsed: float, settings: KorsalSettings
) -> tuple[list[ClassTube], list[int]]:
    """The tubes, each in turn with its best box or without one, and the indices of the boxes left over."""
    edges = _edge_scores(tubes, found, settings.edge_score)
    free = list(range(len(found.scores)))
    updated = []
    for row, tube in enumerate(tubes):
        if edges[row].sum() > 0:
            choice = int(edges[row].argmax())
            edges[:, choice] = 0
            free.remove(choice)
            updated.append(_continued(tube, found, choice, elapsed))
        else:
            updated.append(_missed(tube, elapsed, settings))
    return updated, free


def _continued(tube: ClassTube, found: Candidates, choice: int, elapsed: float) -> ClassTube:
    score = float(found.scores[choice])
    box, class_scores = found.boxes[choice], found.class_scores[choice]
    return ClassTube(tube.tube, tube.label, box, score, class_scores, _best(tube, score), tube.box, 0.0, elapsed)


def _missed(tube: ClassTube, elapsed: float, settings: KorsalSettings) -> ClassTube:
    missed = tube.missed + elapsed
    if settings.when_missed == "gap":
        return replace(tube, missed=missed)
    box = _extrapolated(tube, elapsed) if settings.when_missed == "step" else tube.box
    return replace(tube, box=box, before=tube.box, best=_best(tube, tube.score), missed=missed, pace=elapsed)


def _extrapolated(tube: ClassTube, elapsed: float) -> Floats:
    if tube.before is None or not tube.pace:
        return tube.box
    moved: Floats = tube.box + np.minimum((tube.box - tube.before) / tube.pace, MAX_STEP) * elapsed
    kept: Floats = np.clip(moved, 0, MAX_CORNER)
    return kept


def _best(tube: ClassTube, score: float) -> tuple[float, ...]:
    return tuple(sorted((*tube.best, score), reverse=True)[:ORDER_BEST])


def _mean(best: Sequence[float]) -> float:
    """Summed from the lowest up, as in the original: the order of two tubes may depend on the last digit."""
    return float(np.add.reduce(np.array(best[::-1]))) / len(best)


def _tube_box(tube: ClassTube, classes: int) -> TubeBox:
    class_scores = np.zeros(classes, np.float32)
    class_scores[tube.label] = tube.score
    box = tube.box.astype(np.float32)
    return TubeBox(tube.tube, tube.label, box, float(np.float32(tube.score)), class_scores, observed=tube.missed == 0)
