"""Pure. Several annotations of one video, as of CVAT's jobs exported one by one, become one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from train.box_tables import Tube
from train.datasets.annotated_frames import AnnotatedFrames, as_text, max_gap, union
from train.datasets.tracks import NamedTube, NamedVideo
from train.overlap import paired_iou

SAME = 0.5  # IoU: two tubes of one action that lie on each other so, on the average of their common frames, are one


class MergeError(ValueError):
    """Annotations that cannot be one; the message names the video and the remedy."""


def merged(parts: Sequence[NamedVideo]) -> NamedVideo:
    """The parts of one video together, tubes that continue from one into the next joined.

    Jobs may overlap by some frames. Raises PartsError where they do not fit, or all that one shows was annotated in
    another too. A part without any frame is left out.
    """
    shown = [part for part in parts if part.annotated_frames is None or len(part.annotated_frames)]
    ordered = sorted(shown or parts[:1], key=lambda part: _first(part.annotated_frames))
    whole = ordered[0]
    for part in ordered[1:]:
        whole = _joined(whole, part)
    return whole


def _first(annotated: AnnotatedFrames) -> int:
    return int(annotated[0]) if annotated is not None and len(annotated) else -1


def _joined(whole: NamedVideo, part: NamedVideo) -> NamedVideo:
    if whole.size is not None and part.size is not None and whole.size != part.size:
        sizes = " and ".join("x".join(map(str, one.size)) for one in (whole, part) if one.size)
        raise MergeError(f"{part.name} is annotated at {sizes}{_files(whole, part)}; keep those that fit the video")
    if whole.annotated_frames is None or part.annotated_frames is None:
        raise MergeError(f"{part.name} is annotated twice{_files(whole, part)}; keep one, or name the videos apart")
    common = np.intersect1d(whole.annotated_frames, part.annotated_frames)
    if len(common) == min(len(whole.annotated_frames), len(part.annotated_frames)):
        raise MergeError(
            f"{part.name} is annotated twice in frames {as_text(common)}{_files(whole, part)}; "
            "keep one, or name the videos apart"
        )
    annotated = union([whole.annotated_frames, part.annotated_frames])
    tubes = list(whole.tubes)
    for tube in part.tubes:
        place = next((n for n, other in enumerate(tubes) if _is_same(other, tube, annotated)), None)
        if place is None:
            tubes.append(tube)
        else:
            tubes[place] = _together(tubes[place], tube)
    frames = max(whole.frames, part.frames)
    return NamedVideo(
        whole.name, frames, whole.size or part.size, tuple(tubes), annotated, f"{whole.file}, {part.file}"
    )


def _files(whole: NamedVideo, part: NamedVideo) -> str:
    """In which files, where that is known."""
    return f", in {whole.file} and {part.file}" if whole.file and part.file else ""


def _is_same(one: NamedTube, two: NamedTube, annotated: AnnotatedFrames) -> bool:
    """Whether two tubes of two parts show one action: they overlap, or the second continues where the first ends."""
    if one.label != two.label:
        return False
    first, second = sorted((one.tube, two.tube), key=lambda tube: tube.first_frame)
    end = first.first_frame + len(first.boxes)
    if second.first_frame >= end:
        return _continues(first, second, end, annotated)
    common = min(end, second.first_frame + len(second.boxes)) - second.first_frame
    begin = second.first_frame - first.first_frame
    return float(paired_iou(first.boxes[begin : begin + common], second.boxes[:common]).mean()) >= SAME


def _continues(first: Tube, second: Tube, end: int, annotated: AnnotatedFrames) -> bool:
    """Whether the second tube continues the first.

    So it does where no frame between the two is annotated, the gap is no longer than usual, and the box has hardly
    moved.
    """
    if second.first_frame - (end - 1) > max_gap(annotated):
        return False
    seen_between = annotated is not None and bool(((annotated >= end) & (annotated < second.first_frame)).any())
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
