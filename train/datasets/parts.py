"""Pure. Several annotations of one video, as of CVAT's jobs exported one by one, become one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from train.box_tables import Tube
from train.datasets.looked_at import Looked, in_words, near, together
from train.datasets.own_tubes import NamedTube, NamedVideo
from train.overlap import paired_iou

SAME = 0.5  # IoU: two tubes of one action that lie on each other so, on the average of their common frames, are one


class PartsError(ValueError):
    """Annotations that cannot be one; the message names the video and the cure."""


def one_video(parts: Sequence[NamedVideo]) -> NamedVideo:
    """The parts together: jobs may overlap by some frames, and a tube that goes on from one into the next is one.

    Raises PartsError where they do not fit, or all that one shows was annotated in another too. A part that shows no
    frame at all says nothing.
    """
    shown = [part for part in parts if part.looked_at is None or len(part.looked_at)]
    ordered = sorted(shown or parts[:1], key=lambda part: _first(part.looked_at))
    whole = ordered[0]
    for part in ordered[1:]:
        whole = _joined(whole, part)
    return whole


def _first(looked: Looked) -> int:
    return int(looked[0]) if looked is not None and len(looked) else -1


def _joined(whole: NamedVideo, part: NamedVideo) -> NamedVideo:
    if whole.size is not None and part.size is not None and whole.size != part.size:
        sizes = " and ".join("x".join(map(str, one.size)) for one in (whole, part) if one.size)
        raise PartsError(f"{part.name} is annotated at {sizes}; keep those that fit the file")
    if whole.looked_at is None or part.looked_at is None:
        raise PartsError(f"{part.name} is annotated twice; keep one, or name the videos apart")
    common = np.intersect1d(whole.looked_at, part.looked_at)
    if len(common) == min(len(whole.looked_at), len(part.looked_at)):
        raise PartsError(
            f"{part.name} is annotated twice in frames {in_words(common)}; keep one, or name the videos apart"
        )
    looked = together([whole.looked_at, part.looked_at])
    tubes = list(whole.tubes)
    for tube in part.tubes:
        place = next((n for n, other in enumerate(tubes) if _is_same(other, tube, looked)), None)
        if place is None:
            tubes.append(tube)
        else:
            tubes[place] = _together(tubes[place], tube)
    frames = max(whole.frames, part.frames)
    return NamedVideo(whole.name, frames, whole.size or part.size, tuple(tubes), looked)


def _is_same(one: NamedTube, two: NamedTube, looked: Looked) -> bool:
    """Whether two tubes of two parts show one action: they lie on each other, or the second goes on where one ends."""
    if one.label != two.label:
        return False
    first, second = sorted((one.tube, two.tube), key=lambda tube: tube.first_frame)
    end = first.first_frame + len(first.boxes)
    if second.first_frame >= end:
        return _goes_on(first, second, end, looked)
    common = min(end, second.first_frame + len(second.boxes)) - second.first_frame
    begin = second.first_frame - first.first_frame
    return float(paired_iou(first.boxes[begin : begin + common], second.boxes[:common]).mean()) >= SAME


def _goes_on(first: Tube, second: Tube, end: int, looked: Looked) -> bool:
    """Whether nobody looked between the two, for no longer than usual, and the box is about where it was."""
    if second.first_frame - (end - 1) > near(looked):
        return False
    seen_between = looked is not None and bool(((looked >= end) & (looked < second.first_frame)).any())
    return not seen_between and float(paired_iou(first.boxes[-1:], second.boxes[:1])[0]) >= SAME


def _together(one: NamedTube, two: NamedTube) -> NamedTube:
    """Both as one tube, with the boxes of the first where both have one, and interpolated ones where neither has."""
    frames = [np.arange(tube.first_frame, tube.first_frame + len(tube.boxes)) for tube in (one.tube, two.tube)]
    added = ~np.isin(frames[1], frames[0])
    known = np.concatenate([frames[0], frames[1][added]])
    boxes = np.concatenate([one.tube.boxes, two.tube.boxes[added]])
    order = np.argsort(known)
    every = np.arange(known.min(), known.max() + 1)
    filled = np.stack([np.interp(every, known[order], side) for side in boxes[order].T], axis=1)
    return replace(one, tube=replace(one.tube, first_frame=int(every[0]), boxes=filled.astype(np.float32)))
