"""Whether a true tube is told as one: changes of tube and breaks, frame by frame as CLEAR MOT counts them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge.assignment import assign
from edge.boxes import iou
from train.tables import Tube

LEAST_IOU = 0.5


@dataclass(frozen=True)
class IdentityCounts:
    """Sums over true tubes: `frames` of truth, `found` those with a tube on them, `switches` from one tube to another
    (with or without a break between), `breaks` in which a true tube was found, lost and found again.
    """

    frames: int = 0
    found: int = 0
    switches: int = 0
    breaks: int = 0

    def __add__(self, other: "IdentityCounts") -> "IdentityCounts":
        return IdentityCounts(
            self.frames + other.frames,
            self.found + other.found,
            self.switches + other.switches,
            self.breaks + other.breaks,
        )


def identity_counts(predicted: Sequence[Tube], truth: Sequence[Tube]) -> IdentityCounts:
    """Of one video. A tube may stand for a true one of its class where they overlap by half; one found stays with it
    while they do, the others are matched anew in each frame (Bernardin and Stiefelhagen 2008).
    """
    counts = IdentityCounts()
    for label in sorted({tube.label for tube in truth}):
        counts += _of_class(
            [tube for tube in predicted if tube.label == label], [tube for tube in truth if tube.label == label]
        )
    return counts


def _of_class(predicted: Sequence[Tube], truth: Sequence[Tube]) -> IdentityCounts:
    told: list[list[int]] = [[] for _ in truth]  # by true tube the number of its tube in each frame, -1 for none
    last: dict[int, int] = {}
    for frame in range(min(tube.first_frame for tube in truth), max(_end(tube) for tube in truth)):
        true, found = _present(truth, frame), _present(predicted, frame)
        chosen = _matched(predicted, truth, true, found, last, frame)
        for one in true:
            told[one].append(chosen.get(one, -1))
        last |= chosen
    return sum((_told(numbers) for numbers in told), IdentityCounts())


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
    fits = np.where(overlap >= LEAST_IOU, overlap, 0)
    chosen: dict[int, int] = {}
    for row, one in enumerate(true):
        if last.get(one) in found and fits[row, found.index(last[one])] and last[one] not in chosen.values():
            chosen[one] = last[one]
    rows = [row for row, one in enumerate(true) if one not in chosen]
    columns = [column for column, other in enumerate(found) if other not in chosen.values()]
    for row, column in assign(fits[np.ix_(rows, columns)].tolist()):
        chosen[true[rows[row]]] = found[columns[column]]
    return chosen


def _told(numbers: Iterable[int]) -> IdentityCounts:
    every = np.array(list(numbers), np.int64)
    seen = every[every >= 0]
    begins = int(np.count_nonzero(np.diff(np.concatenate([[False], every >= 0]).astype(np.int8)) == 1))
    switches = int(np.count_nonzero(seen[1:] != seen[:-1]))
    return IdentityCounts(len(every), len(seen), switches, max(begins - 1, 0))


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
