"""Pure. The frames of a video that an annotator has looked at: only there does no box mean no action.

Annotation may begin late, end early, cover every fifth frame, or come in several parts. Frames that are not annotated
are neither examples of anything nor right or wrong.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from train.box_tables import FrameBoxes, Tube

AnnotatedFrames = NDArray[np.int64] | None  # rising frame numbers (n,), from 0; None: all frames
MAX_RANGES = 6  # in a sentence about one video
GAP_FACTOR = 2  # times the median distance of annotated frames: farther apart, nothing is known of those between


def within(annotated: AnnotatedFrames, frames: int) -> NDArray[np.int64]:
    """Those among the first `frames` frames, by number."""
    if annotated is None:
        return np.arange(frames, dtype=np.int64)
    return annotated[: np.searchsorted(annotated, frames)]


def mask(annotated: AnnotatedFrames, frames: int) -> NDArray[np.bool_]:
    """(frames,): whether each of the first `frames` is annotated."""
    if annotated is None:
        return np.ones(frames, dtype=bool)
    shown = np.zeros(frames, dtype=bool)
    shown[within(annotated, frames)] = True
    return shown


def covered(annotated: AnnotatedFrames, frames: int) -> NDArray[np.bool_]:
    """(frames,): likewise, with the short gaps between annotated frames."""
    shown = mask(annotated, frames)
    if annotated is not None:
        known = within(annotated, frames)
        gaps = np.diff(known)
        for place in np.flatnonzero((gaps > 1) & (gaps <= max_gap(annotated))):
            shown[known[place] : known[place + 1]] = True
    return shown


def union(parts: Sequence[AnnotatedFrames]) -> AnnotatedFrames:
    """The frames that are annotated in any of the parts."""
    known = [part for part in parts if part is not None]
    return np.unique(np.concatenate(known)) if len(known) == len(parts) and known else None


def rows_in(table: FrameBoxes, annotated: AnnotatedFrames) -> FrameBoxes:
    """The rows of one video in annotated frames."""
    return table if annotated is None else table.where(np.isin(table.frames, annotated))


def tubes_in(tubes: Sequence[Tube], annotated: AnnotatedFrames) -> tuple[Tube, ...]:
    """Tubes of one video in annotated frames alone, which are then counted as if there were no others.

    A tube without a break stays one, so that overlap in time is measured over annotated frames alone.
    """
    if annotated is None:
        return tuple(tubes)
    bounds = [np.searchsorted(annotated, [tube.first_frame, tube.first_frame + len(tube.boxes)]) for tube in tubes]
    return tuple(
        replace(tube, first_frame=int(begin), boxes=tube.boxes[annotated[begin:end] - tube.first_frame])
        for tube, (begin, end) in zip(tubes, bounds, strict=True)
        if end > begin
    )


def max_gap(annotated: AnnotatedFrames) -> int:
    """The longest distance of two annotated frames at which the earlier still holds until the later."""
    return GAP_FACTOR * int(np.median(np.diff(annotated))) if annotated is not None and len(annotated) > 1 else 1


def begin_is_known(annotated: AnnotatedFrames, first: int) -> bool:
    """Whether an action first seen in frame `first` began there: frames shortly before are annotated, or it is 0."""
    if annotated is None or not first:
        return True
    before = annotated[: np.searchsorted(annotated, first)]
    return bool(len(before)) and first - int(before[-1]) <= max_gap(annotated)


def end_is_known(annotated: AnnotatedFrames, end: int) -> bool:
    """Likewise for one last seen in the frame before `end`. With all frames annotated, the video's end counts too."""
    if annotated is None:
        return True
    after = annotated[np.searchsorted(annotated, end) :]
    return bool(len(after)) and int(after[0]) - (end - 1) <= max_gap(annotated)


def as_text(annotated: NDArray[np.int64]) -> str:
    """The frames, counted from 1, as `101 to 150`, or `every 5th of 1 to 146`; several parts with commas."""
    parts = ranges(annotated)
    more = [f"and {len(parts) - MAX_RANGES} more"] if len(parts) > MAX_RANGES else []
    return ", ".join([*map(_part, parts[:MAX_RANGES]), *more]) or "none"


def ranges(annotated: NDArray[np.int64]) -> list[range]:
    """The frames as ranges of one step each, each as long as possible, from the first on."""
    found: list[range] = []
    place, numbers = 0, annotated.tolist()
    while place < len(numbers):
        first, *rest = numbers[place : place + 2]
        step = rest[0] - first if rest else 1
        end = place + 1
        while end < len(numbers) and numbers[end] == first + (end - place) * step:
            end += 1
        if end == place + 2 and step > 1:  # two frames alone tell no step
            end = place + 1
        found.append(range(first, numbers[end - 1] + 1, step if end > place + 1 else 1))
        place = end
    return found


def _part(run: range) -> str:
    if len(run) == 1:
        return str(run[0] + 1)
    whole = f"{run[0] + 1} to {run[-1] + 1}"
    return whole if run.step == 1 else f"every {run.step}{_ordinal(run.step)} of {whole}"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
