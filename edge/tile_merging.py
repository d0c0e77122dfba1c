"""The detections of a frame's tiles as detections of the frame: a person whom a seam cuts stays one. Pure.

Tiles overlap, so that one person may be found in several. Three kinds of conflict are resolved, and nothing else is
changed; only boxes of different tiles conflict:

- two boxes of one action that overlap and are whole, or cut by the same edges: the better one stays, as by non-maximum
  suppression;
- a box that ends at a tile's inner edge is the part of a person that the tile shows. Two parts of one action that face
  each other across a seam become their union: a person larger than what the tiles have in common;
- a part is dropped if most of it lies in a box that shows more. That share of its own area tells; IoU is low for parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import boxes as box_ops
from edge.boxes import Boxes
from edge.detector import Detections
from edge.tiles import Rectangle, bounds

SAME_IOU = 0.55  # boxes that overlap by more are one person
CONTAINED = 0.7  # of a part's area: with so much of it in another box it is that person's
FACING_IOU = 0.5  # of two parts' sides along the seam
TOUCH = 0.03  # of a tile's side: a box that ends so near to an inner edge is cut by it
WEAKEST = 0.25  # of the better score: a box with less neither extends nor replaces another

LEFT, TOP, RIGHT, BOTTOM = range(4)

Pairs = NDArray[np.bool_]  # (N, N)


@dataclass(frozen=True, eq=False)
class _Found:
    """Boxes of all tiles, best first, in pixels of the frame."""

    boxes: Boxes  # (N, 4)
    scores: NDArray[np.float32]  # (N,)
    labels: NDArray[np.int64]  # (N,)
    class_scores: NDArray[np.float32]  # (N, classes)
    seen_in: NDArray[np.bool_]  # (N, tiles), in which of them
    cut: NDArray[np.bool_]  # (N, 4), by which inner edges: left, top, right, bottom

    def rows(self, chosen: NDArray[Any]) -> "_Found":
        """Those chosen by a mask (N,) or by indices, in their order."""
        return _Found(*(values[chosen] for values in vars(self).values()))


def merge(found: Sequence[Detections], tiles: Sequence[Rectangle]) -> Detections:
    """The frame's detections, by falling score; `found`: each tile's, with boxes in pixels of that tile."""
    if len(found) == 1:
        return _moved(found[0], tiles[0])
    every = _without_parts(_with_unions(_without_twins(_joined(found, tiles))))
    invalid = sum(one.invalid for one in found)
    return Detections(every.boxes, every.scores, every.labels, every.class_scores, invalid)


def _moved(found: Detections, tile: Rectangle) -> Detections:
    """Detections of one tile in pixels of the frame."""
    corner = np.array(tile[:2] * 2, np.float32)
    return Detections(found.boxes + corner, found.scores, found.labels, found.class_scores, found.invalid)


def _joined(found: Sequence[Detections], tiles: Sequence[Rectangle]) -> _Found:
    around = bounds(tiles)
    moved = [_moved(one, tile) for one, tile in zip(found, tiles, strict=True)]
    every = _Found(
        np.concatenate([one.boxes for one in moved]),
        np.concatenate([one.scores for one in moved]),
        np.concatenate([one.labels for one in moved]),
        np.concatenate([one.class_scores for one in moved]),
        np.repeat(np.eye(len(moved), dtype=bool), [len(one.scores) for one in moved], axis=0),
        np.concatenate([_cut(one.boxes, tile, around) for one, tile in zip(moved, tiles, strict=True)]),
    )
    return _best_first(every)


def _best_first(every: _Found) -> _Found:
    return every.rows(np.argsort(-every.scores, kind="stable"))


def _cut(boxes: Boxes, tile: Rectangle, around: Rectangle) -> NDArray[np.bool_]:
    """(N, 4) bool: which sides of boxes lie at edges of their tile that are not edges of the region."""
    edges, outer = np.array(tile, np.float32), np.array(around, np.float32)
    near = TOUCH * np.array([tile[2] - tile[0], tile[3] - tile[1]] * 2, np.float32)
    return np.asarray((np.abs(boxes - edges) <= near) & (edges != outer))


def _without_twins(every: _Found) -> _Found:
    """Without boxes of which another tile has a better one of the same action, cut alike."""
    alike = (every.labels[:, None] == every.labels) & (every.cut[:, None] == every.cut).all(axis=2)
    twins = alike & _of_different_tiles(every) & (box_ops.iou(every.boxes, every.boxes) > SAME_IOU)
    dropped = np.zeros(len(every.scores), bool)
    for better in np.flatnonzero(twins.any(axis=1)):
        if not dropped[better]:
            dropped[better + 1 :] |= twins[better, better + 1 :]
    return every.rows(~dropped)


def _with_unions(every: _Found) -> _Found:
    """With parts that face each other joined, until none is left that faces another."""
    while pairs := _partners(every):
        unions = [_union(every.rows(np.array(pair))) for pair in pairs]
        rest = every.rows(np.setdiff1d(np.arange(len(every.scores)), np.array(pairs).ravel()))
        every = _best_first(_concatenated([rest, *unions]))
    return every


def _partners(every: _Found) -> list[tuple[int, int]]:
    """Pairs of parts that face each other; the best chooses first, and none is in two pairs."""
    parts = np.flatnonzero(every.cut.any(axis=1))
    facing = _facing(every.rows(parts))
    pairs = []
    for place, partners in enumerate(facing):
        if partners.any():
            other = int(np.argmax(partners))
            pairs.append((int(parts[place]), int(parts[other])))
            facing[[place, other]] = facing[:, [place, other]] = False
    return pairs


def _facing(parts: _Found) -> Pairs:
    """(N, N) bool, symmetric: which parts are the two sides of one person."""
    boxes, cut = parts.boxes, parts.cut
    beside = _before(boxes, cut, LEFT, RIGHT) & (_side_iou(boxes, TOP, BOTTOM) >= FACING_IOU)
    above = _before(boxes, cut, TOP, BOTTOM) & (_side_iou(boxes, LEFT, RIGHT) >= FACING_IOU)
    one_person = (parts.labels[:, None] == parts.labels) & _of_different_tiles(parts) & _comparable(parts.scores)
    return np.asarray((beside | beside.T | above | above.T) & one_person)


def _before(boxes: Boxes, cut: NDArray[np.bool_], first: int, last: int) -> Pairs:
    """(N, N) bool: whether a box cut at its `last` side continues in the other, which is cut at its `first`."""
    begin, end = boxes[:, first], boxes[:, last]
    further = (begin[:, None] <= begin) & (end[:, None] <= end) & (end[:, None] >= begin)
    return np.asarray(further & cut[:, last, None] & cut[:, first])


def _side_iou(boxes: Boxes, first: int, last: int) -> NDArray[np.float32]:
    """(N, N) overlap of the boxes' extents on one axis, over what both cover."""
    begin, end = boxes[:, first], boxes[:, last]
    common = np.maximum(np.minimum(end[:, None], end) - np.maximum(begin[:, None], begin), 0)
    covered = np.maximum(end[:, None], end) - np.minimum(begin[:, None], begin)
    return np.asarray(common / np.maximum(covered, 1e-6), np.float32)


def _union(pair: _Found) -> _Found:
    """Two parts as one box, with the better of the scores: (1, …) of each array."""
    boxes = pair.boxes
    union = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None]
    return _Found(
        union,
        pair.scores.max(keepdims=True),
        pair.labels[:1],
        pair.class_scores.max(axis=0, keepdims=True),
        np.asarray(pair.seen_in.any(axis=0, keepdims=True)),
        (pair.cut | (boxes != union)).all(axis=0, keepdims=True),  # where all that reach so far are cut
    )


def _without_parts(every: _Found) -> _Found:
    """Without parts that mostly lie in a box which another tile shows more of, whatever its action."""
    boxes, cut = every.boxes, every.cut
    common = box_ops.intersection(boxes, boxes)
    inside = common >= CONTAINED * np.maximum(box_ops.area(boxes), 1e-6)[:, None]
    same = box_ops.iou(boxes, boxes) > SAME_IOU
    shows_more = (cut[:, None] & ~cut).any(axis=2) & (every.seen_in & ~every.seen_in[:, None]).any(axis=2)
    covered = (inside | same) & shows_more & (every.scores >= WEAKEST * every.scores[:, None])
    larger = box_ops.area(boxes)[:, None] > box_ops.area(boxes)
    covered &= ~(covered.T & larger)  # of two that cover each other the larger shows more
    kept = np.ones(len(every.scores), bool)
    for part in np.flatnonzero(cut.any(axis=1) & covered.any(axis=1))[::-1]:
        kept[part] = not (covered[part] & kept).any()
    return every.rows(kept)


def _of_different_tiles(every: _Found) -> Pairs:
    seen = every.seen_in.astype(np.float32)
    return np.asarray(seen @ seen.T == 0)


def _comparable(scores: NDArray[np.float32]) -> Pairs:
    return np.asarray(np.minimum(scores[:, None], scores) >= WEAKEST * np.maximum(scores[:, None], scores))


def _concatenated(several: Sequence[_Found]) -> _Found:
    return _Found(*(np.concatenate(parts) for parts in zip(*(vars(one).values() for one in several), strict=True)))
