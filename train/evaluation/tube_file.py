"""Shell. The file of action tubes of many videos: `korsal-evaluate link` writes it, `score` reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.box_tables import Tube
from train.evaluation import columns
from train.evaluation.columns import ColumnError
from train.evaluation.detection_file import CORNERS, NAMES, TUBE, indices_in, names, shared_faults

COLUMNS = (TUBE, "video", "label", "frame", *CORNERS, "score", "tube_score")


@dataclass(frozen=True, eq=False)
class SavedTube:
    """A tube of `SavedTubes`, whose `video` and `label` are indices of its names; scores (n,) float32, by frame."""

    tube: Tube
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SavedTubes:
    """The tubes found in videos."""

    video_names: tuple[str, ...]
    label_names: tuple[str, ...]
    tubes: tuple[SavedTube, ...]

    def chosen(self, videos: Sequence[str], labels: Sequence[str]) -> tuple[Tube, ...]:
        """The tubes of `labels` in `videos`, both renumbered as given; all others are left out."""
        video, label = indices_in(self.video_names, videos), indices_in(self.label_names, labels)
        counted = [(one.tube, int(video[one.tube.video]), int(label[one.tube.label])) for one in self.tubes]
        return tuple(
            Tube(v, action, tube.score, tube.first_frame, tube.boxes)
            for tube, v, action in counted
            if v >= 0 and action >= 0
        )

    def numbered_as(self, labels: Sequence[str]) -> "SavedTubes":
        """The tubes of `labels`, which are numbered as given."""
        label = indices_in(self.label_names, labels)
        kept = [(one, int(label[one.tube.label])) for one in self.tubes]
        tubes = tuple(replace(one, tube=replace(one.tube, label=number)) for one, number in kept if number >= 0)
        return SavedTubes(self.video_names, tuple(labels), tubes)


def save(found: SavedTubes, path: Path) -> None:
    """Write the file, a row for each box. Raises ColumnError."""
    tubes = [one.tube for one in found.tubes]
    lengths = np.array([len(tube.boxes) for tube in tubes], dtype=np.int64)
    frames = [np.arange(tube.first_frame, tube.first_frame + len(tube.boxes)) + 1 for tube in tubes]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(tube.boxes for tube in tubes)])
    columns.write(
        path,
        {
            "video_names": np.array(found.video_names, dtype=np.str_),
            "label_names": np.array(found.label_names, dtype=np.str_),
            "tube": np.repeat(np.arange(1, len(tubes) + 1, dtype=np.int32), lengths),
            "video": np.repeat(np.array([tube.video for tube in tubes], np.int32), lengths),
            "label": np.repeat(np.array([tube.label for tube in tubes], np.int32), lengths),
            "frame": np.concatenate([np.zeros(0, np.int32), *frames]).astype(np.int32),
            **dict(zip(CORNERS, boxes.astype(np.float32).T, strict=True)),
            "score": np.concatenate([np.zeros(0, np.float32), *(one.scores for one in found.tubes)]).astype(np.float32),
            "tube_score": np.repeat(np.array([tube.score for tube in tubes], np.float64), lengths),
        },
    )


def load(path: Path) -> SavedTubes:
    """Read the file; rows may be in any order. Raises ColumnError for an invalid file."""
    if TUBE not in columns.read(path, NAMES, (TUBE,)):
        raise ColumnError(f"{path}: has no column tube; give tubes, which `korsal-evaluate link` makes of detections")
    read = columns.read(path, (*COLUMNS, *NAMES))
    found = columns.faults(read, ("tube", "video", "label", "frame"), (*CORNERS, "score", "tube_score"), "tube")
    found += shared_faults(read) if not found else []
    if found:
        raise ColumnError(f"{path}: {'; '.join(found)}; see docs/evaluation.md for its format")
    order = np.lexsort((read["frame"], read["tube"]))
    rows = {name: read[name][order] for name in COLUMNS}
    fault = _fault(rows)
    if fault:
        raise ColumnError(f"{path}: {fault}; see docs/evaluation.md for its format")
    return SavedTubes(names(read["video_names"]), names(read["label_names"]), _tubes(rows))


def _fault(rows: columns.Columns) -> str | None:
    """What is wrong with rows that are sorted by tube and frame."""
    same = rows["tube"][1:] == rows["tube"][:-1]
    gap = same & (rows["frame"].astype(np.int64)[1:] - rows["frame"].astype(np.int64)[:-1] != 1)
    if gap.any():
        tube = rows["tube"][1:][gap][0]
        return f"the frames of tube {tube} do not follow each other: a box for each frame, and one only"
    for name in ("video", "label", "tube_score"):
        torn = same & (rows[name][1:] != rows[name][:-1])
        if torn.any():
            return f"tube {rows['tube'][1:][torn][0]} has more than one {name}"
    return None


def _tubes(rows: columns.Columns) -> tuple[SavedTube, ...]:
    numbers = rows["tube"]
    begins = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)])
    ends = np.append(begins[1:], len(numbers))[: len(begins)]
    boxes = np.stack([rows[name].astype(np.float32) for name in CORNERS], axis=1)
    scores = rows["score"].astype(np.float32)
    found = []
    for begin, end in zip(begins, ends, strict=True):
        video, label, first = (int(rows[name][begin]) for name in ("video", "label", "frame"))
        tube = Tube(video, label, float(rows["tube_score"][begin]), first - 1, boxes[begin:end])
        found.append(SavedTube(tube, scores[begin:end]))
    return tuple(found)
