"""Shell. J-HMDB-21 with its three splits, and the layout in which ACT and MOC keep data sets (`UCF101v2-GT.pkl` too).

Both files of J-HMDB, KORSAL's `hmdb_annots.pkl` and ACT's `JHMDB-GT.pkl`, give the same boxes: ACT's corners are taken
as they stand, and the protocol `act` adds its one pixel to them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.text import to_nfc
from train.datasets.annotation_records import (
    LARGEST_FRAME,
    AnnotationError,
    DataSet,
    GroundTruthTube,
    VideoAnnotation,
    frame_count,
)
from train.datasets.split_lists import list_of_names
from train.datasets.ucf24 import RATE, read_pickle
from train.safe_reading import array_pickle

HMDB_FILE = "hmdb_annots.pkl"
FOLDS = 3
PUBLISHED = ("JHMDB", "UCF101")  # how files in the layout of ACT begin whose videos are those of RATE


@dataclass(frozen=True, eq=False)
class Folds:
    """A data set with several splits: (training, test) names of each, and all videos by name."""

    labels: tuple[str, ...]
    splits: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    videos: Mapping[str, VideoAnnotation]
    rate: float | None = None

    def fold(self, number: int, title: str, folder: Path) -> DataSet:
        """Split `number`, from 1. Raises AnnotationError."""
        if not 1 <= number <= len(self.splits):
            raise AnnotationError(f"{title} has splits 1 to {len(self.splits)}, not {number}; choose one of them")
        train, test = self.splits[number - 1]
        missing = [name for name in (*train, *test) if name not in self.videos]
        if missing:
            raise AnnotationError(f"{title}: {missing[0]} is in a list but not annotated; take both of one release")
        training, testing = (tuple(self.videos[name] for name in names) for names in (train, test))
        return DataSet(self.labels, training, testing, folder / "videos", f"{title} split {number}", self.rate)


def read_jhmdb21(directory: Path) -> Folds:
    """KORSAL's file and the three pairs of lists, from one folder. Raises AnnotationError."""
    videos = read_pickle(directory / HMDB_FILE)
    names = {tube.label: video.name.partition("/")[0] for video in videos.values() for tube in video.tubes}
    lists = [
        tuple(tuple(list_of_names(directory / f"{part}list{fold:02d}.txt")) for part in ("train", "test"))
        for fold in range(1, FOLDS + 1)
    ]
    labels = tuple(names.get(label, f"class {label}") for label in range(max(names, default=-1) + 1))
    return Folds(labels, tuple((train, test) for train, test in lists), videos, RATE)


def read_act(path: Path) -> Folds:
    """A file of ACT or MOC; executes nothing it may carry. Raises AnnotationError."""
    try:
        content = array_pickle.load(path)
        labels = tuple(_text(label) for label in content["labels"])
        splits = tuple(
            (tuple(map(_text, train)), tuple(map(_text, test)))
            for train, test in zip(content["train_videos"], content["test_videos"], strict=True)
        )
        counts = {_text(name): frame_count(count) for name, count in content["nframes"].items()}
        sizes = {_text(name): _size(size) for name, size in content["resolution"].items()}
        tubes = {_text(name): _tubes(found, len(labels)) for name, found in content["gttubes"].items()}
        videos = {name: VideoAnnotation(name, counts[name], tubes[name], sizes.get(name)) for name in tubes}
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); give JHMDB-GT.pkl or its like") from error
    except array_pickle.BROKEN as error:
        raise AnnotationError(f"{path}: not a data set of ACT or MOC ({error}); copy the file again") from error
    return Folds(labels, splits, videos, RATE if path.name.startswith(PUBLISHED) else None)


def _tubes(by_label: Mapping[Any, Iterable[Any]], labels: int) -> tuple[GroundTruthTube, ...]:
    found = []
    for label, arrays in by_label.items():
        for array in arrays:
            rows = np.asarray(array, dtype=np.float64)
            if rows.ndim != 2 or rows.shape[1] != 5 or not len(rows) or not np.isfinite(rows).all():
                raise ValueError(f"a tube is of shape {rows.shape}, not (frames, 5)")
            if (
                (np.diff(rows[:, 0]) != 1).any()
                or not 1 <= rows[0, 0] <= rows[-1, 0] <= LARGEST_FRAME
                or not 0 <= int(label) < labels
            ):
                raise ValueError("a tube's frames do not follow each other from 1, or its class has no name")
            found.append(GroundTruthTube(int(label), int(rows[0, 0]) - 1, rows[:, 1:].astype(np.float32)))
    return tuple(found)


def _size(size: Any) -> tuple[int, int]:
    height, width = size
    return int(width), int(height)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return to_nfc(value)
