"""Identity metrics: switches and breaks frame by frame, as CLEAR MOT counts them, and IDF1. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge.assignment import assign
from edge.boxes import iou
from train.box_tables import Tube
from train.overlap import paired_iou

MIN_IOU = 0.5


@dataclass(frozen=True)
class IdentityCounts:
    """Sums over true tubes.

    `frames` of truth; `covered`: those with a tube on them; `switches` from one tube to another, with or without a
    break between; `breaks` in which a true tube was found, lost and found again. `detected`: the frames of all
    predicted tubes; `kept`: those on a true tube where each true one has only one tube, the best.
    """

    frames: int = 0
    covered: int = 0
    switches: int = 0
    breaks: int = 0
    detected: int = 0
    kept: int = 0

    @property
    def idf1(self) -> float:
        """How well identities are kept, 0..1 (Ristani et al. 2016); 0 where there are no frames at all."""
        return 2 * self.kept / max(self.frames + self.detected, 1)

    def __add__(self, other: "IdentityCounts") -> "IdentityCounts":
        return IdentityCounts(
            self.frames + other.frames,
            self.covered + other.covered,
            self.switches + other.switches,
            self.breaks + other.breaks,
            self.detected + other.detected,
            self.kept + other.kept,
        )


def identity_counts(predicted: Sequence[Tube], truth: Sequence[Tube]) -> IdentityCounts:
    """The counts of one video.

    A tube may match a true one of its class where they overlap by half. A match is kept while they do; the others are
    matched anew in each frame (Bernardin and Stiefelhagen 2008).
    """
    counts = IdentityCounts(detected=sum(len(tube.boxes) for tube in predicted))
    for label in sorted({tube.label for tube in truth}):
        found, true = ([tube for tube in tubes if tube.label == label] for tubes in (predicted, truth))
        counts += _of_class(found, true) + IdentityCounts(kept=_kept_frames(found, true))
    return counts


def _kept_frames(predicted: Sequence[Tube], truth: Sequence[Tube]) -> int:
    """The most frames in which true tubes are found where each has one tube, and each tube one true one, for good."""
    frames = np.array([[_common(one, other) for other in predicted] for one in truth]).reshape(len(truth), -1)
    return int(sum(frames[pair] for pair in assign(frames)))


def _common(one: Tube, other: Tube) -> int:
    """The frames in which two tubes overlap by half."""
    begin, end = max(one.first_frame, other.first_frame), min(_end(one), _end(other))
    if begin >= end:
        return 0
    boxes = (tube.boxes[begin - tube.first_frame : end - tube.first_frame] for tube in (one, other))
    return int(np.count_nonzero(paired_iou(*boxes) >= MIN_IOU))


def _of_class(predicted: Sequence[Tube], truth: Sequence[Tube]) -> IdentityCounts:
    numbers_of: list[list[int]] = [[] for _ in truth]  # by true tube, the number of its tube in each frame, -1 for none
    last: dict[int, int] = {}
    for frame in range(min(tube.first_frame for tube in truth), max(_end(tube) for tube in truth)):
        true, found = _present(truth, frame), _present(predicted, frame)
        chosen = _matched(predicted, truth, true, found, last, frame)
        for one in true:
            numbers_of[one].append(chosen.get(one, -1))
        last |= chosen
    return sum((_of_tube(numbers) for numbers in numbers_of), IdentityCounts())


def _matched(
    predicted: Sequence[Tube],
    truth: Sequence[Tube],
    true: list[int],
    found: list[int],
    last: Mapping[int, int],
    at: int,
) -> dict[int, int]:
    """The tube of each true one in this frame: its last where that still fits, else the best by overlap."""
    overlap = iou(_boxes(truth, true, at), _boxes(predicted, found, at))
    fits = np.where(overlap >= MIN_IOU, overlap, 0)
    chosen: dict[int, int] = {}
    for row, one in enumerate(true):
        if last.get(one) in found and fits[row, found.index(last[one])] and last[one] not in chosen.values():
            chosen[one] = last[one]
    rows = [row for row, one in enumerate(true) if one not in chosen]
    columns = [column for column, other in enumerate(found) if other not in chosen.values()]
    for row, column in assign(fits[np.ix_(rows, columns)]):
        chosen[true[rows[row]]] = found[columns[column]]
    return chosen


def _of_tube(numbers: Iterable[int]) -> IdentityCounts:
    every = np.array(list(numbers), np.int64)
    matched = every[every >= 0]
    begins = int(np.count_nonzero(np.diff(np.concatenate([[False], every >= 0]).astype(np.int8)) == 1))
    switches = int(np.count_nonzero(matched[1:] != matched[:-1]))
    return IdentityCounts(len(every), len(matched), switches, max(begins - 1, 0))


def _end(tube: Tube) -> int:
    return tube.first_frame + len(tube.boxes)


def _present(tubes: Sequence[Tube], frame: int) -> list[int]:
    return [place for place, tube in enumerate(tubes) if tube.first_frame <= frame < _end(tube)]


def _boxes(
    tubes: Sequence[Tube], places: Sequence[int], frame: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array([tubes[place].boxes[frame - tubes[place].first_frame] for place in places], np.float32).reshape(
        -1, 4
    )
